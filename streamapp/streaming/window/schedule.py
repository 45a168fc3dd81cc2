"""The order in which taken records run: one at a time per key, and never more than the slots."""

from collections import deque
from collections.abc import Hashable

from streamapp.streaming.window.shares import Ordering as Ordering
from streamapp.streaming.window.shares import SlotShares
from streamapp.streaming.window.taken_record import Message, TakenRecord


class _Input:
    """The records of one input."""

    __slots__ = ("ready", "running", "slots", "waiting")

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.running = 0
        #: Those that wait for a slot alone.
        self.ready: deque[TakenRecord] = deque()
        self.waiting = 0


class Schedule:
    """Records that wait: behind another one of their order, or for a slot.

    Args:
        shares: Of the slots; inputs with ready records take turns in what becomes free.
        ordering: Of inputs that have none of their own.
    """

    __slots__ = ("_behind", "_inputs", "_ordering", "_running", "_shares", "_turns", "waiting")

    def __init__(self, shares: SlotShares, ordering: Ordering = "key") -> None:
        self._shares = shares
        self._ordering = ordering
        #: By each order of which a record runs or is ready: those behind it.
        self._behind: dict[Hashable, deque[TakenRecord]] = {}
        self._inputs: dict[str, _Input] = {}
        #: Inputs with ready records that may be below their slots, the next turn first.
        self._turns: deque[_Input] = deque()
        self._running = 0
        self.waiting = 0

    def order_of(self, message: Message) -> Hashable | None:
        """Return what records that run one at a time have in common; None runs at once."""
        bounds = self._shares.bounds.get(message.tp.topic)
        ordering = (bounds and bounds.ordering) or self._ordering
        if ordering == "partition":
            return message.tp
        if ordering == "key" and message.key is not None:
            return (message.tp, message.key)
        return None

    @property
    def unfinished(self) -> int:
        """Records that run or wait."""
        return self._running + self.waiting

    def unfinished_of(self, topic: str) -> int:
        """Return how many records of an input run or wait."""
        input = self._inputs.get(topic)
        return 0 if input is None else input.running + input.waiting

    def admit(self, record: TakenRecord) -> bool:
        """Return whether the record runs now; else it waits."""
        input = self._inputs.get(record.topic)
        if input is None:
            slots = self._shares.slots_of(record.topic)
            input = self._inputs[record.topic] = _Input(slots)
        if record.order is not None:
            queue = self._behind.get(record.order)
            if queue is not None:
                queue.append(record)
                self.waiting += 1
                input.waiting += 1
                return False
            self._behind[record.order] = deque()
        if self._running < self._shares.slots and input.running < input.slots:
            self._running += 1
            input.running += 1
            return True
        self._wait_for_slot(input, record)
        self.waiting += 1
        input.waiting += 1
        return False

    def release(self, finished: TakenRecord) -> None:
        """Free the slot of a finished record, for the next one of its order too."""
        input = self._inputs[finished.topic]
        self._running -= 1
        input.running -= 1
        if input.ready and input not in self._turns:
            self._turns.append(input)
        if finished.order is None:
            return
        queue = self._behind[finished.order]
        if queue:
            self._wait_for_slot(input, queue.popleft())
        else:
            del self._behind[finished.order]

    def next(self) -> TakenRecord | None:
        """Return the record that runs next; None where none may."""
        while self._turns and self._running < self._shares.slots:
            input = self._turns.popleft()
            if not input.ready or input.running >= input.slots:
                continue  # it comes again with what it releases
            record = input.ready.popleft()
            self.waiting -= 1
            input.waiting -= 1
            self._running += 1
            input.running += 1
            if input.ready:
                self._turns.append(input)
            return record
        return None

    def give_back(self) -> None:
        """Let go of what waits; what runs is still to be released."""
        for input in self._inputs.values():
            input.ready.clear()
            input.waiting = 0
        for records in self._behind.values():
            records.clear()
        self._turns.clear()
        self.waiting = 0

    def clear(self) -> None:
        """Let go of everything."""
        self._behind.clear()
        self._inputs.clear()
        self._turns.clear()
        self._running = 0
        self.waiting = 0

    def _wait_for_slot(self, input: _Input, record: TakenRecord) -> None:
        input.ready.append(record)
        if input not in self._turns:
            self._turns.append(input)
