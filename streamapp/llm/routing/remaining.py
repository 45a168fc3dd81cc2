"""The targets of its route that a call has left, and when it is given up."""

from collections.abc import Sequence
from dataclasses import dataclass

from streamapp.errors import (
    AllProvidersFailed,
    Failure,
    ProviderDenied,
    ProviderForbidden,
    ProviderTimeout,
    RateLimited,
    RetriesExhausted,
    TargetBusy,
    TargetOpen,
)
from streamapp.llm.completion import Call
from streamapp.llm.limits.limited import Limited
from streamapp.llm.provider import Completer
from streamapp.llm.routing.breaker import Breaker
from streamapp.llm.routing.tries import Tries

#: So often a target that refused a call takes it back from the next one.
_TAKEN_BACK = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """One target: its policies, and the breaker and the limits among them."""

    provider: Completer
    breaker: Breaker
    limited: Limited

    def takes_back(self) -> bool:
        """Whether it takes a call that it turned away; no more of them than it has room for.

        One that is down is to be looked at where nobody has asked it for long.
        """
        breaker = self.breaker
        if not breaker.is_open:
            return self.limited.takes_back()
        return breaker.untried_s > 0 and breaker.wait_s() == 0 and self.limited.takes_back(1)

    def is_left_for(self, others: Sequence["Candidate"]) -> bool:
        """Whether it is taken for down, and one of ``others`` may be asked now."""
        return self.breaker.is_open and not all(other.breaker.wait_s() for other in others)


