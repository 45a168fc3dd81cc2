"""The progress of the records that a worker runs: their steps so far, as views show them."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from streamapp.llm.deadline import Deadline

#: Steps of one record that are shown: its last ones.
SHOWN = 50


class StepProgress:
    """One step of a record that runs.

    Attributes:
        outcome: ``running``, ``done``, ``replayed`` or ``failed``.
    """

    __slots__ = ("_began_at", "_clock", "duration_s", "kind", "name", "number", "outcome")

    def __init__(self, number: str, kind: str, name: str, clock: Callable[[], float]) -> None:
        self.number = number
        self.kind = kind
        self.name = name
        self.outcome = "running"
        self.duration_s = 0.0
        self._clock = clock
        self._began_at = clock()

    def end(self, outcome: str) -> float:
        """Note how it ended, see `RecordProgress.end`; return when."""
        now = self._clock()
        self.duration_s = now - self._began_at
        self.outcome = outcome or "failed"
        return now

    @property
    def is_call(self) -> bool:
        """Whether it is a call of a model that has not ended."""
        return self.outcome == "running" and self.kind == "model"

    def to_json(self, *, is_waiting: bool = False) -> dict[str, Any]:
        """Return what views show: never what was asked or given.

        Args:
            is_waiting: Whether no call is under way for the steps that are one.
        """
        is_running = self.outcome == "running"
        duration_s = self._clock() - self._began_at if is_running else self.duration_s
        return {
            "number": self.number,
            "kind": self.kind,
            "name": self.name,
            "outcome": "waiting" if is_waiting and self.is_call else self.outcome,
            "duration_s": round(duration_s, 3),
        }


class RecordProgress:
    """One record that runs.

    Attributes:
        begun: How many steps have begun.
        deadline: Knows which of its calls wait, once it has begun.
    """

    __slots__ = (
        "_began_at",
        "_bounded",
        "_clock",
        "_moved_at",
        "_steps",
        "begun",
        "deadline",
        "id",
        "type",
    )

    def __init__(self, id: str, type: str, clock: Callable[[], float]) -> None:
        self.id = id
        self.type = type
        self.begun = 0
        self.deadline: Deadline | None = None
        self._clock = clock
        self._began_at = self._moved_at = clock()
        #: Steps in progress that do not await a coroutine of the processor's.
        self._bounded = 0
        self._steps: deque[StepProgress] = deque(maxlen=SHOWN)

    def begin(self, number: str, kind: str, name: str) -> StepProgress:
        """Note that a step begins, until `end`."""
        self.begun += 1
        self._bounded += 1
        step = StepProgress(number, kind, name, self._clock)
        self._steps.append(step)
        return step

    def end(self, step: StepProgress, outcome: str) -> None:
        """Note how a step ended; empty where it was broken off with its record."""
        self._moved_at = step.end(outcome)
        self._bounded -= 1

    @contextmanager
    def unbounded(self) -> Iterator[None]:
        """Let a step count as the processor's own inside the block: nothing else ends it."""
        self._bounded -= 1
        try:
            yield
        finally:
            self._bounded += 1

    @property
    def age_s(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._began_at

    @property
    def own_s(self) -> float:
        """Seconds since its processor awaits what it alone bounds; 0 while anything else goes on.

        That is a call of a model or a tool, a wait for one, or a step that is being stored.
        """
        if self._bounded or (self.deadline is not None and self.deadline.is_waiting):
            return 0.0
        return self._clock() - self._moved_at

    @property
    def is_overdue(self) -> bool:
        """Whether that is longer than all its calls may take together."""
        return self.deadline is not None and self.own_s > self.deadline.limit_s

    def steps(self) -> list[dict[str, Any]]:
        """Return its last steps, in the order in which they began."""
        calls = sum(step.is_call for step in self._steps)
        # Which of several that is nobody knows; where all of them wait, none is being made.
        is_waiting = self.deadline is not None and 0 < calls <= self.deadline.waits
        return [step.to_json(is_waiting=is_waiting) for step in self._steps]


class RecordsInProgress:
    """The records that a worker runs now; flows may run several of one id.

    Args:
        clock: Monotonic, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: In the order in which they began, and the last one of each id.
        self._records: dict[RecordProgress, None] = {}
        self._by_id: dict[str, RecordProgress] = {}

    def running(self, id: str, type: str) -> "_Running":
        """Note a record for the time of a ``with`` block, which is given its progress."""
        return _Running(self._records, self._by_id, RecordProgress(id, type, self._clock))

    def steps_of(self, id: str) -> list[dict[str, Any]]:
        """Return the steps of a record so far; none where it does not run here."""
        record = self._by_id.get(id)
        return [] if record is None else record.steps()

    def overdue(self) -> list[RecordProgress]:
        """Return those whose processors await something of their own for too long, oldest first."""
        return [record for record in self._records if record.is_overdue]

    def of_several_steps(self, most: int) -> list[dict[str, Any]]:
        """Return the records that have begun more than one step, the oldest first.

        Args:
            most: How many of them at most.
        """
        found = [record for record in self._records if record.begun > 1]
        return [
            {
                "id": record.id,
                "type": record.type,
                "age_s": round(record.age_s, 1),
                "begun": record.begun,
                "last": record.steps()[-1],
            }
            for record in found[:most]
        ]


class _Running:
    """Notes a record for the time of a block; half of what a generator costs, for each record."""

    __slots__ = ("_by_id", "_record", "_records")

    def __init__(
        self,
        records: dict[RecordProgress, None],
        by_id: dict[str, RecordProgress],
        record: RecordProgress,
    ) -> None:
        self._records = records
        self._by_id = by_id
        self._record = record

    def __enter__(self) -> RecordProgress:
        self._records[self._record] = None
        self._by_id[self._record.id] = self._record
        return self._record

    def __exit__(self, *raised: object) -> None:
        del self._records[self._record]
        if self._by_id.get(self._record.id) is self._record:
            del self._by_id[self._record.id]
