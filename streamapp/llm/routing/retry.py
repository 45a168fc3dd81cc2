"""The retry loop, the only one: which errors are tried again, when, and until when."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from random import Random

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from streamapp.errors import (
    BudgetExceeded,
    Failure,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    RetriesExhausted,
    TargetBusy,
    TargetOpen,
)
from streamapp.llm.completion import Call, Completion
from streamapp.llm.provider import Completer
from streamapp.telemetry.frames import without_frames

#: How often a wait looks whether its target is to be left, seconds.
_POLL_INTERVAL_S = 0.25
#: With these no attempt was made.
UNTRIED = (BudgetExceeded, TargetBusy, TargetOpen)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLimits:
    """How long to insist; the record's deadline ends it earlier.

    Attributes:
        attempts: Attempts per call, the first one included; those that were refused (429) and
            others count apart.
        paid_attempts: The same for those that fail although they are paid for, or may be: an
            answer that is no completion, or too slow. Those before the call was held count.
        initial_s: Upper bound of the first wait, doubled with each attempt.
        cap_s: Upper bound of any such wait.
        retry_after_cap_s: Longest wish of a provider that is granted.
    """

    attempts: int = 10
    paid_attempts: int = 3
    initial_s: float = 0.5
    cap_s: float = 20.0
    retry_after_cap_s: float = 60.0


def backoff_s(attempt: int, *, limits: RetryLimits, rng: Random) -> float:
    """Return the wait after the ``attempt``-th failure: exponential with full jitter, seconds.

    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    return rng.uniform(0, min(limits.cap_s, limits.initial_s * 2 ** (attempt - 1)))


class Retrying:
    """Calls ``provider`` again while its errors say that this can help.

    It starts the record's deadline with the first attempt; a wait that would pass the deadline
    is not begun. To wait after a 429 is to wait for a limit: it does not count. Where the call
    moves on, a timeout or 429 ends it here at once, for another target.
    """

    def __init__(
        self,
        provider: Completer,
        *,
        limits: RetryLimits | None = None,
        rng: Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_retry: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """Wrap ``provider``.

        Args:
            provider: One target.
            limits: How long to insist.
            rng: Source of jitter.
            sleep: Waits for seconds.
            on_retry: Hears the name of the error before each wait for another attempt.
        """
        self._provider = provider
        self._on_retry = on_retry
        self._limits = limits or RetryLimits()
        self._rng = rng or Random()  # noqa: S311 - jitter needs no secrecy
        self._sleep = sleep

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``; the completion counts all attempts.

        Raises:
            RetriesExhausted: Attempts or deadline ran out; the last error is its cause.
            Failure: An error that a retry cannot help.
        """
        call.deadline.start()
        try:
            return await self._provider.complete(call)
        except ProviderError as error:
            _tell(error, call)
            if _is_retryable(error, call):
                return await self._again(call, error)
            error.attempts = 1 - isinstance(error, UNTRIED)
            error.paid = int(error.is_paid)
            raise
        except Failure as failure:
            failure.attempts = 1 - isinstance(failure, UNTRIED)
            raise

    async def _again(self, call: Call, first: ProviderError) -> Completion:
        """Hand over to tenacity, which costs too much CPU to run around calls that succeed."""
        attempts = paid = shared = refused = 0
        is_refused = is_back = False
        last = ""

        async def attempt() -> Completion:
            nonlocal attempts, paid, shared, refused, last
            attempts += 1
            try:
                if attempts == 1:
                    raise first
                if is_back:
                    raise TargetBusy("the call is taken back", provider="")
                return await self._provider.complete(call)
            except TargetOpen as error:
                # The error of a record that ends so says what opened the breaker, too.
                error.args = (f"{last}; {error}",)
                raise
            except ProviderError as error:
                paid += error.is_paid
                shared += error.shared
                refused += isinstance(error, RateLimited)
                last = str(error)
                if attempts > 1:
                    _tell(error, call)
                raise

        def is_over(state: RetryCallState) -> bool:
            nonlocal is_refused
            error = _error_of(state)
            is_refused = isinstance(error, RateLimited)
            is_late = state.upcoming_sleep >= call.remaining_s()
            alike = refused if is_refused else attempts - refused
            if isinstance(error, RateLimited) and error.is_own:
                alike += call.attempts_before
            return (
                alike >= self._limits.attempts
                or call.paid_before + paid - shared >= self._limits.paid_attempts
                or paid >= call.paid_left
                or (is_late and not is_refused)
            )

        async def sleep(seconds: float) -> None:
            nonlocal is_back
            with call.deadline.suspended() if is_refused else nullcontext():
                is_back = await self._wait(seconds, call, may_go_back=is_refused)

        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: _is_retryable(error, call)),
            wait=self._wait_s,
            stop=is_over,
            sleep=sleep,
            before_sleep=self._before_sleep,
            reraise=True,
        )
        try:
            completion: Completion = await retrying(attempt)
        except ProviderError as error:
            if not _is_retryable(error, call):
                error.attempts = attempts - isinstance(error, UNTRIED)
                error.paid, error.shared = paid, shared
                raise
            made = call.attempts_before + attempts
            exhausted = RetriesExhausted(f"gave up after attempt {made}: {error}")
            exhausted.attempts, exhausted.paid, exhausted.shared = attempts, paid, shared
            raise exhausted from error
        except Failure as failure:
            failure.attempts = attempts - isinstance(failure, UNTRIED)
            failure.paid, failure.shared = paid, shared
            raise
        finally:
            retrying.iter_state.reset()  # refers to `retrying`, which holds all of this
        return replace(completion, attempts=attempts)

    async def _wait(self, seconds: float, call: Call, *, may_go_back: bool) -> bool:
        """Wait before another attempt, no longer than the target is not left.

        Returns:
            Whether it is left since one before it takes the call back.
        """
        takes_back = call.is_taken_back if may_go_back else None
        if call.is_left is None and takes_back is None:
            await self._sleep(seconds)
            return False
        while seconds > 0 and not (call.is_left and call.is_left()):
            await self._sleep(min(seconds, _POLL_INTERVAL_S))
            seconds -= _POLL_INTERVAL_S
            if takes_back and takes_back():
                return True
        return False

    def _before_sleep(self, state: RetryCallState) -> None:
        error = _error_of(state)
        self._on_retry(type(error).__name__)
        if error is not None:
            without_frames(error)

    def _wait_s(self, state: RetryCallState) -> float:
        error = _error_of(state)
        if isinstance(error, Failure) and error.ends_probe:
            return 0.0  # when the next one is due is the breaker's to say
        wish_s = getattr(error, "retry_after_s", None) or 0.0
        jitter_s = backoff_s(state.attempt_number, limits=self._limits, rng=self._rng)
        return min(wish_s, self._limits.retry_after_cap_s) + jitter_s


def _is_retryable(error: BaseException, call: Call) -> bool:
    if not isinstance(error, ProviderError):
        return False
    if call.is_left is not None and call.is_left():
        return error.is_ours
    if isinstance(error, TargetBusy):
        return False
    if call.moves_on and isinstance(error, (ProviderTimeout, RateLimited)):
        return error.is_ours
    if call.asks_once and not isinstance(error, RateLimited):
        return error.is_ours
    return error.retryable


def _tell(error: ProviderError, call: Call) -> None:
    if not isinstance(error, UNTRIED):
        call.deadline.failed(str(error))


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
