"""Fallback over the targets of a route, by the kind of error; holds the call when all are down."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from streamapp.errors import (
    AllProvidersFailed,
    ContentFiltered,
    ContextLengthExceeded,
    Failure,
    GarbledAnswer,
    InternalError,
    ProviderDenied,
    ProviderForbidden,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
    RetriesExhausted,
    TargetBusy,
    TargetOpen,
)
from streamapp.llm.completion import Call, Completion
from streamapp.llm.provider import Completer
from streamapp.llm.routing.breaker import Breaker
from streamapp.llm.routing.record_refusals import RecordRefusals
from streamapp.llm.routing.tries import Tries
from streamapp.telemetry.frames import without_frames

_POLL_INTERVAL_S = 0.25
#: How long a refused call waits for an answer to another one, before it asks again.
_OTHERS_S = 1.0
#: How often a call may open a breaker by itself, while others are answered in between.
_FAULTS = 3
#: The part of what is left of the deadline that is kept for the targets after this one.
_RESERVE = 1 / 3
#: What another target may do better.
_ELSEWHERE = (
    RetriesExhausted,
    ProviderDenied,
    TargetOpen,
    TargetBusy,
    RateLimited,
    ProviderTimeout,
    ProviderUnavailable,
    GarbledAnswer,
)
_SPECIAL = (ContextLengthExceeded, ContentFiltered)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One target: its policies, and the breaker among them."""

    provider: Completer
    breaker: Breaker


class Fallback:
    """Asks the targets in order until one answers; holds the call while all of them are down.

    A call that is held waits without a bound: Kafka is the queue. It is given its whole time
    again, since an outage is no fault of the record. Who waits longest asks first. A caller who
    waits is told at once where all targets refuse every call, as by a wrong key. Only a call
    that opens breakers by itself, again and again while others are answered, is given up: it is
    what makes its targets fail. A model that is slower than its timeout cannot be told from one
    that is down: a target that a call was paid for at several times in vain is not asked again
    for it. Where all others are open then, what may be back is asked, and the call is given up.

    Args:
        candidates: At least one, in order.
        context_length: In place of the rest, where the input does not fit.
        content_filter: In place of the rest, where a provider's policy refuses.
        moves_on: Whether a target is left after its first timeout or 429, with another one left.
        paid_attempts: How often a call may be paid for in vain at each target, over all waits.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        context_length: Sequence[Candidate] = (),
        content_filter: Sequence[Candidate] = (),
        moves_on: bool = False,
        paid_attempts: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._candidates = candidates
        self._context_length = context_length
        self._content_filter = content_filter
        self._moves_on = moves_on
        self._paid_attempts = paid_attempts
        self._sleep = sleep
        # Of those that wait only the first one polls: there may be thousands.
        self._line, self._rest_line = asyncio.Lock(), asyncio.Lock()

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``; the completion counts the attempts at all targets.

        Raises:
            AllProvidersFailed: Every one of several targets failed, or was not asked since it is
                taken for down, which is said; the last error is its cause.
            RetriesExhausted: The call makes the targets fail, which answer others.
            Failure: No other target can help; ``attempts`` counts those of all targets.
        """
        faults, tries = 0, Tries()
        candidates, moves_on = self._candidates, self._moves_on
        left = candidates  # but for those that it was paid for at often enough
        rest_asked: set[str] = set()  # those of them that were asked since it is less than all
        refusals: RecordRefusals | None = None
        asked: dict[str, Failure] = {}
        while True:
            failures: list[Failure] = []
            is_at_fault = False
            is_rest = len(left) < len(candidates)
            for place, candidate in enumerate(left):
                name = candidate.breaker.name
                others = [other for other in left[place + 1 :] if not other.breaker.wait_s()]
                own = tries.noted(call, name)
                try:
                    completion = await candidate.provider.complete(
                        _with_reserve(own, moves_on=moves_on) if others else own
                    )
                except Failure as failure:
                    was_asked = failure.attempts > 0 or not isinstance(failure, TargetOpen)
                    if is_rest and was_asked:
                        rest_asked.add(name)
                    is_at_fault |= candidate.breaker.was_opened_by(failure.attempts)
                    tries.add(name, failure)
                    if isinstance(failure, ProviderForbidden):
                        refusals = refusals or RecordRefusals()
                        failure = refusals.judged(failure, candidate.breaker)
                    if not isinstance(failure, InternalError):  # whose origin is told
                        without_frames(failure)
                    failures.append(failure)
                    if was_asked:
                        asked.pop(name, None)  # the newest one stands last
                        asked[name] = failure
                    if not self._goes_on(failure, candidates):
                        break
                else:
                    if tries.attempts:
                        attempts = tries.attempts + completion.attempts
                        completion = replace(completion, attempts=attempts)
                    return completion
            last, asked_now = failures[-1], left[: len(failures)]
            left = self._left(candidates, tries)
            unasked = [one for one in left if one.breaker.name not in rest_asked]
            if candidates is self._candidates and (
                special := self._left(self._special(last), tries)
            ):
                candidates = left = special
            elif not isinstance(last, _ELSEWHERE):
                raise last
            elif len(left) < len(candidates) and all(one.breaker.is_open for one in left):
                if not any(one.breaker.may_be_back for one in unasked):
                    raise _final(last, candidates, asked)
                await self._until_known(call, unasked)
            elif all(candidate.breaker.is_open for candidate in candidates):
                faults += is_at_fault
                if faults == _FAULTS:
                    raise _poisonous(last)
                if call.deadline.is_waited_for and all(c.breaker.denial for c in candidates):
                    raise _denied(last, candidates)
                await self._hold(call, candidates)
            elif moves_on and _was_left_early(failures, is_down=asked_now[-1].breaker.is_open):
                moves_on = False  # no other answers: now each is waited for
            elif isinstance(last, ProviderForbidden):
                await self._until_others_are_answered(call, candidates)
            elif not any(
                isinstance(failure, TargetOpen) and not candidate.breaker.is_open
                for failure, candidate in zip(failures, asked_now, strict=True)
            ):
                if len(left) == len(candidates) or all(one.breaker.is_open for one in unasked):
                    raise _final(last, candidates, asked)
                with call.deadline.suspended():  # one that has come back since it was asked
                    call.deadline.restart()

    def _left(self, candidates: Sequence[Candidate], tries: Tries) -> Sequence[Candidate]:
        """Return those of ``candidates`` that the call may still be paid for at."""
        if not tries.paid:
            return candidates
        most = self._paid_attempts
        return [one for one in candidates if tries.paid_at(one.breaker.name) < most]

    def _goes_on(self, failure: Failure, candidates: Sequence[Candidate]) -> bool:
        """Whether the next one of ``candidates`` may answer what ended with ``failure``."""
        is_special = candidates is not self._candidates
        return isinstance(failure, _ELSEWHERE) or (is_special and isinstance(failure, _SPECIAL))

    def _special(self, failure: Failure) -> Sequence[Candidate]:
        if isinstance(failure, ContextLengthExceeded):
            return self._context_length
        return self._content_filter if isinstance(failure, ContentFiltered) else ()

    async def _until_others_are_answered(self, call: Call, candidates: Sequence[Candidate]) -> None:
        """Wait for an answer to another call: it tells a refused record from a refused account."""
        before = sum(candidate.breaker.answers for candidate in candidates)
        with call.deadline.suspended():
            for _ in range(round(_OTHERS_S / _POLL_INTERVAL_S)):
                await self._sleep(_POLL_INTERVAL_S)
                if sum(candidate.breaker.answers for candidate in candidates) > before:
                    break

    async def _until_known(self, call: Call, rest: Sequence[Candidate]) -> None:
        """Wait until one of the targets may be asked, or all are known to be down."""
        with call.deadline.suspended():
            call.deadline.restart()
            async with self._rest_line:
                while any(one.breaker.may_be_back for one in rest) and all(
                    one.breaker.wait_s() for one in rest
                ):
                    await self._sleep(_POLL_INTERVAL_S)

    async def _hold(self, call: Call, candidates: Sequence[Candidate]) -> None:
        """Wait until one of the targets may be asked."""
        with call.deadline.suspended():
            call.deadline.restart()
            async with self._line:
                while wait_s := min(candidate.breaker.wait_s() for candidate in candidates):
                    await self._sleep(min(wait_s, _POLL_INTERVAL_S))


