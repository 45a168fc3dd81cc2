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

#: In so many openings of a target's breaker, each after answers to others, a record fails there
#: until it may be what makes the target fail, if so many others were answered meanwhile. It is
#: where a record like those would have failed as often by chance so rarely.
_FAULTS, _OTHERS, _CHANCE = 10, 10, 1e-4
#: So often a record may be paid for in vain at a target, those times included that are shared.
_PAID = 20


@dataclass(slots=True)
class _Faults:
    """In how many openings a target failed a record, the last one, and its answers before."""

    count: int
    opening: int
    answers: int


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
        #: Attempts, paid ones, and those of them that are no fault of the call, by target.
        self._at: dict[str, tuple[int, int, int]] = {}
        self._faults: dict[str, _Faults] = {}
        self._at_fault: set[str] = set()

    def is_used_up(self, target: str) -> bool:
        """Whether the call was in vain there as often as it may be: paid for, or at fault."""
        _, paid, shared = self._at.get(target, (0, 0, 0))
        is_paid_up = paid - shared >= self._paid_attempts or paid >= _PAID
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
        faults = self._faults.get(breaker.name)
        breaker.answered_after.append(faults.count if faults else 0)
        if not self.attempts:
            return completion
        return replace(completion, attempts=self.attempts + completion.attempts)

    def noted(self, call: Call, target: str) -> Call:
        """Return ``call``, which says how often it was tried at ``target`` before."""
        if target not in self._at:
            return call
        attempts, paid, shared = self._at[target]
        return call.but(attempts_before=attempts, paid_before=paid - shared, paid_left=_PAID - paid)

    def add(self, breaker: Breaker, failure: Failure) -> None:
        """Count the attempts of ``failure``, and make it count those at all targets.

        Args:
            breaker: Of the target.
            failure: What the call ended with there.
        """
        target = breaker.name
        if failure.attempts and breaker.is_open_by_failures and _is_of_target(failure):
            self._blame(breaker)
        attempts, paid, shared = self._at.get(target, (0, 0, 0))
        self._at[target] = (
            attempts + failure.attempts,
            paid + failure.paid,
            shared + failure.shared,
        )
        self.attempts += failure.attempts
        self.paid += failure.paid
        self.counted(failure)

    def _blame(self, breaker: Breaker) -> None:
        """Count an opening that the call failed in, once: others may have failed it as well.

        Of a provider that crashes, all that it was working at share the opening; but it answers
        most of those soon. In an outage that comes and goes, all fail in many of them.
        """
        first = _Faults(0, 0, breaker.answers)
        faults = self._faults.setdefault(breaker.name, first)
        if faults.opening == breaker.openings:
            return
        faults.opening = breaker.openings
        faults.count += 1
        if faults.count < _FAULTS or (since := breaker.answers - faults.answers) < _OTHERS:
            return
        others = [*breaker.answered_after][-since:]
        failed = sum(others) + 1
        if (failed / (failed + len(others))) ** faults.count <= _CHANCE:
            self._at_fault.add(breaker.name)


def _is_of_target(failure: Failure) -> bool:
    """Whether the target failed; a refusal, as for a limit, is no failure."""
    cause = failure.__cause__ if isinstance(failure, RetriesExhausted) else failure
    return isinstance(cause, (ProviderUnavailable, ProviderTimeout, TargetOpen))


def at_fault(last: Failure) -> Failure:
    """Return the error of a call that makes a target fail, from what that ended with."""
    failed = RetriesExhausted("gave up: it makes the provider fail, which answers others")
    failed.attempts, failed.paid, failed.__cause__ = last.attempts, last.paid, last
    return failed
