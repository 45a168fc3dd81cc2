"""The order in which taken records run: one at a time per key, and never more than the slots."""

from collections import deque
from collections.abc import Hashable, Iterator
from itertools import chain
from typing import Literal

from streamapp.streaming.window.taken_record import Message, TakenRecord

Ordering = Literal["key", "partition", "none"]


def order_of(message: Message, ordering: Ordering) -> Hashable | None:
    """Return what records that run one at a time have in common; None runs at once."""
    if ordering == "partition":
        return message.tp
    if ordering == "key" and message.key is not None:
        return (message.tp, message.key)
    return None


class Schedule:
    """Records that wait: behind another one of their order, or for a slot.

    Args:
        max_in_flight: Slots: upper bound of running records.
    """

    __slots__ = ("_behind", "_max_in_flight", "_ready", "waiting")

    def __init__(self, max_in_flight: int) -> None:
        self._max_in_flight = max_in_flight
        #: By each order of which a record runs or is ready: those behind it.
        self._behind: dict[Hashable, deque[TakenRecord]] = {}
        #: Those that wait for a slot alone.
        self._ready: deque[TakenRecord] = deque()
        self.waiting = 0

    def __iter__(self) -> Iterator[TakenRecord]:
        """Yield what waits."""
        return chain(self._ready, *self._behind.values())

    def admit(self, record: TakenRecord, in_flight: int) -> bool:
        """Return whether the record may run now, beside ``in_flight`` others; else it waits."""
        if record.order is not None:
            queue = self._behind.get(record.order)
            if queue is not None:
                queue.append(record)
                self.waiting += 1
                return False
            self._behind[record.order] = deque()
        if in_flight < self._max_in_flight:
            return True
        self._ready.append(record)
        self.waiting += 1
        return False

    def release(self, finished: TakenRecord) -> None:
        """Let the next record of the finished one's order wait for a slot alone."""
        if finished.order is None:
            return
        queue = self._behind[finished.order]
        if queue:
            self._ready.append(queue.popleft())
        else:
            del self._behind[finished.order]

    def next(self, in_flight: int) -> TakenRecord | None:
        """Return the record that runs next, beside ``in_flight`` others; None where none may."""
        if not self._ready or in_flight >= self._max_in_flight:
            return None
        self.waiting -= 1
        return self._ready.popleft()

    def give_back(self) -> None:
        """Let go of what waits; what runs is still to be released."""
        self._ready.clear()
        for records in self._behind.values():
            records.clear()
        self.waiting = 0

    def clear(self) -> None:
        """Let go of everything."""
        self._behind.clear()
        self._ready.clear()
        self.waiting = 0
