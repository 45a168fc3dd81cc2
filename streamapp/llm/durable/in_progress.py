"""The steps of a record in progress, and what it would pay again, were it given back."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from streamapp.errors import BudgetExceeded, Failure, ProviderError, RetriesExhausted

#: Number of the step that the task works for, as of `Scope`; empty outside of any.
STEP: ContextVar[str] = ContextVar("step", default="")

#: Failures that say themselves what was paid for in vain.
_PRICED = (BudgetExceeded, ProviderError, RetriesExhausted)


class StepsInProgress:
    """Knows which steps of a record are at work, and which of them paid for what is not stored.

    A step that is stored stands for all that was paid within it: ``3`` for ``3.1``, too.
    """

    __slots__ = ("_asked", "_begun", "_failed", "_paid")

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._begun: set[str] = set()
        self._paid: set[str] = set()
        #: Those that failed at no cost, as long as no step was stored behind them.
        self._failed: set[str] = set()

    @property
    def at_work(self) -> int:
        """How many are in progress, but for those that have others within them."""
        around = {number.rpartition(".")[0] for number in self._begun}
        return len(self._begun - around)

    @property
    def has_paid(self) -> bool:
        """Whether something would be paid again, were the record given back."""
        return bool(self._paid)

    def begin(self, number: str) -> None:
        """Note that a step is in progress, until it has ended."""
        self._begun.add(number)

    def ask(self, number: str) -> None:
        """Note that an attempt for a step begins: it may be paid for, however it ends."""
        self._asked.add(number)

    def is_asked(self, number: str) -> bool:
        """Whether an attempt for a step that is in progress has begun."""
        return number in self._asked

    def pay(self, number: str) -> None:
        """Note that a step paid for what would be paid again."""
        self._paid.add(number)

    def store(self, number: str) -> None:
        """Note that a step has ended, and its result is there for whoever has the record next."""
        self._begun.discard(number)
        self._asked.discard(number)
        if self._paid or self._failed:
            # What failed may be answered when it is asked again, and lead past this result.
            lost = self._paid | self._failed
            self._paid = {one for one in lost if not f"{one}.".startswith(f"{number}.")}
            self._failed = set()

    def lose(self, number: str, *, is_free: bool) -> None:
        """Note that a step has ended and is not stored; ``is_free`` where it has cost nothing."""
        if number in self._begun:
            (self._failed if is_free else self._paid).add(number)
        self._begun.discard(number)
        self._asked.discard(number)

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """Let this task's step count as not begun inside the block: others of its record first."""
        number = STEP.get()
        self._begun.discard(number)
        yield
        self._begun.add(number)  # not where it is cancelled: then it never began


def cost_nothing(failure: Failure) -> bool:
    """Whether a call that ended with ``failure`` has paid for nothing."""
    if not isinstance(failure, _PRICED):
        return False
    error: BaseException | None = failure
    while isinstance(error, Failure):
        if error.paid:
            return False
        error = error.__cause__
    return True
