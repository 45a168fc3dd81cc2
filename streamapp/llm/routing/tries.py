"""The attempts at one call that failed so far, at all targets of its route and at each."""

from streamapp.errors import Failure
from streamapp.llm.completion import Call


class Tries:
    """Counts what a call was tried, and paid for in vain, also before it was held.

    Args:
        paid_attempts: How often it may be paid for in vain at each target.

    Attributes:
        attempts: At all targets.
        paid: Those of them that are paid for although they failed, or may be.
    """

    __slots__ = ("_at", "_paid_attempts", "attempts", "paid")

    def __init__(self, paid_attempts: int) -> None:
        self._paid_attempts = paid_attempts
        self.attempts = self.paid = 0
        #: Attempts and paid ones by target.
        self._at: dict[str, tuple[int, int]] = {}

    def is_paid_up(self, target: str) -> bool:
        """Whether the call was paid for in vain at ``target`` as often as it may be."""
        return target in self._at and self._at[target][1] >= self._paid_attempts

    def noted(self, call: Call, target: str) -> Call:
        """Return ``call``, which says how often it was tried at ``target`` before."""
        if target not in self._at:
            return call
        attempts, paid = self._at[target]
        return call.but(attempts_before=attempts, paid_before=paid)

    def add(self, target: str, failure: Failure) -> None:
        """Count the attempts of ``failure``, and make it count those at all targets."""
        attempts, paid = self._at.get(target, (0, 0))
        self._at[target] = attempts + failure.attempts, paid + failure.paid
        self.attempts = failure.attempts = self.attempts + failure.attempts
        self.paid = failure.paid = self.paid + failure.paid
