"""The response cache: the policy that answers equal calls, and the interface of its tiers.

An answer is kept as bytes, so that it costs its size alone and no record can change it for
another. What comes back is checked like a provider's answer: others may write there.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from pydantic import ValidationError

from streamapp.llm.chunks import give_whole
from streamapp.llm.completion import Call, Completion
from streamapp.llm.provider import Completer
from streamapp.llm.schemas.schema import Schemas
from streamapp.records import exact_json
from streamapp.records.response import Usage


class CacheTier(Protocol):
    """A place that keeps answers; it never raises and never waits long: a failure is a miss.

    It may keep them longer than it is told: the age of an answer is looked at when it is read.
    """

    @property
    def name(self) -> str:
        """For metrics."""
        ...

    async def get(self, fingerprint: str) -> bytes | None:
        """Return what `encode` wrote, or the bytes of a response record; None where unknown."""
        ...

    async def set(self, fingerprint: str, value: bytes, *, ttl_s: float) -> None:
        """Keep ``value`` for at most ``ttl_s`` seconds, or not at all."""
        ...

    async def aclose(self) -> None:
        """Release what the tier holds."""
        ...


def encode(completion: Completion, *, created_at: float) -> bytes:
    """Return a completion as JSON, by the names that it also has in a response record.

    Args:
        completion: With an output that is JSON.
        created_at: Seconds since the epoch.
    """
    return exact_json.dumps(
        {
            "output": completion.output,
            "model": completion.model,
            "provider": completion.provider,
            "finish_reason": completion.finish_reason,
            "usage": vars(completion.usage),  # numbers alone: `model_dump` costs ten times that
            **({"tool_calls": completion.tool_calls} if completion.tool_calls else {}),
            **({"logprobs": completion.logprobs} if completion.logprobs else {}),
            "created_at": created_at,
        }
    )


def decode(value: bytes) -> tuple[Completion, float]:
    """Return the completion that ``value`` holds, as a cached one, and when it was made.

    Args:
        value: What `encode` wrote, or a response record.

    Raises:
        ValueError: It is neither.
    """
    fields: Any = exact_json.loads(value)
    try:
        completion = Completion(
            output=fields["output"],
            model=fields["model"],
            provider=fields["provider"],
            finish_reason=fields["finish_reason"],
            tool_calls=_tool_calls(fields.get("tool_calls") or ()),
            logprobs=fields.get("logprobs"),
            original_usage=_usage(fields.get("usage")),
            attempts=0,
            cached=True,
            cost_usd=Decimal(0),
        )
        created_at = fields["created_at"]
        if isinstance(created_at, str):
            created_at = datetime.fromisoformat(created_at).timestamp()
        return completion, float(created_at)
    except (LookupError, TypeError) as error:
        raise ValueError("no cached answer") from error


class Cached:
    """Answers calls from its tiers, and keeps there what the provider answers.

    Only what is complete (it ended by itself) and valid (its schema was checked below) is kept.
    Calls without a fingerprint pass.

    Args:
        provider: What answers where no tier does.
        tiers: In the order to ask; an answer found in one is given to those before it.
        ttl_s: How long answers are kept, seconds, > 0; a call may have its own time.
        schemas: To check what is found.
        now: Seconds since the epoch.
        on_lookup: Hears each tier that was asked, and whether it knew.
    """

    def __init__(
        self,
        provider: Completer,
        *,
        tiers: Sequence[CacheTier],
        ttl_s: float,
        schemas: Schemas,
        now: Callable[[], float] = time.time,
        on_lookup: Callable[[str, bool], None] = lambda tier, is_hit: None,
    ) -> None:
        self._provider = provider
        self._tiers = tiers
        self._ttl_s = ttl_s
        self._schemas = schemas
        self._now = now
        self._on_lookup = on_lookup

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``; raises as the provider does."""
        if not call.fingerprint:
            return await self._provider.complete(call)
        found = await self._find(call)
        if found is not None:
            if call.chunks:
                await give_whole(call.chunks, found.output, is_cached=True)
            return found
        completion = await self._provider.complete(call)
        is_kept = not (completion.cached or completion.is_substitute)
        if not is_kept or not _is_complete(call, completion):
            return completion
        value = encode(completion, created_at=self._now())
        for tier in self._tiers:
            await tier.set(call.fingerprint, value, ttl_s=self._ttl_of(call))
        return completion.but(fingerprint=call.fingerprint)

    async def _find(self, call: Call) -> Completion | None:
        for position, tier in enumerate(self._tiers):
            value = await tier.get(call.fingerprint)
            found = self._read(value, call) if value is not None else None
            self._on_lookup(tier.name, found is not None)
            if value is None or found is None:
                continue
            completion, left_s = found
            for earlier in self._tiers[:position]:
                await earlier.set(call.fingerprint, value, ttl_s=left_s)
            return completion
        return None

    def _read(self, value: bytes, call: Call) -> tuple[Completion, float] | None:
        """Return the answer and the seconds left to it, where it can be given for ``call``."""
        try:
            completion, created_at = decode(value)
        except ValueError:
            return None
        left_s = min(created_at - self._now(), 0.0) + self._ttl_of(call)
        if left_s <= 0 or not _is_complete(call, completion):
            return None
        schema = call.output_schema
        if schema is not None and self._schemas.mismatch(schema, completion.output):
            return None
        return completion, left_s

    def _ttl_of(self, call: Call) -> float:
        return self._ttl_s if call.cache_ttl_s is None else call.cache_ttl_s


def _is_complete(call: Call, completion: Completion) -> bool:
    """Whether the output is a whole answer, of the shape that the call asks for."""
    output: Any = completion.output
    if call.operation == "embeddings":
        return isinstance(output, list) and len(output) == len(call.inputs)
    if completion.tool_calls:
        return completion.finish_reason in ("stop", "tool_calls")
    if completion.finish_reason != "stop":
        return False
    # A text that is empty may be a model's mishap: it is this call's answer, and no other's.
    return call.output_schema is not None or (isinstance(output, str) and bool(output.strip()))


def _tool_calls(value: Any) -> list[Mapping[str, Any]]:
    for call in value:
        function = call["function"]
        if not all(
            isinstance(v, str) for v in (call["id"], function["name"], function["arguments"])
        ):
            raise TypeError("no tool call")
    return list(value)


def _usage(value: Any) -> Usage | None:
    """Return the usage that stands with an answer; None where it is none, as of older versions."""
    try:
        return Usage.model_validate(value) if isinstance(value, dict) else None
    except ValidationError:
        return None
