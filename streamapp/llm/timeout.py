"""The timeout of an attempt: the longest whole answer, or the longest silence of a stream."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from streamapp.errors import ProviderError, ProviderTimeout, ProviderUnavailable
from streamapp.llm.attempt import ATTEMPT, RIGHT, Attempt, permitted
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import DEADLINE, Deadline
from streamapp.llm.provider import Completer
from streamapp.running_clock import RunningClock
from streamapp.settings import DEFAULT_STREAM_IDLE_S, DEFAULT_TIMEOUT_S, ProviderSettings

#: With these, and without a status, nothing came of the provider.
_SILENCES = (ProviderTimeout, ProviderUnavailable)
#: Least time between two looks at a clock, which may stand still, seconds.
_LOOK_S = 0.01


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
    answer may take what the record's deadline leaves, as long as it flows. Time in which this
    process stood still does not count: what was answered meanwhile is read afterwards. What broke
    meanwhile is excused, but only of calls that were on their way: a loop that is blocked again and
    again would hide a provider that is down.

    Args:
        provider: One target.
        name: The configured provider's name.
        limits: How long an attempt may take.
        running: Of the process; the loop's time where None.
    """

    def __init__(
        self,
        provider: Completer,
        *,
        name: str,
        limits: TimeLimits,
        running: RunningClock | None = None,
    ) -> None:
        self._provider = provider
        self._name = name
        self._limits = limits
        self._clock = running or RunningClock(_loop_time_s)
        #: Calls that did not begin before are not excused; infinite after an answer.
        self._excused_until = math.inf

    async def complete(self, call: Call) -> Completion:
        """Answer ``call`` in time.

        Raises:
            ProviderTimeout: The time is up; at once, without an attempt, where none is left.
            ProviderError: As of the provider; it knows whether it is paid for, and whether this
                process stood still meanwhile.
            LeaseLost: Another worker answers the record.
        """
        right = RIGHT.get()
        if right is not None and not right.is_valid:
            with call.deadline.standing():
                await permitted()
        is_streamed = call.chunks is not None
        most_s = self._limits.idle_s if is_streamed else self._limits.timeout_s
        left_s = call.remaining_s()
        limit_s = min(most_s, left_s)
        attempt = ATTEMPT.get() or Attempt()
        attempt.asked = (call.messages, call.inputs, call.parameters, call.output_schema)
        token = ATTEMPT.set(attempt)
        began_at, stood_s = self._clock.read()
        try:
            if limit_s <= 0:
                raise TimeoutError
            call.deadline.ask()
            async with asyncio.timeout(None) as timeout:
                cut = _Cut(timeout, self._clock, limit_s, began_at=began_at)
                if is_streamed:
                    attempt.on_sign = cut.put_off(idle_s=most_s, left_s=left_s)
                attempt.standing = lambda: cut.standing(call.deadline)
                try:
                    completion = await self._provider.complete(call)
                finally:
                    attempt.standing = None
                    cut.cancel()
            self._excused_until = math.inf
            return completion
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
            if not isinstance(error, _SILENCES) or error.status is not None:
                self._excused_until = math.inf
            elif self._clock.stood_s > stood_s and began_at < self._excused_until:
                error.is_ours = True
                self._excused_until = min(self._excused_until, self._clock())
            raise
        finally:
            ATTEMPT.reset(token)


@asynccontextmanager
async def time_limit(limit_s: float) -> AsyncIterator[asyncio.Timeout]:
    """Bound a block as `asyncio.timeout` does, without waits for Kafka of this task's record."""
    deadline, now = DEADLINE.get(), asyncio.get_running_loop().time

    def clock() -> float:
        return now() if deadline is None else now() - deadline.stood_s()

    async with asyncio.timeout(None) as timeout:
        cut = _Cut(timeout, clock, limit_s, began_at=clock())
        try:
            yield timeout
        finally:
            cut.cancel()


class _Cut:
    """Ends ``timeout`` after ``limit_s`` seconds of ``clock``, which may be later by the loop's."""

    __slots__ = ("_clock", "_ends_at", "_handle", "_last_at", "_timeout")

    def __init__(
        self,
        timeout: asyncio.Timeout,
        clock: Callable[[], float],
        limit_s: float,
        *,
        began_at: float,
    ) -> None:
        self._timeout = timeout
        self._clock = clock
        self._ends_at = self._last_at = began_at + limit_s
        self._handle = asyncio.get_running_loop().call_later(limit_s, self._look)

    def put_off(self, *, idle_s: float, left_s: float) -> Callable[[], None]:
        """Return what puts the end off at each sign of life, up to the attempt's last moment."""
        clock = self._clock
        self._last_at = clock() + left_s

        def on_sign() -> None:
            self._ends_at = min(clock() + idle_s, self._last_at)

        return on_sign

    @contextmanager
    def standing(self, deadline: Deadline) -> Iterator[None]:
        """Let no time pass inside the block, of ``deadline`` neither."""
        self._handle.cancel()
        began_at = self._clock()
        try:
            with deadline.standing():
                yield
        finally:
            stood_s = self._clock() - began_at
            self._ends_at += stood_s
            self._last_at += stood_s
            self._look()

    def cancel(self) -> None:
        """Leave the timeout alone: the attempt is over."""
        self._handle.cancel()

    def _look(self) -> None:
        left_s = self._ends_at - self._clock()
        loop = asyncio.get_running_loop()
        if left_s > 0:
            self._handle = loop.call_later(max(left_s, _LOOK_S), self._look)
        elif not self._timeout.expired():
            self._timeout.reschedule(loop.time())


def _loop_time_s() -> float:
    return asyncio.get_running_loop().time()
