"""The in-flight window: many records at once, committed in order, ordered per key, nothing lost.

Faust commits an offset by the acks it gets, and steps over records when acks come out of order
(faust-streaming issue 606). So one agent takes records in order and hands each to this window;
the window runs them concurrently, and says itself what to commit. The nine invariants, each held
by ``tests/unit/streaming/window/test_window.py``:

1. The committed offset of a partition never passes an unfinished record; what is finished behind
   one stands beside it, and is neither run nor written again.
2. Records of one key run one at a time, in offset order; one that waits behind its key takes
   no slot.
3. Running records never exceed ``max_in_flight``, running and waiting ones never ``max_pending``,
   nor those of an input its share; past that ``take`` waits, and Faust pauses its partitions.
4. A closed window commits nothing and its lease tells tasks to write nothing; it opens again only
   with a new generation's positions, and takes only records of that generation.
5. A record is finished when ``run`` returns, which is only after the delivery report.
6. An exception of ``run`` is reported to ``on_fatal``; that record is never finished.
7. ``close`` drains for a bounded time what runs; it gives back what waits, after a moment also
   what was begun and only waits to be let through, cancels the rest, and last of all what is
   being written.
8. Contiguity: a partition's records are taken at exactly the next expected offset. A lower one
   is a redelivery and dropped; a higher one is a gap and sought back, until the log itself
   says that it holds nothing there.
9. A partition's span, from its lowest unfinished record to its newest taken one, is bounded in
   offsets, bytes and age; past that nothing more is taken of that partition alone.

Nothing of Faust runs here: a record is anything with the shape of its ``Event``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from contextvars import Context
from types import MappingProxyType
from typing import Any

from faust.types import TP

from streamapp.errors import LeaseLost
from streamapp.streaming.window.drain import CANCEL_S, Drain, Drained
from streamapp.streaming.window.finished_offsets import Metadata
from streamapp.streaming.window.gaps import Gaps
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.membership import Membership
from streamapp.streaming.window.partition_state import PartitionState, Progress, SpanBounds
from streamapp.streaming.window.schedule import Ordering, Schedule
from streamapp.streaming.window.shares import InputBounds, Room, SlotShares
from streamapp.streaming.window.taken_record import Event, TakenRecord

#: A full window takes again when an eighth of it is free: to wake the waiting ``take`` for each
#: record that finishes costs as much as to take one. It looks so often, too, lest a long queue
#: behind one slow key keep the other keys' records out; seconds.
FULL_POLL_S = 0.05


class Window:
    """Runs taken records under the invariants of the module.

    Args:
        run: Brings one record to its outcome and returns after that was delivered; asks
            ``lease.is_valid`` before each write.
        seek: Moves the fetch position of a partition back to an offset.
        first_from: Returns the first offset at or above the given one at which the log holds
            a record, read past Faust; None where it cannot be told now.
        on_fatal: Called with the exception of ``run``; the record stays uncommitted.
        on_gap: Called with the partition at each gap seen.
        on_hold: Called with a partition that nothing more is taken of until ``resumable`` names
            it: what is delivered of it meanwhile is dropped.
        membership: Of this worker in its group; decides who may write.
        bounds: Of each partition's span.
        clock: Monotonic seconds.
        only_waits: Whether what runs in a context can be given back at no cost.
        max_in_flight: Upper bound of running records.
        max_pending: Of running and waiting ones together.
        ordering: ``key``, ``partition`` or ``none``.
        inputs: What each input may use of the window, by topic.

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
        on_hold: Callable[[TP], None] = lambda tp: None,
        membership: Membership | None = None,
        bounds: SpanBounds | None = None,
        clock: Callable[[], float] = time.monotonic,
        only_waits: Callable[[Context], bool] = lambda context: False,
        max_in_flight: int,
        max_pending: int,
        ordering: Ordering = "key",
        inputs: Mapping[str, InputBounds] = MappingProxyType({}),
    ) -> None:
        self._run = run
        self._gaps = Gaps(seek=seek, first_from=first_from, on_gap=on_gap)
        self._on_fatal = on_fatal
        self._on_hold = on_hold
        self._bounds = bounds or SpanBounds()
        self._clock = clock
        self.membership = membership or Membership()
        self._only_waits = only_waits
        self.lease = Lease(-1)
        self._is_open = False
        self._partitions: dict[TP, PartitionState] = {}
        shares = SlotShares(max_in_flight, inputs)
        self._room = Room(shares.scaled(max_pending))
        self._schedule = Schedule(shares, ordering)
        self._tasks: dict[asyncio.Task[None], TakenRecord] = {}
        self._lost = 0
        self._changed = asyncio.Event()
        self._drain: Drain | None = None

    @property
    def is_open(self) -> bool:
        """Whether records are taken."""
        return self._is_open

    @property
    def is_lost(self) -> bool:
        """Whether the group does not know the member any more that took the records."""
        return self.lease.is_ended

    @property
    def in_flight(self) -> int:
        """Records running now."""
        return len(self._tasks)

    @property
    def lost(self) -> int:
        """Records that ran when the group went on without this worker, ended since or not."""
        return self._lost + len(self._tasks) if self.is_lost else 0

    @property
    def pending(self) -> int:
        """Records taken and not running: behind their key or without a slot."""
        return self._schedule.waiting

    @property
    def partitions(self) -> Mapping[TP, PartitionState]:
        """The partitions of the open generation."""
        return self._partitions

    def is_full(self, topic: str | None = None) -> bool:
        """Whether ``take`` would wait with any record, or with one of that input."""
        return self._room.is_full(self._schedule, topic)

    def open(
        self,
        generation: int,
        positions: Mapping[TP, int],
        known: Mapping[TP, Metadata] = MappingProxyType({}),
    ) -> None:
        """Take records of ``generation`` from now on.

        Args:
            generation: The group's generation that every record must carry.
            positions: The next offset of each assigned partition: the committed one, or 0.
            known: Offsets above it that the commit says are finished, which are taken for done;
                and the id of the topic that the partition is read of.
        """
        self.fence()
        self.lease, self._lost = Lease(generation, self.membership), 0
        self._partitions = {
            tp: PartitionState(tp, expected, known.get(tp, Metadata()), bounds=self._bounds)
            for tp, expected in positions.items()
        }
        self._is_open = True

    def progress(self) -> dict[TP, Progress]:
        """Return what to commit of each partition that finished anything in this generation."""
        if self.is_lost:
            return {}
        return {
            tp: progress
            for tp, partition in self._partitions.items()
            if (progress := partition.progress()) is not None
        }

    def resumable(self) -> list[tuple[TP, int]]:
        """Return the held partitions that go on now, each with the offset to fetch from."""
        now, found = self._clock(), []
        for tp, partition in self._partitions.items():
            if self._is_open and partition.is_held and partition.has_drained(now):
                partition.is_held = False
                found.append((tp, partition.expected))
        return found

    @property
    def oldest_age_s(self) -> float:
        """Seconds since the oldest unfinished record was taken; 0 without one."""
        now = self._clock()
        ages = (partition.oldest_age_s(now) for partition in self._partitions.values())
        return max(ages, default=0.0)

    async def close(self, drain_s: float) -> Drained:
        """Take nothing more, finish what was begun, give the rest back.

        Args:
            drain_s: Longest wait for records to finish, seconds; what is left is cancelled.
        """
        self._is_open = False
        self._schedule.give_back()
        self._changed.set()
        self._drain = Drain(drain_s)
        gone, cut = await self._drain.wait(
            self._tasks, is_lost=lambda: self.is_lost, only_waits=self._only_waits
        )
        finished, left = self.progress(), list(self._tasks)
        is_lost, lost = self.is_lost, self.lost
        self.fence()
        if gone or cut or left:
            await asyncio.wait([*gone, *cut, *left], timeout=CANCEL_S)
        if is_lost:
            return Drained(finished, cut=len(cut), lost=lost)
        return Drained(finished, cut=len(cut) + len(left), lost=0)

    def shorten_drain(self, limit_s: float) -> bool:
        """End a drain that goes on within ``limit_s`` seconds; return whether that is sooner."""
        return self._drain is not None and self._drain.shorten(limit_s)

    def fence(self) -> None:
        """Close at once: no task of this generation writes, and nothing of it is committed."""
        self._is_open = False
        self.lease.end()
        tasks, self._tasks = self._tasks, {}
        for task in tasks:
            task.cancel()
        self._partitions = {}
        self._schedule.clear()
        self._changed.set()

    async def take(self, event: Event) -> bool:
        """Take the record once there is room, or drop it.

        Returns:
            False where it was dropped, to be fetched again: the window is closed or of another
            generation, the partition is not ours, or the offset is not the expected one.
        """
        message, room, held = event.message, self._room, self._schedule
        tp = message.tp
        # What is taken while membership is not known may be another worker's by now.
        while self._is_open and (room.is_full(held, tp.topic) or not self.lease.is_valid):
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(FULL_POLL_S):
                    await self._changed.wait()
        lease = self.lease
        partition = self._partitions.get(tp)
        if not self._is_open or partition is None or message.generation_id != lease.generation:
            return False
        now = self._clock()
        if partition.is_held or not partition.has_room(message.offset, now):
            if not partition.is_held:
                self._on_hold(tp)
            partition.hold(message.offset)
            return False
        if message.offset != partition.expected:
            is_next = await self._gaps.is_next(partition, message)
            if not is_next or not self._is_open or lease is not self.lease:
                return False
        record = TakenRecord(event, partition, lease, self._schedule.order_of(message), now)
        partition.append(record)
        if partition.was_finished(message.offset):
            record.finish()
        elif self._schedule.admit(record):
            self._start(record)
        return True

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
        if isinstance(error, LeaseLost) and record.lease.is_ended:
            self._lost += 1
            return  # the group went on without this worker, which is about to be fenced
        if error is not None:
            self._on_fatal(error)
            return
        record.finish()
        self._schedule.release(record)
        while (ready := self._schedule.next()) is not None:
            self._start(ready)
        if self._room.is_low(self._schedule, record.topic):
            self._changed.set()
