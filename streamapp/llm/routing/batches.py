"""Embeddings in batches: as many inputs a call as its target takes, and its answer can carry."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson

from streamapp.errors import (
    ContextLengthExceeded,
    Failure,
    ParameterRefused,
    ProviderRejected,
    TooLarge,
)
from streamapp.llm.completion import Call, Completion, EmbeddingInput
from streamapp.llm.costs.prices import added_usd
from streamapp.llm.provider import Completer
from streamapp.records.response import Usage
from streamapp.telemetry.frames import without_frames

#: What an answer may have, bytes: below what a provider's body may, for white space and digits.
ANSWER_BYTES = 6 * 1024 * 1024
#: Most inputs of a call, and most characters of them all: OpenAI's bounds.
MOST_INPUTS = 2_048
MOST_CHARS = 900_000
#: A vector of 3,072 numbers as JSON, bytes: until an answer tells.
_ASSUMED_BYTES = 64_000
#: Room for what stands beside the vectors in a record.
_BESIDE_BYTES = 16_384
#: Words about the number of inputs, sources: https://github.com/lfnovo/esperanto/pull/260
#: (limits of vendors, 2026-07-21), https://platform.openai.com/docs/api-reference/embeddings
_TOO_MANY = re.compile(
    r"batch|array too long|(?:at most|maximum of|up to|more than) \d+|too many inputs|per request"
    r"|number of (?:texts|inputs)",
    re.IGNORECASE,
)


class Batched:
    """Splits embeddings of many inputs into calls, and puts their answers together.

    How long vectors are is learned from answers; so is how many inputs the targets take, from
    refusals, which cost nothing. Vectors that the record's answer cannot carry are not paid for,
    but for the batch that tells.

    Args:
        provider: Answers each batch; a cache in it keeps batches by themselves.
    """

    def __init__(self, provider: Completer) -> None:
        self._provider = provider
        self._most = MOST_INPUTS
        #: By the dimensions that are asked for.
        self._bytes: dict[Any, int] = {}

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``; usage, price and attempts are those of all batches.

        Raises:
            TooLarge: The record's answer cannot carry the vectors.
            Failure: As of the provider; ``attempts`` counts those of all batches, ``paid`` those in
                vain before one was split.
        """
        if call.operation != "embeddings" or len(call.inputs) == 1:
            return await self._provider.complete(call)
        whole = _Whole()
        while whole.count < len(call.inputs):
            self._check(call)
            batch = self._next(call, whole.count)
            try:
                await self._ask(call, batch, whole)
            except Failure as failure:
                failure.attempts += whole.attempts
                failure.paid += whole.paid
                raise
        return whole.completion()

    async def _ask(self, call: Call, batch: Sequence[EmbeddingInput], whole: "_Whole") -> None:
        """Ask for a batch, or for its halves where its target does not take so many."""
        try:
            completion = await self._provider.complete(call.but(inputs=batch))
        except (ContextLengthExceeded, ProviderRejected) as refusal:
            if len(batch) == 1 or not _is_too_many(refusal):
                raise
            without_frames(refusal)
            whole.attempts += refusal.attempts
            whole.paid += refusal.paid
            half = len(batch) // 2
            await self._ask(call, batch[:half], whole)
            await self._ask(call, batch[half:], whole)
            # Only now: one input that is too long by itself says nothing about the number.
            self._most = min(self._most, len(batch) - half)
            return
        dimensions = call.parameters.get("dimensions")
        self._bytes[dimensions] = len(orjson.dumps(completion.output[0])) + 1
        whole.add(completion)
        call.deadline.invest()

    def _next(self, call: Call, start: int) -> Sequence[EmbeddingInput]:
        known = self._bytes.get(call.parameters.get("dimensions"))
        carried = ANSWER_BYTES
        if known is None and call.answer_bytes is not None:
            carried = call.answer_bytes  # the first batch tells whether all of them fit
        most = max(1, min(self._most, carried // (known or _ASSUMED_BYTES)))
        batch = list(call.inputs[start : start + most])
        chars = 0
        for place, one in enumerate(batch):
            chars += len(one) if isinstance(one, str) else len(one) * 4
            if chars > MOST_CHARS and place:
                return batch[:place]
        return batch

    def _check(self, call: Call) -> None:
        known = self._bytes.get(call.parameters.get("dimensions"))
        if known is None or call.answer_bytes is None:
            return
        needed = known * len(call.inputs) + _BESIDE_BYTES
        if needed > call.answer_bytes:
            fits = max((call.answer_bytes - _BESIDE_BYTES) // known, 1)
            raise TooLarge(
                f"the vectors of {len(call.inputs)} inputs need about {needed:,} bytes, more than"
                f" the {call.answer_bytes:,} of a record: send at most {fits} inputs in one, or"
                " ask for fewer dimensions"
            )


class _Whole:
    """The answers of the batches so far."""

    def __init__(self) -> None:
        self.attempts = self.paid = self.count = 0
        self._completions: list[Completion] = []

    def add(self, completion: Completion) -> None:
        self._completions.append(completion)
        self.attempts += completion.attempts
        self.count += len(completion.output)

    def completion(self) -> Completion:
        last = self._completions[-1]
        if len(self._completions) == 1 and self.attempts == last.attempts:
            return last
        cost_usd: Decimal | None = Decimal(0)
        usage, output = Usage(), []
        for completion in self._completions:
            usage += completion.usage
            cost_usd = added_usd(cost_usd, completion.cost_usd)
            output += completion.output
        return last.but(
            output=output,
            usage=usage,
            cost_usd=cost_usd,
            attempts=self.attempts,
            cached=all(completion.cached for completion in self._completions),
            fingerprint="",
        )


def _is_too_many(refusal: ProviderRejected) -> bool:
    """Whether fewer inputs may be taken: together they are too long, or the words say so."""
    if isinstance(refusal, ContextLengthExceeded):
        return True
    is_parameter = isinstance(refusal, ParameterRefused)
    return not is_parameter and _TOO_MANY.search(refusal.told) is not None
