"""The attempts at one call that failed so far, at all targets of its route and at each."""

from streamapp.errors import Failure
from streamapp.llm.completion import Call


class Tries:
    """Counts what a call was tried, and paid for in vain, also before it was held.

    Attributes:
        attempts: At all targets.
        paid: Those of them that are paid for although they failed, or may be.
    """

    __slots__ = ("_at", "attempts", "paid")

    def __init__(self) -> None:
        self.attempts = self.paid = 0
        #: Attempts and paid ones by target.
        self._at: dict[str, tuple[int, int]] = {}

    def paid_at(self, target: str) -> int:
        """Return how often the call was paid for in vain at ``target``."""
        return self._at[target][1] if target in self._at else 0

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
