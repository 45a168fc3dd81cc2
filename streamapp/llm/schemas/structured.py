"""Structured output: answers parsed, validated against their schema, and asked again in bounds."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson

from streamapp.errors import Failure, OutputInvalid
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.prices import added_usd
from streamapp.llm.provider import Completer
from streamapp.llm.schemas.schema import Schemas
from streamapp.records.response import Usage

_QUOTED_CHARS = 20_000
_REASON_CHARS = 500
_FENCE = "```"


class Structured:
    """Gives the parsed object as ``output`` where a call has a schema; passes others on.

    A wrong answer is shown to the model with what is wrong about it. Tokens and attempts of all
    asks are summed.
    """

    def __init__(self, provider: Completer, *, schemas: Schemas, reasks: int = 2) -> None:
        self._provider = provider
        self._schemas = schemas
        self._reasks = reasks

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``.

        Raises:
            InvalidRecord: The schema itself cannot be used; no call was made.
            OutputInvalid: No answer fits, re-asks included.
            Failure: As of the provider; ``attempts`` counts those of earlier asks too.
        """
        if call.output_schema is None:
            return await self._provider.complete(call)
        self._schemas.check(call.output_schema)
        usage, attempts, reason = Usage(), 0, ""
        cost_usd: Decimal | None = Decimal(0)
        ask = call
        for _ in range(1 + self._reasks):
            try:
                completion = await self._provider.complete(ask)
            except Failure as failure:
                failure.attempts += attempts
                raise
            usage += completion.usage
            attempts += completion.attempts
            cost_usd = added_usd(cost_usd, completion.cost_usd)
            try:
                output = _parse(completion.output)
            except orjson.JSONDecodeError:
                reason, detail = "not JSON", "it is not valid JSON"
            else:
                error = self._schemas.mismatch(call.output_schema, output)
                if error is None:
                    return replace(
                        completion,
                        output=output,
                        usage=usage,
                        attempts=attempts,
                        cost_usd=cost_usd,
                    )
                reason, detail = f"wrong {error.validator}", error.message
            call.deadline.invest()
            ask = replace(ask, messages=[*call.messages, *_complaint(completion.output, detail)])
        misfit = OutputInvalid(f"no answer fits the schema in {1 + self._reasks} asks: {reason}")
        misfit.attempts = attempts
        raise misfit


def _parse(text: str) -> Any:
    """Parse the JSON of an answer, also inside a Markdown fence.

    Raises:
        orjson.JSONDecodeError: There is none.
    """
    text = text.strip()
    if text.startswith(_FENCE):
        text = text.removesuffix(_FENCE).removeprefix(_FENCE).removeprefix("json")
    return orjson.loads(text)


def _complaint(answer: str, detail: str) -> list[Mapping[str, Any]]:
    """Return the wrong answer and what is wrong about it, as the next messages."""
    complaint = (
        f"That answer does not fit the required JSON Schema: {detail[:_REASON_CHARS]}\n"
        "Reply with the corrected JSON only."
    )
    return [
        {"role": "assistant", "content": answer[:_QUOTED_CHARS]},
        {"role": "user", "content": complaint},
    ]