def _was_left_early(failures: Sequence[Failure], *, is_down: bool) -> bool:
    """Whether a target may do better when it is waited for."""
    *left, last = failures
    refused = (RateLimited, TargetBusy)
    early = (*refused, ProviderTimeout) if is_down or isinstance(last, TargetOpen) else refused
    return any(isinstance(failure, early) and failure.retryable for failure in left)


def _with_reserve(call: Call, *, moves_on: bool) -> Call:
    """Return the call for a target that is not the last one."""
    reserved_s = max(call.deadline.remaining_s(), 0.0) * _RESERVE
    return call.but(reserved_s=reserved_s, moves_on=moves_on)


def _final(
    last: Failure, candidates: Sequence[Candidate], asked: Mapping[str, Failure] | None = None
) -> Failure:
    """Return the error of a route of which no target answered.

    Args:
        last: What the last target ended with.
        candidates: All that may answer.
        asked: By their names, what those ended with that were asked, the newest last; None
            where it is known of all that they fail.
    """
    targets = len(candidates)
    if targets == 1:
        return last
    names = (candidate.breaker.name for candidate in candidates)
    told, spared = f"all {targets} targets failed", [n for n in names if asked and n not in asked]
    if spared:
        told = f"{targets - len(spared)} of {targets} targets failed; {', '.join(spared)}"
        told += f" {'was' if len(spared) == 1 else 'were'} not asked: taken for down"
    cause = [*asked.values()][-1] if asked else last
    failed = AllProvidersFailed(f"{told}; the last one: {cause}")
    failed.attempts = last.attempts
    failed.__cause__ = cause
    return failed


def _denied(last: Failure, candidates: Sequence[Candidate]) -> Failure:
    """Return the error of a call for whose targets an operator must act."""
    breaker = candidates[-1].breaker
    provider, _, _ = breaker.name.partition("/")
    denied = ProviderDenied(breaker.denial, provider=provider)
    denied.attempts = last.attempts
    return _final(denied, candidates)


def _poisonous(last: Failure) -> Failure:
    failed = RetriesExhausted("gave up: it makes the provider fail, which answers others")
    failed.attempts = last.attempts
    failed.__cause__ = last
    return failed
