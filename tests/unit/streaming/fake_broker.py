"""A partition log, a consumer group of one and Faust's bad habits, small enough to search."""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, cast

from faust.types import TP

from streamapp.errors import LeaseLost
from streamapp.streaming.window.finished_offsets import Metadata, decode
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.membership import Membership
from streamapp.streaming.window.partition_state import Progress, SpanBounds
from streamapp.streaming.window.shares import InputBounds
from streamapp.streaming.window.window import Window


@dataclass
class FakeMessage:
    tp: TP
    offset: int
    key: bytes | None
    generation_id: int
    value: bytes | None = b""
    headers: Any = None

    def __post_init__(self) -> None:
        self.follows = self.offset


@dataclass
class FakeEvent:
    message: FakeMessage


@dataclass
class Running:
    event: FakeEvent
    lease: Lease
    outcome: asyncio.Future[None]


@dataclass
class FakeBroker:
    """The log of each partition (offset -> key), what is committed, and the worker's window.

    ``finished`` lists (partition, offset) in the order their outcomes were written.
    """

    log: dict[TP, dict[int, bytes | None]]
    max_in_flight: int = 4
    max_pending: int = 12
    ordering: str = "key"
    bounds: SpanBounds = field(default_factory=SpanBounds)
    committed: dict[TP, int] = field(default_factory=dict)
    metadata: dict[TP, str] = field(default_factory=dict)
    held: set[TP] = field(default_factory=set)
    finished: list[tuple[TP, int]] = field(default_factory=list)
    running: list[Running] = field(default_factory=list)
    position: dict[TP, int] = field(default_factory=dict)
    generation: int = 0
    gaps: int = 0
    fatal: list[BaseException] = field(default_factory=list)
    membership: Membership = field(default_factory=Membership)
    only_waits: Callable[[Context], bool] = lambda context: False
    inputs: dict[str, InputBounds] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """A new process: nothing in memory, everything committed stays."""
        self.running = []
        self.window = Window(
            cast(Any, self._run),
            seek=self._seek,
            first_from=self._first_from,
            on_fatal=self.fatal.append,
            on_gap=self._count_gap,
            on_hold=self.held.add,
            membership=self.membership,
            bounds=self.bounds,
            only_waits=self.only_waits,
            max_in_flight=self.max_in_flight,
            max_pending=self.max_pending,
            ordering=self.ordering,  # type: ignore[arg-type]
            inputs=self.inputs,
        )

    def assign(self) -> None:
        self.generation += 1
        self.position = {tp: self.committed.get(tp, self._first(tp)) for tp in self.log}
        self.held.clear()
        known = {tp: Metadata(self.finished_behind(tp)) for tp in self.position}
        self.window.open(self.generation, dict(self.position), known)

    async def revoke(self, *, finish: int = 0, drain_s: float = 0.01) -> None:
        """Revoke while up to ``finish`` running records end in time for the drain."""
        closing = asyncio.ensure_future(self.window.close(drain_s))
        for _ in range(finish):
            await self.finish(0)
        self._commit((await closing)[0])

    async def deliver(self, tp: TP, *, skip: int = 0, follows: int | None = None) -> bool:
        """Hand the next record to the window, after Faust skipped some.

        Args:
            tp: Its partition.
            skip: How many Faust skipped.
            follows: The offset from which on the client found nothing before the record.
        """
        offsets = [offset for offset in sorted(self.log[tp]) if offset >= self.position[tp]]
        if len(offsets) <= skip or self.window.is_full() or tp in self.held:
            return False
        offset = offsets[skip]
        self.position[tp] = offset + 1
        message = FakeMessage(tp, offset, self.log[tp][offset], self.generation)
        if follows is not None:
            message.follows = follows
        return await self.window.take(FakeEvent(message))

    def seek_stalled(self, tp: TP) -> None:
        """Seek back where everything was fetched and not taken, as the app's pulse does."""
        partition = self.window.partitions[tp]
        if self.position[tp] > max(self.log[tp]) and not len(partition):
            self.position[tp] = partition.expected

    async def finish(self, index: int) -> None:
        """Let the running record at ``index`` write its outcome and return."""
        if self.running:
            running = self.running.pop(index % len(self.running))
            running.outcome.set_result(None)
            await settle()

    def commit(self) -> None:
        """Commit what the window says, as the consumer does."""
        self._commit(self.window.progress())

    def _commit(self, progress: Mapping[TP, Progress]) -> None:
        for tp, each in progress.items():
            assert each.offset >= self.committed.get(tp, 0)
            self.committed[tp], self.metadata[tp] = each.offset, each.metadata

    def finished_behind(self, tp: TP) -> frozenset[int]:
        """What the last commit says is finished above its offset."""
        return decode(self.committed.get(tp, 0), self.metadata.get(tp, "")).finished

    def resume(self) -> None:
        """Fetch again what the window held, where it has room."""
        for tp, offset in self.window.resumable():
            self.held.discard(tp)
            self.position[tp] = offset

    def unfinished(self, tp: TP) -> list[int]:
        done = {offset for at, offset in self.finished if at == tp}
        return [offset for offset in sorted(self.log[tp]) if offset not in done]

    async def _run(self, event: FakeEvent, lease: Lease) -> None:
        tp, offset = event.message.tp, event.message.offset
        assert offset >= self.committed.get(tp, 0), "it was committed"
        assert offset not in self.finished_behind(tp), "the commit says that it is finished"
        running = Running(event, lease, asyncio.get_running_loop().create_future())
        self.running.append(running)
        try:
            await running.outcome
        finally:
            if running in self.running:
                self.running.remove(running)
        if not lease.is_valid:
            raise LeaseLost
        self.finished.append((tp, offset))

    async def _seek(self, tp: TP, offset: int) -> None:
        self.position[tp] = offset

    async def _first_from(self, tp: TP, offset: int) -> int | None:
        return min((held for held in self.log[tp] if held >= offset), default=None)

    def _first(self, tp: TP) -> int:
        return min(self.log[tp], default=0)

    def _count_gap(self, tp: TP) -> None:
        self.gaps += 1


async def settle() -> None:
    """Let every task that can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)
