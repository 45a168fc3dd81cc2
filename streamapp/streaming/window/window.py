"""The in-flight window: many records at once, acked in order, ordered per key, nothing lost.

Faust commits an offset by the acks it gets, and steps over records when acks come out of order
(faust-streaming issue 606). So one agent takes records in order and hands each to this window;
the window runs them concurrently and acks a partition's records only in delivery order. The
eight invariants, each held by ``tests/unit/streaming/window/test_window.py``:

1. A partition's acks follow its delivery order: the committed offset never passes an
   unfinished record.
2. Records of one key run one at a time, in offset order; one that waits behind its key takes
   no slot.
3. Running records never exceed ``max_in_flight``, running and waiting ones never
   ``max_pending``; past that ``take`` waits, Faust's queue fills and it pauses the partitions.
4. A closed window acks nothing and its lease tells tasks to write nothing; it opens again only
   with a new generation's positions, and takes only records of that generation.
5. A record is acked when ``run`` returns, and ``run`` returns only after the delivery report.
6. An exception of ``run`` is reported to ``on_fatal``; that record is never acked.
7. ``close`` drains for a bounded time what runs, and what waits before something that ran and
   would keep it from being committed; it gives back what else waits, after a moment also what
   was begun and only waits to be let through, and cancels the rest.
8. Contiguity: a partition's records are taken at exactly the next expected offset. A lower one
   is a redelivery and dropped; a higher one is a gap and sought back, until the log itself
   says that it holds nothing there.

Nothing of Faust runs here: a record is anything with the shape of its ``Event``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterator, Mapping
from contextlib import suppress
from contextvars import Context
from itertools import chain
from typing import Any, Literal

from faust.types import TP

from streamapp.errors import LeaseLost
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.membership import Membership
from streamapp.streaming.window.partition_state import PartitionState, Verdict
from streamapp.streaming.window.schedule import Schedule
from streamapp.streaming.window.taken_record import Event, Message, TakenRecord

Ordering = Literal["key", "partition", "none"]

#: A full window takes again when an eighth of it is free: to wake who feeds it for each record
#: that finishes costs as much as to take one. It looks so often, too, lest a long queue behind
#: one slow key keep the other keys' records out; seconds.
FULL_POLL_S = 0.05

#: Longest wait for cancelled records to end, seconds: a processor that does not let itself be
#: cancelled must not hold up the group. It writes nothing any more, for its lease has ended.
CANCEL_S = 3.0

#: How long a drain lets records wait for a limit, a budget or a provider that is down. Those
#: that a limit lets through meanwhile need not be given back behind others that were answered.
#: At most half of the drain.
TURN_S = 5.0
_POLL_INTERVAL_S = 0.25


class Window:
    """Runs taken records under the invariants of the module.

    Args:
        run: Brings one record to its outcome and returns after that was delivered; asks
            ``lease.is_valid`` before each write.
        seek: Moves the fetch position of a partition back to an offset.
        first_from: Returns the first offset at or above the given one at which the log holds
            a record, read past Faust; None where it cannot be told now.
        on_fatal: Called with the exception of ``run``; the record stays unacked.
        on_gap: Called with the partition at each gap seen.
        membership: Of this worker in its group; decides who may write.
        only_waits: Whether what runs in a context can be given back at no cost.
        max_in_flight: Upper bound of running records.
        max_pending: Upper bound of running and waiting records together.
        ordering: ``key``, ``partition`` or ``none``.

    Attributes:
        membership: As given.
    """

    def __init__(
        self,
        run: Callable[[Event, Lease], Coroutine[Any, Any, None]],
        *,
        seek: Callable[[TP, int], Awaitable[None]],
        first_from: Callable[[TP, int], Awaitable[int | None]],
        on_fatal: Callable[[BaseException], None],
        on_gap: Callable[[TP], None] = lambda tp: None,
        membership: Membership | None = None,
        only_waits: Callable[[Context], bool] = lambda context: False,
        max_in_flight: int,
        max_pending: int,
        ordering: Ordering = "key",
    ) -> None:
        self._run = run
        self._seek = seek
        self._first_from = first_from
        self._on_fatal = on_fatal
        self._on_gap = on_gap
        self.membership = membership or Membership()
        self._only_waits = only_waits
        self._max_pending = max_pending
        self._low_water = max_pending - max(1, max_pending // 8)
        self._ordering = ordering
        self._lease = Lease(-1)
        self._is_open = False
        self._partitions: dict[TP, PartitionState] = {}
        self._delivered: dict[TP, set[int]] = {}
        self._schedule = Schedule(max_in_flight)
        self._tasks: dict[asyncio.Task[None], TakenRecord] = {}
        self._changed = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether records are taken."""
        return self._is_open

    @property
    def is_lost(self) -> bool:
        """Whether the group does not know the member any more that took the records."""
        return self._lease.is_ended

    @property
    def in_flight(self) -> int:
        """Records running now."""
        return len(self._tasks)

    @property
    def pending(self) -> int:
        """Records taken and not running: behind their key or without a slot."""
        return self._schedule.waiting

    @property
    def partitions(self) -> Mapping[TP, PartitionState]:
        """The partitions of the open generation."""
        return self._partitions

    @property
    def is_full(self) -> bool:
        """Whether ``take`` would wait."""
        return len(self._tasks) + self._schedule.waiting >= self._max_pending

    def messages(self) -> Iterator[Message]:
        """Yield the unfinished records that were taken, for whoever asks after one."""
        for record in chain(self._tasks.values(), self._schedule):
            yield record.event.message

    def open(self, generation: int, positions: Mapping[TP, int]) -> None:
        """Take records of ``generation`` from now on.

        Args:
            generation: The group's generation that every record must carry.
            positions: The next offset of each assigned partition: the committed one, or 0.
        """
        self._discard()
        self._delivered = {
            tp: kept
            for tp, offsets in self._delivered.items()
            if (kept := {offset for offset in offsets if offset >= positions.get(tp, 0)})
        }
        self._lease = Lease(generation, self.membership)
        self._partitions = {tp: PartitionState(tp, expected) for tp, expected in positions.items()}
        self._is_open = True

    async def close(self, drain_s: float) -> tuple[dict[TP, int], int]:
        """Take nothing more, finish what was begun, give the rest back.

        Args:
            drain_s: Longest wait for records to finish, seconds; what is left is cancelled.

        Returns:
            The next offset to commit of each partition that finished anything, none where the
            group went on without this worker; and how many records were cancelled.
        """
        self._is_open = False
        self._give_back()
        self._changed.set()
        loop = asyncio.get_running_loop()
        end = loop.time() + drain_s
        turn_end = loop.time() + min(TURN_S, drain_s / 2)
        gone: list[asyncio.Task[None]] = []
        while self._tasks and not self.is_lost and (left_s := end - loop.time()) > 0:
            await asyncio.wait(list(self._tasks), timeout=min(left_s, _POLL_INTERVAL_S))
            if loop.time() >= turn_end:
                gone += self._cancel_waiting()
        finished = {
            tp: partition.acked
            for tp, partition in self._partitions.items()
            if partition.acked is not None and not self.is_lost
        }
        cut = list(self._tasks)
        self._discard()
        if gone or cut:
            await asyncio.wait([*gone, *cut], timeout=CANCEL_S)
        return finished, len(cut)

    def fence(self) -> None:
        """Close at once and write nothing more: this worker may have lost its generation."""
        self._discard()

    async def take(self, event: Event) -> bool:
        """Take the record once there is room, or drop it.

        Returns:
            False where it was dropped: the window is closed or of another generation, the
            partition is not ours, or the offset is not the expected one. Whatever is dropped
            unfinished is fetched again.
        """
        # What is taken while membership is not known may be another worker's by now.
        while self._is_open and (self.is_full or not self._lease.is_valid):
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(FULL_POLL_S):
                    await self._changed.wait()
        message = event.message
        lease, tp = self._lease, message.tp
        partition = self._partitions.get(tp)
        if not self._is_open or partition is None or message.generation_id != lease.generation:
            return False
        verdict = partition.judge(message.offset)
        follows = getattr(message, "follows", message.offset)
        if verdict.is_ahead and follows <= partition.expected:
            # The client found nothing between in the log: no need to ask it again.
            partition.pass_hole(message.offset)
            verdict = Verdict.NEXT
        if verdict is Verdict.COMEBACK:
            first = await self._first_from(tp, partition.expected)
            if not self._is_open or lease is not self._lease:
                return False
            if first == message.offset:
                partition.pass_hole(first)
                verdict = Verdict.NEXT
        if verdict is not Verdict.NEXT:
            if verdict in (Verdict.GAP, Verdict.COMEBACK):
                self._on_gap(tp)
                await self._seek(tp, partition.expected)
            return False
        record = TakenRecord(event, partition, lease, self._order(message))
        partition.append(record)
        if message.offset in self._delivered.get(tp, ()):
            # This worker delivered its outcome in an older generation, and could not ack it
            # behind an unfinished record: once is enough.
            record.is_done = True
            partition.ack_finished()
        elif self._schedule.admit(record, len(self._tasks)):
            self._start(record)
        return True

    def _order(self, message: Message) -> Hashable | None:
        if self._ordering == "partition":
            return message.tp
        if self._ordering == "key" and message.key is not None:
            return (message.tp, message.key)
        return None

    def _start(self, record: TakenRecord) -> None:
        task = asyncio.get_running_loop().create_task(
            self._run(record.event, record.lease), context=record.context
        )
        self._tasks[task] = record
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        record = self._tasks.pop(task, None)
        if record is None:  # of an older generation
            return
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if isinstance(error, LeaseLost):
            return  # the group went on without this worker, which is about to be fenced
        if error is not None:
            self._on_fatal(error)
            return
        record.is_done = True
        record.partition.ack_finished()
        self._schedule.release(record)
        while (ready := self._schedule.next(len(self._tasks))) is not None:
            self._start(ready)
        if len(self._tasks) + self._schedule.waiting <= self._low_water:
            self._changed.set()

    def _give_back(self) -> None:
        """Let go of what waits, but for what stands before a record that was begun.

        Were that given back, what ran behind it could not be committed, and would be answered
        twice.
        """
        begun: dict[TP, int] = {}
        for record in self._tasks.values():
            begun[record.partition.tp] = max(begun.get(record.partition.tp, -1), record.offset)
        for tp, partition in self._partitions.items():
            begun[tp] = max(begun.get(tp, -1), *partition.delivered, -1)
        self._schedule.keep(lambda record: record.offset < begun[record.partition.tp])

    def _cancel_waiting(self) -> list[asyncio.Task[None]]:
        """Give back what runs and only waits to be let through; return its tasks."""
        waiting = [task for task, record in self._tasks.items() if self._only_waits(record.context)]
        for task in waiting:
            del self._tasks[task]
            task.cancel()
        return waiting

    def _discard(self) -> None:
        """End the generation: no task of it writes or acks from here on."""
        self._is_open = False
        self._lease.end()
        for tp, partition in self._partitions.items():
            self._delivered.setdefault(tp, set()).update(partition.delivered)
        tasks, self._tasks = self._tasks, {}
        for task in tasks:
            task.cancel()
        self._partitions = {}
        self._schedule.clear()
        self._changed.set()
