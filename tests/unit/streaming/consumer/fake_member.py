"""The app as a member of a consumer group that a test drives: its client is a fake."""

import asyncio
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from faust.types import TP

from streamapp.errors import LeaseLost
from streamapp.running_clock import RunningClock
from streamapp.settings import Settings
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.app.watchdog import Watchdog
from streamapp.streaming.consumer.consumer import Consumer
from streamapp.streaming.consumer.fetched_records import FetchedRecords
from streamapp.streaming.tables.recovery import Tables
from streamapp.streaming.window.finished_offsets import Metadata
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.membership import Membership
from streamapp.streaming.window.partition_state import Progress, SpanBounds
from streamapp.streaming.window.taken_record import Event
from streamapp.streaming.window.window import Window
from tests.support.virtual_time import VirtualLoop, virtual_clock
from tests.unit.streaming.fake_broker import FakeEvent, FakeMessage, settle

T0, T1 = TP("llm.requests", 0), TP("llm.requests", 1)


class FakeCluster(dict[str, int]):
    """Partition counts by topic, as the client's metadata."""

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self[topic])) if topic in self else None


class FakeConsumer:
    """The part of Faust's consumer that the app's life uses; ``calls`` has what it was told."""

    begin_anew = Consumer.begin_anew

    def __init__(self) -> None:
        self.assigned: set[TP] = set()
        self.came_early: set[TP] = set()
        self.highwaters: dict[TP, int] = {}
        self.holes: dict[tuple[TP, int], int] = {}
        self.fetched = FetchedRecords()
        self.calls: list[tuple[Any, ...]] = []
        self.errors: list[Exception] = []
        self.refusals = 0
        self.during_seek: Callable[[], None] = lambda: None
        self.during_go_on: Callable[[], object] = lambda: None
        self.starts: dict[TP, int] = {}
        self.finished_behind: dict[TP, set[int]] = {}
        self.read_of: dict[TP, bytes] = {}
        self.made_anew: dict[TP, bytes] = {}
        self.beacon = None
        self.cluster = FakeCluster()
        self._committed_offset: dict[TP, int] = {}

    def assignment(self) -> set[TP]:
        return self.assigned

    @property
    def fresh(self) -> set[TP]:
        return self.assigned - self.came_early

    def highwater(self, tp: TP) -> int | None:
        if self.errors:
            raise self.errors.pop()
        return self.highwaters.get(tp)

    def hole_at_end(self, tp: TP, offset: int) -> int | None:
        return self.holes.get((tp, offset))

    async def seek(self, tp: TP, offset: int) -> None:
        self.calls.append(("seek", tp, offset))

    def has_committed(self, tp: TP) -> bool:
        return tp in self._committed_offset

    async def topic_ids(self, topics: object, *, every_broker: bool = False) -> dict[str, bytes]:
        return {}

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        return {tp: self.starts.get(tp, 0) for tp in tps}

    async def go_on_at(self, tp: TP, offset: int, *, behind: int | None = None) -> None:
        self.calls.append(("go_on_at", tp, offset))
        self.during_go_on()
        self.fetched.out_of_range.pop(tp, None)

    async def perform_seek(self) -> None:
        self.calls.append(("perform_seek",))
        self.during_seek()

    def known(self, positions: dict[TP, int]) -> dict[TP, Metadata]:
        finished = self.finished_behind
        return {
            tp: Metadata(frozenset(finished.get(tp, ())), self.read_of.get(tp, b""))
            for tp in positions
        }

    async def commit_progress(
        self, progress: dict[TP, Progress], *, until_taken: bool = False
    ) -> bool:
        offsets = {tp: each.offset for tp, each in progress.items()}
        self.calls.append(("commit", offsets))
        if self.refusals:
            self.refusals -= 1
            return False
        self._committed_offset.update(offsets)
        return True

    async def leave_group(self) -> None:
        self.calls.append(("leave",))
        if self.errors:
            raise self.errors.pop()

    def stop_flow(self) -> None: ...

    def resume_flow(self) -> None: ...

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        self.calls.append(("pause", *tps))

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        self.calls.append(("resume", *tps))

    def close(self) -> None:
        self.calls.append(("close",))

    def told(self, name: str) -> list[tuple[Any, ...]]:
        """What calls of that name were given, in order."""
        return [call[1:] for call in self.calls if call[0] == name]