class Remaining:
    """What is left of a route for one call.

    A target is used up when the call was paid for there in vain often enough, or when it is up
    and did not answer in all the attempts, or all the time, that the call had. From then on each
    target that has not failed the call while it was up has a call and a time of its own: at once
    where it is up, and once where it may be back. When none is left to ask, the call is given up.

    Args:
        candidates: At least one.
        tries: Of the call, at all targets.

    Attributes:
        all: All that may answer.
    """

    def __init__(self, candidates: Sequence[Candidate], tries: Tries) -> None:
        self.all = candidates
        self._tries = tries
        #: What those ended with that were asked, by their names, the newest last.
        self._ends = tries.used_up([one.breaker.name for one in candidates])
        #: Those that failed the call while they were up, and which may do better with more time.
        self._failed: set[str] = set()
        self._left_early: set[str] = set()
        self._probed: set[str] = set()
        self._turned_away: dict[str, Candidate] = {}
        self._refusals: dict[str, int] = {}
        self._is_back = False

    def first(self) -> Sequence[Candidate]:
        """Return whom to ask at first: not those that were used up before a budget acted.

        Raises:
            Failure: None is left; what the last one ended with.
        """
        if rest := self.rest:
            return rest
        raise self.error()

    @property
    def rest(self) -> Sequence[Candidate]:
        """Those that are to be asked, or may be, where one is used up."""
        return [one for one in self.all if not self._is_left_out(one)]

    @property
    def is_down(self) -> bool:
        """Whether all targets are taken for down."""
        return all(one.breaker.is_open for one in self.all)

    @property
    def is_outage(self) -> bool:
        """Whether no target has failed the call that is up: what did was down, and may be back."""
        return not any(self._has_failed(one) for one in self.all)

    def is_reduced(self, call: Call) -> bool:
        """Whether one of the targets is used up."""
        has_time = call.deadline.remaining_s() > 0
        return any(
            self._tries.is_used_up(one.breaker.name)
            or (self._has_failed(one) and not (has_time and one.breaker.name in self._left_early))
            for one in self.all
        )

    def note(self, candidate: Candidate, failure: Failure, *, is_again: bool) -> None:
        """Take note of what a call that had time ended with.

        Args:
            candidate: Who was asked.
            failure: What it ended with there.
            is_again: Whether it was asked once more.
        """
        name, is_up = candidate.breaker.name, not candidate.breaker.is_open
        self._ends.pop(name, None)
        self._ends[name] = self._tries.ends[name] = failure
        if isinstance(failure, TargetBusy) or (is_up and _is_undecided(failure)):
            return
        if is_again:
            self._probed.add(name)
        self._failed.discard(name)
        self._left_early.discard(name)
        if is_up:
            self._failed.add(name)
            if isinstance(failure, ProviderTimeout):
                self._left_early.add(name)

    def begin(self) -> None:
        """Begin a round: all that are left are asked anew, in their order."""
        self._turned_away.clear()
        self._is_back = False

    def turned_away(self, candidate: Candidate, failure: Failure) -> bool:
        """Note whether ``candidate`` may take the call back from the targets after it.

        Args:
            candidate: Who was asked.
            failure: What it ended with there: a limit, or an outage, which may be over soon.

        Returns:
            Whether one before it takes the call back, as `is_taken_back` said.
        """
        name = candidate.breaker.name
        is_taken_back = isinstance(failure, TargetBusy) and self._is_back
        if isinstance(failure, RateLimited):
            self._refusals[name] = self._refusals.get(name, 0) + 1
        is_away = isinstance(failure, (RateLimited, TargetBusy, TargetOpen))
        if (is_away or candidate.breaker.is_open) and self._refusals.get(name, 0) <= _TAKEN_BACK:
            self._turned_away[name] = candidate
        return is_taken_back

    @property
    def has_turned_away(self) -> bool:
        """Whether one of those that were asked may take the call back."""
        return bool(self._turned_away)

    def is_taken_back(self) -> bool:
        """Whether one of those that turned the call away takes it back; remembered till `begin`."""
        may_be = [one for one in self._turned_away.values() if not self._is_left_out(one)]
        self._is_back = any(one.takes_back() for one in may_be)
        return self._is_back

    def error(self, last: Failure | None = None) -> Failure:
        """Return the error of a route of which no target answered.

        Args:
            last: What the last one that was tried ended with; None where all were used up before.
        """
        targets = len(self.all)
        last = last or [*self._ends.values()][-1]
        if targets == 1:
            return self._tries.counted(last)
        names = [one.breaker.name for one in self.all]
        spared = [name for name in names if self._ends and name not in self._ends]
        told = f"all {targets} targets failed"
        if spared:
            told = f"{targets - len(spared)} of {targets} targets failed; {', '.join(spared)}"
            told += f" {'was' if len(spared) == 1 else 'were'} not asked: taken for down"
        cause = [*self._ends.values()][-1] if self._ends else last
        failed = AllProvidersFailed(f"{told}; the last one: {cause}")
        failed.__cause__ = cause
        return self._tries.counted(failed)

    def told(self, last: Failure) -> Failure | None:
        """Return the error for a caller who would wait for long: until an operator acts, for one.

        Args:
            last: What the last one that was tried ended with.
        """
        if any(isinstance(end.__cause__, RateLimited) for end in self._ends.values()):
            return self.error(last)
        if not all(one.breaker.denial for one in self.all):
            return None
        breaker = self.all[-1].breaker
        provider, _, _ = breaker.name.partition("/")
        denied = ProviderDenied(breaker.denial, provider=provider)
        denied.attempts, denied.paid = last.attempts, last.paid
        return Remaining(self.all, self._tries).error(denied)

    def held_s(self) -> float:
        """Return after how many seconds a call that was held may begin; 0 for now."""
        up = [one for one in self.all if not one.breaker.is_open]
        return min(one.breaker.held_s() for one in up or self.all)

    def renew(self) -> None:
        """Begin after a hold: forget all but what was paid, since the rest went into an outage."""
        for one in self.all:
            one.breaker.begin_held()
        self._failed.clear()
        self._probed.clear()

    def _is_left_out(self, one: Candidate) -> bool:
        is_probed = one.breaker.is_open and one.breaker.name in self._probed
        return is_probed or self._tries.is_used_up(one.breaker.name) or self._has_failed(one)

    def _has_failed(self, candidate: Candidate) -> bool:
        """Whether it failed the call while it was up, as it still is: that is no outage."""
        return candidate.breaker.name in self._failed and not candidate.breaker.is_open


def _is_undecided(failure: Failure) -> bool:
    """Whether a target that is up may still answer: it is limited, or its refusal is unclear."""
    cause = failure.__cause__ if isinstance(failure, RetriesExhausted) else failure
    if isinstance(cause, RateLimited):
        return cause.retryable and not cause.is_own
    return isinstance(failure, ProviderForbidden)
