"""Fallback over the targets of a route, by the kind of error; holds the call when all are down."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from streamapp.errors import (
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
from streamapp.llm.routing.record_refusals import RecordRefusals
from streamapp.llm.routing.remaining import Candidate, Remaining
from streamapp.llm.routing.tries import Tries, at_fault
from streamapp.telemetry.frames import without_frames

_POLL_INTERVAL_S = 0.25
#: How long a refused call waits for an answer to another one, before it asks again.
_OTHERS_S = 1.0
#: How often a call may open a breaker by itself, while others are answered in between.
_FAULTS = 3
#: The part of what is left of the deadline that is kept for the targets after this one.
_RESERVE = 1 / 3
_SPENT = "its time was over before this call: raise STREAMAPP_DEADLINE_S, or deadline_s of its flow"
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


class Fallback:
    """Asks the targets in order until one answers; holds the call while all of them are down.

    A call that is held waits without a bound: Kafka is the queue. It is given its whole time
    again, since an outage is no fault of the record. Who waits longest asks first. A caller who
    waits is told at once where all targets refuse every call, as by a wrong key, and of a limit
    once a call has used up its attempts there. Only a call
    that opens breakers by itself, again and again while others are answered, is given up: it is
    what makes its targets fail. A model that is slower than its timeout cannot be told from one
    that is down: where a call was paid for several times in vain it is not asked again, nor held,
    as `Remaining` says.

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
            RetriesExhausted: The call makes the targets fail, which answer others, or earlier
                calls used up the record's time, and not all targets are down.
            Failure: No other target can help; ``attempts`` counts those of all targets.
        """
        faults = 0
        tries = call.tries or Tries(self._paid_attempts)
        asking = _Asking(call, self._candidates, tries, moves_on=self._moves_on)
        if call.deadline.remaining_s() <= 0 and not asking.remaining.is_down:
            raise tries.counted(RetriesExhausted(_SPENT))
        while True:
            completion = await asking.completion()
            if completion is not None:
                return completion
            last, remaining = asking.failures[-1], asking.remaining
            told = remaining.told(last) if call.deadline.is_waited_for else None
            is_reduced = remaining.is_reduced(call)
            if not asking.is_special and (special := self._special(last, tries)):
                asking.turn_to(special)
            elif not isinstance(last, _ELSEWHERE):
                raise last
            elif asking.is_taken_back:
                asking.begin(remaining.rest)
            elif not is_reduced and not remaining.is_down and (early := asking.left_early()):
                asking.moves_on = False  # now each is waited for
                asking.begin(early)
            elif (is_forbidden := asking.is_forbidden) or is_reduced:
                if is_forbidden:
                    await self._until_others_are_answered(call, remaining.all)
                if is_reduced:
                    if told:
                        raise told
                    await self._until_known(asking)
                else:
                    asking.begin(remaining.all)
            elif remaining.is_outage:
                if asking.is_at_fault:
                    faults += 1
                    if faults >= _FAULTS + (not remaining.is_down):  # what is up is asked first
                        raise at_fault(last)
                if told:
                    raise told
                await self._hold(asking)
            else:
                raise remaining.error(last)

    def _special(self, failure: Failure, tries: Tries) -> Sequence[Candidate]:
        special: Sequence[Candidate] = ()
        if isinstance(failure, ContextLengthExceeded):
            special = self._context_length
        elif isinstance(failure, ContentFiltered):
            special = self._content_filter
        return [one for one in special if not tries.is_used_up(one.breaker.name)]

    async def _until_others_are_answered(self, call: Call, candidates: Sequence[Candidate]) -> None:
        """Wait for an answer to another call: it tells a refused record from a refused account."""
        before = sum(candidate.breaker.answers for candidate in candidates)
        with call.deadline.suspended():
            for _ in range(round(_OTHERS_S / _POLL_INTERVAL_S)):
                await self._sleep(_POLL_INTERVAL_S)
                if sum(candidate.breaker.answers for candidate in candidates) > before:
                    break

    async def _until_known(self, asking: "_Asking") -> None:
        """Wait until what is left may be asked once more.

        What others ask already is waited for, but not what they ask from now on: they may always.

        Raises:
            AllProvidersFailed: Nothing is left that is not known to be down.
        """
        remaining, deadline = asking.remaining, asking.call.deadline
        probes = [(one.breaker, one.breaker.probes) for one in remaining.rest]
        with deadline.suspended():
            async with self._rest_line:
                while (is_down := all(one.breaker.wait_s() for one in remaining.rest)) and any(
                    breaker.is_probed_by(before) for breaker, before in probes
                ):
                    await self._sleep(_POLL_INTERVAL_S)
        if is_down:
            raise remaining.error(asking.failures[-1])
        deadline.restart()
        asking.begin(remaining.rest, is_again=True)

    async def _hold(self, asking: "_Asking") -> None:
        """Wait until one of the targets may be asked: what failed so far were they."""
        remaining, deadline = asking.remaining, asking.call.deadline
        with deadline.suspended():
            deadline.restart()
            async with self._line:
                while wait_s := remaining.held_s():
                    await self._sleep(min(wait_s, _POLL_INTERVAL_S))
        remaining.renew()
        asking.begin(remaining.all)


class _Asking:
    """One call on its way over the targets.

    Attributes:
        remaining: What it has left of them.
        failures: What those ended with that were asked last, in their order.
        moves_on: Whether one is left after its first timeout or 429, with another one left.
        is_special: Whether they stand in for the route's.
        is_at_fault: Whether the call alone opened a breaker, when those were asked last.
        is_taken_back: Whether one that had turned the call away is well again.
    """

    def __init__(
        self, call: Call, candidates: Sequence[Candidate], tries: Tries, *, moves_on: bool
    ) -> None:
        self.call = call
        self.remaining = Remaining(candidates, tries)
        self.failures: list[Failure] = []
        self.moves_on = moves_on
        self.is_special = self.is_at_fault = self.is_taken_back = self._is_again = False
        self._left = self.remaining.first()
        self._tries = tries
        self._refusals: RecordRefusals | None = None

    def begin(self, left: Sequence[Candidate], *, is_again: bool = False) -> None:
        """Say who is asked next, in order, and whether that is once more."""
        self._left, self._is_again = left, is_again

    def turn_to(self, special: Sequence[Candidate]) -> None:
        """Ask those that stand in for the route's."""
        self.remaining = Remaining(special, self._tries)
        self.is_special = True
        self.begin(special)

    async def completion(self) -> Completion | None:
        """Ask each that is left until one answers; None where none does."""
        self.failures, self.is_at_fault, self.is_taken_back = [], False, False
        self.remaining.begin()
        for place, candidate in enumerate(self._left, 1):
            has_time = self.call.deadline.remaining_s() > 0
            if self.failures and not has_time:
                break
            others = self._left[place:]
            try:
                completion = await candidate.provider.complete(self._call(candidate, others))
            except Failure as failure:
                self._note(candidate, failure, has_time=has_time)
                if not self._goes_on():
                    break
            else:
                if self._tries.attempts or completion.attempts > 1:
                    self.call.deadline.answered()
                return self._tries.answered(candidate.breaker, completion)
        return None

    @property
    def is_forbidden(self) -> bool:
        """Whether a target that is up may have refused the record, or the account."""
        return any(
            isinstance(failure, ProviderForbidden) and not candidate.breaker.is_open
            for candidate, failure in zip(self._left, self.failures, strict=False)
        )

    def left_early(self) -> Sequence[Candidate]:
        """Return those that may do better when they are waited for."""
        *before, last = self.failures
        refused = (RateLimited, TargetBusy)
        asked_last = self._left[len(before)]
        is_away = isinstance(last, TargetOpen) or isinstance(last.__cause__, RateLimited)
        early = (*refused, ProviderTimeout) if is_away or asked_last.breaker.is_open else refused
        return [
            candidate
            for candidate, failure in zip(self._left, before, strict=False)
            if self.moves_on and isinstance(failure, early) and failure.retryable
        ]

    def _call(self, candidate: Candidate, others: Sequence[Candidate]) -> Call:
        """Return the call as it is made there; others that are up have a part of its time."""
        call = self._tries.noted(self.call, candidate.breaker.name)
        if others or self._is_again:
            is_left = (lambda: candidate.is_left_for(others)) if others else None
            call = call.but(asks_once=self._is_again, is_left=is_left)
        if self.remaining.has_turned_away and not self._is_again:
            call = call.but(is_taken_back=self.remaining.is_taken_back)
        if all(other.breaker.is_open for other in others):
            return call
        reserved_s = max(call.deadline.remaining_s(), 0.0) * _RESERVE
        return call.but(reserved_s=reserved_s, moves_on=self.moves_on)

    def _note(self, one: Candidate, failure: Failure, *, has_time: bool) -> None:
        was_asked = failure.attempts > 0 or not isinstance(failure, TargetOpen)
        self.is_at_fault |= one.breaker.was_opened_by(failure.attempts)
        self._tries.add(one.breaker, failure)
        if self._tries.is_at_fault(one.breaker.name):
            failure = at_fault(failure)
        if isinstance(failure, ProviderForbidden):
            self._refusals = self._refusals or RecordRefusals()
            failure = self._refusals.judged(failure, one.breaker)
        if not isinstance(failure, InternalError):  # whose origin is told
            without_frames(failure)
        self.failures.append(failure)
        self.is_taken_back = self.remaining.turned_away(one, failure) and not self._is_again
        if was_asked and has_time:
            self.remaining.note(one, failure, is_again=self._is_again)

    def _goes_on(self) -> bool:
        """Whether the next one may answer what ended so."""
        kinds = (*_ELSEWHERE, *_SPECIAL) if self.is_special else _ELSEWHERE
        return isinstance(self.failures[-1], kinds) and not self.is_taken_back
