"""The attempts at one call that failed so far, at all targets of its route and at each."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from streamapp.errors import (
    Failure,
    ProviderTimeout,
    ProviderUnavailable,
    RetriesExhausted,
    TargetOpen,
)
from streamapp.llm.completion import Call, Completion
from streamapp.llm.routing.breaker import Breaker

#: So often a target that is back for others fails a call until the call is what makes it fail;
#: so many times as many of those were answered at once as after failures of their own.
_FAULTS, _AT_ONCE = 10, 3


@dataclass(slots=True)
class _Faults:
    """How often a target failed a call when it was back, and whom it had answered before."""

    count: int
    openings: int
    at_once: int
    late: int


class Tries:
    """Counts what a call was tried, and paid for in vain, also before it was held.

    Args:
        paid_attempts: How often it may be paid for in vain at each target.

    Attributes:
        attempts: At all targets.
        paid: Those of them that are paid for although they failed, or may be.
        ends: What the targets ended with that were asked last.
    """

    __slots__ = ("_at", "_at_fault", "_faults", "_paid_attempts", "attempts", "ends", "paid")

    def __init__(self, paid_attempts: int) -> None:
        self._paid_attempts = paid_attempts
        self.attempts = self.paid = 0
        self.ends: dict[str, Failure] = {}
        #: Attempts and paid ones by target.
        self._at: dict[str, tuple[int, int]] = {}
        self._faults: dict[str, _Faults] = {}
        self._at_fault: set[str] = set()

    def is_used_up(self, target: str) -> bool:
        """Whether the call was in vain there as often as it may be: paid for, or at fault."""
        is_paid_up = target in self._at and self._at[target][1] >= self._paid_attempts
        return is_paid_up or self.is_at_fault(target)

    def is_at_fault(self, target: str) -> bool:
        """Whether the call makes ``target`` fail, which answers others."""
        return target in self._at_fault

    def used_up(self, targets: Iterable[str]) -> dict[str, Failure]:
        """Return those of ``targets`` that are used up already, and what they ended with."""
        return {target: self.ends[target] for target in targets if self.is_used_up(target)}

    def counted(self, failure: Failure) -> Failure:
        """Return ``failure``, made to count the attempts at all targets."""
        failure.attempts, failure.paid = self.attempts, self.paid
        return failure

    def answered(self, breaker: Breaker, completion: Completion) -> Completion:
        """Return ``completion`` as one that counts the attempts at all targets."""
        if completion.attempts > 1 or self._at.get(breaker.name, (0, 0))[0]:
            breaker.answers_late += 1
        else:
            breaker.answers_at_once += 1
        if not self.attempts:
            return completion
        return replace(completion, attempts=self.attempts + completion.attempts)

    def noted(self, call: Call, target: str) -> Call:
        """Return ``call``, which says how often it was tried at ``target`` before."""
        if target not in self._at:
            return call
        attempts, paid = self._at[target]
        return call.but(attempts_before=attempts, paid_before=paid)

    def add(self, breaker: Breaker, failure: Failure, *, was_open: bool) -> None:
        """Count the attempts of ``failure``, and make it count those at all targets.

        Args:
            breaker: Of the target.
            failure: What the call ended with there.
            was_open: Whether the target was taken for down when it was asked.
        """
        target = breaker.name
        if failure.attempts and breaker.is_open_by_failures and _is_of_target(failure):
            self._blame(breaker, 1 if was_open else failure.attempts)
        attempts, paid = self._at.get(target, (0, 0))
        self._at[target] = attempts + failure.attempts, paid + failure.paid
        self.attempts += failure.attempts
        self.paid += failure.paid
        self.counted(failure)

    def _blame(self, breaker: Breaker, attempts: int) -> None:
        """Count what failed after the target was back for others, who share in each opening.

        What failed before that is an outage's, and so are probes, all but one for each time. Where
        others fail as well before they are answered, it is an outage that comes and goes.
        """
        now = _Faults(1, breaker.openings, breaker.answers_at_once, breaker.answers_late)
        faults = self._faults.setdefault(breaker.name, now)
        if faults.openings == breaker.openings:
            return
        faults.openings = breaker.openings
        faults.count += attempts
        at_once, late = now.at_once - faults.at_once, now.late - faults.late
        if faults.count >= _FAULTS and at_once >= _AT_ONCE * (late + 1):
            self._at_fault.add(breaker.name)


def _is_of_target(failure: Failure) -> bool:
    """Whether the target failed; a refusal, as for a limit, is no failure."""
    cause = failure.__cause__ if isinstance(failure, RetriesExhausted) else failure
    return isinstance(cause, (ProviderUnavailable, ProviderTimeout, TargetOpen))
