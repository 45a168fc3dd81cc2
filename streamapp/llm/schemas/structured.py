"""Structured output: answers parsed, validated against their schema, and asked again in bounds."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from streamapp.errors import Failure, OutputInvalid, PartSent
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.prices import added_usd
from streamapp.llm.provider import Completer
from streamapp.llm.schemas.found_json import UnkeptNumber, found_json
from streamapp.llm.schemas.mismatch import said_of
from streamapp.llm.schemas.schema import Schemas
from streamapp.records.response import Usage

_QUOTED_CHARS = 20_000
_REASON_CHARS = 500


class Structured:
    """Gives the parsed object as ``output`` where a call has a schema; passes others on.

    A wrong answer is shown to the model with what is wrong about it; one that was cut at its
    length is not asked for again. Tokens and attempts of all
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
            PartSent: It was passed on for good, and does not fit.
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
            if completion.tool_calls:
                # No answer yet: the tools' results come first.
                return replace(completion, usage=usage, attempts=attempts, cost_usd=cost_usd)
            output, reason, detail = self._judged(call.output_schema, completion.output)
            if not reason:
                return replace(
                    completion,
                    output=output,
                    usage=usage,
                    attempts=attempts,
                    cost_usd=cost_usd,
                )
            call.deadline.invest()
            call = call.but(tries=None)  # what is asked about an answer counts for itself
            if completion.finish_reason == "length":
                # Asked again, it costs the same and ends the same.
                raise _misfit("the answer was cut at its length before it fitted", attempts)
            if call.is_sent:
                told = f"the answer was sent, and does not fit the schema: {reason}"
                sent = PartSent(told, provider=completion.provider)
                sent.kind, sent.attempts = OutputInvalid.kind, attempts
                raise sent
            ask = call
            if completion.output.strip():
                complaint = _complaint(completion.output, detail)
                ask = replace(call, messages=[*call.messages, *complaint])
        asks = f"{1 + self._reasks} asks" if self._reasks else "1 ask"
        raise _misfit(f"no answer fits the schema in {asks}; in the last one, {reason}", attempts)

    def _judged(self, schema: Mapping[str, Any], text: str) -> tuple[Any, str, str]:
        """Return the value in ``text`` that fits; or why none does, shortly and for the model."""
        reason, detail = "there is no JSON", "it is not valid JSON"
        try:
            for place, value in enumerate(found_json(text)):
                error = self._schemas.mismatch(schema, value)
                if error is None:
                    return value, "", ""
                if place == 0:
                    reason, detail = said_of(error), error.message
        except UnkeptNumber:
            reason = "there is a number of more digits than are kept"
            detail = "a number has more than 15 significant digits; write fewer"
        return None, reason, detail


def _misfit(message: str, attempts: int) -> OutputInvalid:
    misfit = OutputInvalid(message)
    misfit.attempts = attempts
    return misfit


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
