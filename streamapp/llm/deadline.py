"""The one deadline of a record: active time only, from the first provider attempt."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Deadline:
    """A budget of active seconds that starts at the first attempt.

    Waiting for the limiter or an open breaker happens inside ``suspended()`` and does not
    count: Kafka is the queue, so waiting is free.
    """

    __slots__ = ("_clock", "_limit_s", "_spent_s", "_started_at")

    def __init__(self, limit_s: float, clock: Callable[[], float]) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._spent_s = 0.0
        self._started_at: float | None = None

    def start(self) -> None:
        """Begin to count, unless it counts already."""
        if self._started_at is None:
            self._started_at = self._clock()

    def spent_s(self) -> float:
        """Return the active seconds so far."""
        running = 0.0 if self._started_at is None else self._clock() - self._started_at
        return self._spent_s + running

    def remaining_s(self) -> float:
        """Return the active seconds left; negative once past."""
        return self._limit_s - self.spent_s()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Stop counting inside the block."""
        was_running = self._started_at is not None
        self._spent_s = self.spent_s()
        self._started_at = None
        try:
            yield
        finally:
            if was_running:
                self._started_at = self._clock()

    def restart(self) -> None:
        """Forget the seconds spent: they went into an outage, and Kafka is the queue."""
        self._spent_s = 0.0
        if self._started_at is not None:
            self._started_at = self._clock()
