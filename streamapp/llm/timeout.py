"""The timeout of an attempt: the longest whole answer, or the longest silence of a stream."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from streamapp.errors import ProviderError, ProviderTimeout
from streamapp.llm.attempt import ATTEMPT, RIGHT, Attempt, permitted
from streamapp.llm.completion import Call, Completion
from streamapp.llm.provider import Completer
from streamapp.settings import DEFAULT_STREAM_IDLE_S, DEFAULT_TIMEOUT_S, ProviderSettings

#: The part of a silence after which a sign of life sets its timer anew.
_RESET_AFTER = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """How long an attempt may take.

    Attributes:
        timeout_s: Where it is answered whole.
        idle_s: Where it is streamed: the longest silence, before its first byte as well.
    """

    timeout_s: float = DEFAULT_TIMEOUT_S
    idle_s: float = DEFAULT_STREAM_IDLE_S

    @classmethod
    def of(cls, settings: ProviderSettings, model: str) -> "TimeLimits":
        """Return those of one model of a provider."""
        own = settings.models.get(model)
        return cls(
            timeout_s=(own and own.timeout_s) or settings.timeout_s or DEFAULT_TIMEOUT_S,
            idle_s=(own and own.stream_idle_s) or settings.stream_idle_s or DEFAULT_STREAM_IDLE_S,
        )


class TimeLimited:
    """Cuts an attempt of ``provider`` off, whatever it is doing: connecting, reading, dripping.

    It sits inside every policy that waits, so that only the attempt itself is timed. A streamed
    answer may take what the record's deadline leaves, as long as it flows.
    """

    def __init__(self, provider: Completer, *, name: str, limits: TimeLimits) -> None:
        self._provider = provider
        self._name = name
        self._limits = limits

    async def complete(self, call: Call) -> Completion:
        """Answer ``call`` in time.

        Raises:
            ProviderTimeout: The time is up; at once, without an attempt, where none is left.
            ProviderError: As of the provider; it knows whether it is paid for.
            LeaseLost: Another worker answers the record.
        """
        right = RIGHT.get()
        if right is not None and not right.is_valid:
            await permitted()
        is_streamed = call.chunks is not None
        most_s = self._limits.idle_s if is_streamed else self._limits.timeout_s
        left_s = call.remaining_s()
        limit_s = min(most_s, left_s)
        attempt = ATTEMPT.get() or Attempt()
        attempt.asked = (call.messages, call.inputs, call.parameters, call.output_schema)
        token = ATTEMPT.set(attempt)
        try:
            if limit_s <= 0:
                raise TimeoutError
            async with asyncio.timeout(limit_s) as cut:
                if is_streamed:
                    attempt.on_sign = _put_off(cut, idle_s=most_s, left_s=left_s)
                return await self._provider.complete(call)
        except TimeoutError as error:
            late = ProviderTimeout(
                f"{self._name}: no complete answer within {max(limit_s, 0):.2f} s"
                if limit_s == left_s or not is_streamed
                else f"{self._name}: nothing came of a streamed answer for {limit_s:.2f} s",
                provider=self._name,
            )
            late.is_paid = limit_s > 0
            raise late from error
        except ProviderError as error:
            error.is_paid = error.is_paid or attempt.is_answered
            raise
        finally:
            ATTEMPT.reset(token)


def _put_off(cut: asyncio.Timeout, *, idle_s: float, left_s: float) -> Callable[[], None]:
    """Return what puts off the end of an attempt at each sign of life, up to its last moment."""
    loop = asyncio.get_running_loop()
    seen_at = loop.time()
    last_at = seen_at + left_s

    def on_sign() -> None:
        nonlocal seen_at
        now = loop.time()
        if now - seen_at > idle_s * _RESET_AFTER and not cut.expired():
            seen_at = now
            cut.reschedule(min(now + idle_s, last_at))

    return on_sign
