"""The app's lifecycle: waits for its broker, opens the window per generation, drains, stops.

Faust calls; this module answers. What Faust does around a rebalance, and why the window opens
only at its end, is told in docs/architecture.md.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted
from faust.types import TP, RecordMetadata

from streamapp.errors import ConfigurationError
from streamapp.settings import PREFIX, Settings
from streamapp.settings.file_problems import folder_problem
from streamapp.streaming.addresses import GroupAddresses
from streamapp.streaming.app.assignment_watch import AssignmentWatch, tell_opened
from streamapp.streaming.app.blocking import BlockingWatch
from streamapp.streaming.app.kept_fences import KeptFences
from streamapp.streaming.app.watchdog import Watchdog
from streamapp.streaming.app.window_drain import WindowDrain
from streamapp.streaming.app.writable import require_writable
from streamapp.streaming.broker.acls import BOTH, require_rights
from streamapp.streaming.broker.topics import ensure_topics, topic_specs
from streamapp.streaming.broker.wait import wait_for_broker
from streamapp.streaming.consumer.commit_age import CommitAge
from streamapp.streaming.consumer.consumer import Consumer
from streamapp.streaming.consumer.fetched_records import unreadable_lines
from streamapp.streaming.consumer.log_changes import LogChanges, Starts
from streamapp.streaming.consumer.partition_flow import PartitionFlow
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.producer import Producer
from streamapp.streaming.flows.assignor import HeldPartitions
from streamapp.streaming.tables.recovery import Tables
from streamapp.streaming.window.membership import Membership
from streamapp.streaming.window.window import Window

log = structlog.get_logger(__name__)

PULSE_S = 0.25
#: What stopping may take beyond the drain before the process is ended, seconds.
STOP_MARGIN_S = 5.0


class StreamApp(faust.App):
    """Faust's app, with the window's life in its hooks.

    ``bind`` must be called before the app starts.
    """

    settings: Settings
    window: Window
    ledgers: Sequence[Ledger]
    watchdog: Watchdog
    membership: Membership

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kept = KeptFences(self.conf.datadir / "blocking.json")
        self.blocking = BlockingWatch(self.conf.broker_session_timeout, kept=kept)
        self.held = HeldPartitions()
        self.addresses = GroupAddresses.of(self)

    def bind(
        self,
        *,
        settings: Settings,
        window: Window,
        ledgers: Sequence[Ledger],
        watchdog: Watchdog,
        http_calls: Callable[[float], Awaitable[None]],
        inputs: Sequence[str] = (),
        from_latest: Sequence[str] = (),
        preparing: Sequence[Callable[[], Awaitable[None]]] = (),
        closing: Sequence[Callable[[], Awaitable[None]]] = (),
        on_log_change: Callable[[str], None] = lambda reason: None,
        overdue: Callable[[], Sequence[str]] = tuple,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hand over what the hooks drive.

        Args:
            settings: The app's.
            window: Takes the request records.
            ledgers: Those of all flows: what was answered.
            watchdog: Not started yet.
            http_calls: Ends what is answered over HTTP, within the given seconds.
            inputs: Topics of the flows, beside the requests.
            from_latest: Those of them that a new group reads from their end.
            preparing: Called before the group is joined, in order; again where no broker answers.
            closing: Called after the drain, in order; closes providers.
            on_log_change: Called with the reason where a partition is begun anew.
            overdue: Returns a line for each record that may not end by itself.
            clock: Monotonic seconds.
        """
        self.settings, self.window = settings, window
        self.ledgers, self.watchdog = ledgers, watchdog
        self.membership, self._drain_http_calls = window.membership, http_calls
        self._preparing, self._closing = preparing, closing
        self.is_draining = False
        requests = self._requests_topic = settings.topic("requests")
        self.inputs = frozenset((self._requests_topic, *inputs))
        self.from_latest = frozenset(from_latest)
        self.flow = PartitionFlow(window, lambda: self._kafka, self.held, clock, requests)
        self._log_changes = LogChanges(
            self.inputs,
            begin_anew=self._begin_anew,
            on_change=on_log_change,
            on_begun=lambda tp: cast(Tables, self.tables).begin_anew(tp),
        )
        self._commit_age = CommitAge(clock)
        self._drain = WindowDrain(window, lambda: self._kafka, overdue)
        self.on_partitions_revoked.connect(self._close_window)
        self.add_future(self._pulse())

    def produce(self, *record: Any) -> Awaitable[Awaitable[RecordMetadata]]:
        """Buffer a record in the running producer, see `Send`; what it returns is its delivery."""
        return cast(Producer, self.producer).put(*record)

    # -- start

    async def on_first_start(self) -> None:
        """Wait for the broker, create and verify the topics, prepare what records need.

        Raises:
            ConfigurationError: A topic, a right or the data directory is not as it has to be.
        """
        self._create_directories()
        self.watchdog.start()
        self.blocking.start()
        self.add_future(AssignmentWatch.of(self.settings, time.monotonic).watch(self, self.window))
        if self.conf.web_enabled:  # probes are told why it waits; Faust would serve them later
            await self.web.maybe_start()
        await wait_for_broker(self.settings, self._prepare)
        self.watchdog.note_broker()
        await super().on_first_start()

    def _create_directories(self) -> None:
        try:
            self.conf.datadir.mkdir(parents=True, exist_ok=True)
            super()._create_directories()
            require_writable(self.conf.datadir, self.conf.tabledir)
        except OSError as error:
            problem = folder_problem(self.conf.datadir, error)
            raise ConfigurationError(f"{PREFIX}DATA_DIR: {problem}") from error

    async def _prepare(self) -> None:
        await ensure_topics(self.settings)
        await require_rights(self.settings, {t.name: BOTH for t in topic_specs(self.settings)})
        for step in self._preparing:
            await step()

    # -- what Faust knows and does not say

    def _new_producer(self) -> Producer:
        return Producer(self.transport, loop=self.loop, beacon=self.beacon)

    def _new_consumer(self) -> Consumer:
        consumer = Consumer(
            self.transport,
            callback=self.topics.on_message,
            loop=self.loop,
            on_partitions_revoked=self._on_partitions_revoked,
            on_partitions_assigned=self._on_partitions_assigned,
            beacon=self.beacon,
        )
        consumer.progress = self.window.progress
        return consumer

    @property
    def _kafka(self) -> Consumer:
        return cast(Consumer, self.consumer)

    def committed(self, tp: TP) -> int | None:
        """Return the committed offset of an assigned partition; None where there is none."""
        return self._kafka._committed_offset.get(tp)

    def committed_here(self) -> dict[int, int]:
        """Return the committed offsets of this worker's partitions of the requests."""
        mine = (tp for tp in self.window.partitions if tp.topic == self._requests_topic)
        return {tp.partition: at for tp in mine if (at := self.committed(tp)) is not None}

    def unreadable(self) -> list[str]:
        """Return the partitions that are held since a batch in them cannot be read."""
        return [] if self._consumer is None else unreadable_lines(self._kafka.fetched.unreadable)

    async def look_up_committed(self) -> None:
        """Learn what is committed of this worker's partitions, before Faust asks for it."""
        if self.consumer.assignment():
            await self.consumer.perform_seek()

    # -- generations

    def on_rebalance_end(self) -> None:
        """Open the window: the tables are recovered and the committed offsets are known."""
        if not cast(Tables, self.tables).recovery.is_overtaken:
            super().on_rebalance_end()
            self._open_window()

    def _open_window(self) -> None:
        if self.is_draining or self.should_stop:
            return
        assigned = [tp for tp in self.consumer.assignment() if tp.topic in self.inputs]
        # With nothing committed from the beginning; where that is not 0, it begins with a hole.
        positions = {tp: self.committed(tp) or 0 for tp in assigned}
        self.window.open(self.consumer_generation_id, positions, self._kafka.known(positions))
        self.flow.clear(positions.keys() - self._kafka.fresh)
        self._log_changes.tell(self._kafka.made_anew)
        tell_opened(self.consumer_generation_id, positions)

    async def _close_window(
        self, sender: object, /, *args: Any, signal: Any, **kwargs: Any
    ) -> None:
        """Drain what runs, and commit it before the group goes on without us."""
        await self._drain.drain(self.settings.revoke_drain_s)

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Hold the group until the drain of a stop is over; else do as Faust does.

        Faust lets a stopping worker's partitions go at once, while its records still run.
        """
        if self.should_stop:
            await self._drain.drain(self.settings.revoke_drain_s)
        else:
            await super()._on_partitions_revoked(revoked)

    def _on_rebalance_when_stopped(self) -> None:
        """Keep the client: Faust would close it under the drain, which could not commit then."""

    # -- while it runs

    async def _pulse(self) -> None:
        """Tell the watchdog that the loop runs, and look after what stands still."""
        while True:
            self.watchdog.pulse()
            try:
                self._commit_age.look(self.window.partitions, self.committed)
                if self.window.is_open and not self.rebalancing:
                    self.held.look(self._kafka.cluster)
                    await self.flow.look()
                    self._log_changes.look(self._kafka, self._kafka.fetched.out_of_range)
                elif self._consumer is not None:
                    self.flow.clear()
                    self._log_changes.look_beside(self._kafka, self._kafka.fetched.out_of_range)
            except (KafkaError, ConsumerNotStarted) as error:
                # Partitions come and go under our hands in a rebalance; the next beat sees.
                log.debug("pulse.skipped", error=type(error).__name__)
            await asyncio.sleep(PULSE_S)

    @property
    def commit_age_s(self) -> float:
        """Seconds for which finished records have waited for a commit; 0 where none wait."""
        return self._commit_age.age_s

    @property
    def oldest_uncommitted_s(self) -> float:
        """Seconds since the oldest record was taken that is not finished, or not committed."""
        return max(self.window.oldest_age_s, self.commit_age_s)

    async def _begin_anew(self, starts: Starts) -> None:
        """Take partitions from ``starts`` on, whatever was committed of them."""
        await self._drain.drain(self.settings.revoke_drain_s)
        generation = self.consumer_generation_id
        try:
            await self._kafka.begin_anew(starts)
        finally:  # where the group did not take it, the next beat tries again
            if generation == self.consumer_generation_id and not self.rebalancing:
                self._open_window()
                # The new window holds none back.
                self._kafka.resume_partitions(self.window.partitions)

    # -- end

    def fail(self, error: BaseException) -> None:
        """End the process non-zero: a record's outcome could not be delivered."""
        log.critical("app.failed", error=type(error).__name__, reason=str(error)[:200])
        self.is_draining = True
        self.window.fence()
        self.watchdog.end_in(STOP_MARGIN_S, "a failed worker did not end by itself")
        self.add_future(self.crash(error))

    async def on_stop(self) -> None:
        """Drain and commit before Faust stops the producer under the running records."""
        self.is_draining = True
        drain_s = self.settings.drain_s
        self.watchdog.end_in(drain_s + STOP_MARGIN_S, "stopping took longer than STREAMAPP_DRAIN_S")
        http_calls_s = 0.0 if self.crashed else drain_s
        in_time, _ = await asyncio.gather(
            self._drain.drain_and_leave(drain_s), self._drain_http_calls(http_calls_s)
        )
        for close in self._closing:
            await close()
        await super().on_stop()
        if not in_time:
            raise SystemExit(1)