class Member:
    """A bound app, not connected; made and used in a running virtual loop.

    Attributes:
        consumer: The fake client.
        finished: Offsets of partition 0 whose outcome was written, in order.
        leases: The lease of each record that was begun, by its offset.
        steps: What the app closed at its end, in order.
        ended: Exit codes that the watchdog ended the process with.
        http_calls_s: How long its HTTP calls take to end.
        is_heard: Whether the group takes its heartbeats.
    """

    def __init__(self, directory: Path, **settings: Any) -> None:
        settings = {"session_timeout_s": 10, "revoke_drain_s": 5, "drain_s": 20} | settings
        self.settings = Settings(_env_file=None, **settings)
        self.consumer = FakeConsumer()
        self.finished: list[int] = []
        self.leases: dict[int, Lease] = {}
        self.steps: list[str] = []
        self.ended: list[int] = []
        self.is_heard = True
        self.http_calls_s = 0.0
        self.overdue: list[str] = []
        self._beating: asyncio.Future[None] | None = None
        self.app = StreamApp(
            "test",
            store="memory://",
            datadir=directory,
            stream_wait_empty=False,
            TableManager=Tables,
        )
        self.app.consumer = cast(Any, self.consumer)
        # Its thread does not run: the test looks when it likes.
        running = RunningClock(virtual_clock, most_s=math.inf)
        self.watchdog = Watchdog(lambda: True, clock=running, end=self.ended.append)
        self.membership = Membership(self.settings.session_timeout_s, clock=virtual_clock)
        self.window = Window(
            self._run,
            seek=self.consumer.seek,
            first_from=self._first_from,
            on_fatal=self.app.fail,
            on_hold=lambda tp: self.app.flow.hold(tp),
            bounds=SpanBounds(offsets=4),
            clock=virtual_clock,
            membership=self.membership,
            max_in_flight=4,
            max_pending=4,
        )
        self.app.bind(
            settings=self.settings,
            window=self.window,
            ledgers=(),
            watchdog=self.watchdog,
            http_calls=self._drain_http_calls,
            overdue=lambda: self.overdue,
            closing=(self._close,),
            clock=virtual_clock,
        )

    async def assign(self, *tps: TP, generation: int = 1) -> None:
        """End a rebalance with these partitions."""
        self.app.on_rebalance_start()
        self.consumer.assigned = set(tps)
        self.app.consumer_generation_id = generation
        self.app.on_rebalance_end()
        if self._beating is None:
            self._beating = asyncio.ensure_future(self._beat())
        await asyncio.sleep(0)

    async def deliver(self, offset: int, *, runs_s: float) -> bool:
        """Give the next record of partition 0, which takes so long; return whether it was taken."""
        generation = self.app.consumer_generation_id
        message = FakeMessage(T0, offset, None, generation, value=str(runs_s).encode())
        taken = await self.window.take(FakeEvent(message))
        await settle()
        return taken

    def heartbeat(self) -> None:
        """Have the group take a heartbeat sent now, and those to come."""
        self.is_heard = True
        self.membership.note(virtual_clock())

    def freeze(self, seconds: float) -> None:
        """Stop the process for that long; no heartbeat comes through after it."""
        self.is_heard = False
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.freeze(seconds)

    async def _beat(self) -> None:
        while True:
            if self.is_heard:
                self.membership.note(virtual_clock())
            await asyncio.sleep(1)

    async def _run(self, event: Event, lease: Lease) -> None:
        offset = event.message.offset
        self.leases[offset] = lease
        await asyncio.sleep(float(event.message.value or 0))
        while not lease.is_valid:  # as the emitter does
            if lease.is_ended:
                raise LeaseLost
            await asyncio.sleep(0.1)
        self.finished.append(offset)

    async def _first_from(self, tp: TP, offset: int) -> int | None:
        return offset

    async def _drain_http_calls(self, limit_s: float) -> None:
        self.steps.append(f"HTTP calls within {limit_s:g} s")
        await asyncio.sleep(self.http_calls_s)

    async def _close(self) -> None:
        self.steps.append("closed")
