"""The one deadline of a record: active time only, from the first provider attempt."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar

from streamapp.errors import Failure
from streamapp.llm.durable.in_progress import STEP, StepsInProgress

#: What a call does: as it is asked, and in most of its waits.
ASKED = "a provider had not answered yet"
HELD = "it waited for a provider that is down or refuses"


class Deadline:
    """A budget of active seconds that starts at the first attempt, or with the wait for tools.

    Waiting for the limiter or an open breaker happens inside ``suspended()`` and does not
    count: Kafka is the queue, so waiting is free. Nor does a wait for Kafka, inside ``standing()``.

    Attributes:
        steps: Those of the record in progress.
        failures: How many attempts failed, of all its calls so far.
        trouble: What the last of them ended with; empty where its call was answered since.
        doing: What one of its calls does since, as a part of a sentence; empty where none does.
    """

    __slots__ = (
        "_clock",
        "_is_waited_for",
        "_limit_s",
        "_own_waits",
        "_spent_s",
        "_standing",
        "_started_at",
        "_stood_at",
        "_stood_s",
        "_waits",
        "doing",
        "failures",
        "steps",
        "trouble",
    )

    def __init__(
        self, limit_s: float, clock: Callable[[], float], *, is_waited_for: bool = False
    ) -> None:
        self._is_waited_for = is_waited_for
        self._limit_s = limit_s
        self._clock = clock
        self._spent_s = 0.0
        self._started_at: float | None = None
        self._waits = self._own_waits = self._standing = 0
        self._stood_at = self._stood_s = 0.0
        self.steps = StepsInProgress()
        self.failures = 0
        self.trouble = self.doing = ""

    @property
    def is_waited_for(self) -> bool:
        """Whether a caller waits who is better told at once that an operator has to act."""
        return self._is_waited_for

    @property
    def waits(self) -> int:
        """How many calls of the record wait now, to be let through or to be made again."""
        return self._waits

    @property
    def limit_s(self) -> float:
        """The active seconds that it allows, those of the record's own waits on top."""
        return self._limit_s

    @property
    def is_waiting(self) -> bool:
        """Whether a call waits, or the record for its tools."""
        return self._waits + self._own_waits > 0

    @property
    def is_only_waiting(self) -> bool:
        """Whether all that the record has begun waits to be let through, with nothing to lose.

        A step waits where all that is in progress within it does.
        """
        is_waiting = self.is_waiting and self._waits >= self.steps.at_work
        return is_waiting and not self.steps.has_paid

    def ask(self) -> None:
        """Say that an attempt begins for this task's step."""
        self.doing = ASKED
        self.steps.ask(STEP.get())

    def invest(self) -> None:
        """Say that this task's step paid for what would be lost, were the record given back."""
        self.steps.pay(STEP.get())

    def failed(self, error: str) -> None:
        """Say what an attempt ended with: it tells why there was no answer in time."""
        self.failures += 1
        self.trouble, self.doing = error, ""

    def answered(self) -> None:
        """Say that a call was answered: what failed before is overcome."""
        self.trouble = self.doing = ""

    def start(self) -> None:
        """Begin to count, unless it counts already."""
        if self._started_at is None:
            self._started_at = self._now()

    def spent_s(self) -> float:
        """Return the active seconds so far."""
        running = 0.0 if self._started_at is None else self._now() - self._started_at
        return self._spent_s + running

    def remaining_s(self) -> float:
        """Return the active seconds left; negative once past."""
        return self._limit_s - self.spent_s()

    def suspended(self, doing: str = HELD) -> "Suspension":
        """Stop counting inside the block; ``doing`` says what is waited for there."""
        return Suspension(self, doing)

    def suspend(self, doing: str) -> bool:
        """Stop counting until `resume`, which is given what this returns: whether it counted."""
        self.doing = doing
        was_running = self._started_at is not None
        self._spent_s = self.spent_s()
        self._started_at = None
        self._waits += 1
        return was_running

    def resume(self, *, counted: bool) -> None:
        """Count again, where it did."""
        self._waits -= 1
        if counted:
            self._started_at = self._now()

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Let no time pass inside the block, in which Kafka is waited for.

        Whatever else is in progress meanwhile, and nothing of it counts as waiting: what is not
        stored yet would be lost.
        """
        self.stand()
        try:
            yield
        finally:
            self.go_on()

    def stand(self) -> None:
        """Let no time pass until as many `go_on` have come."""
        if not self._standing:
            self._stood_at = self._clock()
        self._standing += 1

    def go_on(self) -> None:
        """Let time pass again, behind the last of those that stand."""
        self._standing -= 1
        if not self._standing:
            self._stood_s += self._clock() - self._stood_at

    def stood_s(self) -> float:
        """Return the seconds so far in which no time passed."""
        return self._stood_s + (self._clock() - self._stood_at if self._standing else 0.0)

    def _now(self) -> float:
        return self._clock() - self.stood_s()

    @contextmanager
    def extended(self) -> Iterator[None]:
        """Count the time inside the block as spent, and have as much more: for a record's own wait.

        It began nothing that would be lost, and is no time that its calls must do without.
        """
        was_running = self._started_at is not None
        self.start()
        before_s = self.spent_s()
        self._own_waits += 1
        try:
            yield
        finally:
            self._own_waits -= 1
            spent_s = self.spent_s()
            self._limit_s += spent_s - before_s
            if not was_running:
                self._spent_s, self._started_at = spent_s, None

    def restart(self) -> None:
        """Forget the seconds spent: they went into an outage, and Kafka is the queue."""
        self._spent_s = 0.0
        if self._started_at is not None:
            self._started_at = self._now()


class Suspension:
    """Stops a deadline for the time of a block; a third of what a generator costs."""

    __slots__ = ("_counted", "_deadline", "_doing")

    def __init__(self, deadline: Deadline, doing: str) -> None:
        self._deadline = deadline
        self._doing = doing

    def __enter__(self) -> None:
        self._counted = self._deadline.suspend(self._doing)

    def __exit__(self, *raised: object) -> None:
        self._deadline.resume(counted=self._counted)


#: Of the record that a task works on; set in that record's own task.
DEADLINE: ContextVar[Deadline | None] = ContextVar("deadline", default=None)

#: Returns why a caller who waits was left without an answer, None while it waits; set in its task.
CUT_OFF: ContextVar[Callable[[], Failure | None]] = ContextVar("cut_off", default=lambda: None)


def trouble_so_far() -> str:
    """Return what this task's record does, and its last attempt ended with, to end a sentence."""
    deadline = DEADLINE.get()
    if deadline is None:
        return ""
    trouble = f"its last attempt: {deadline.trouble}" if deadline.trouble else ""
    return "".join(f"; {one}" for one in (deadline.doing, trouble) if one)


def only_waits(context: Context) -> bool:
    """Whether the record whose task runs in ``context`` can be given back at no cost."""
    deadline = context.get(DEADLINE)
    return deadline is not None and deadline.is_only_waiting


@contextmanager
def only_waiting() -> Iterator[None]:
    """Let the record be given back at no cost inside the block: nothing was begun for it."""
    deadline = Deadline(0.0, lambda: 0.0)
    token = DEADLINE.set(deadline)
    try:
        with deadline.suspended():
            yield
    finally:
        DEADLINE.reset(token)
