"""The consumer: Faust's, with a fast hand-over of many records in one turn of the loop.

Faust hands each record over by four tasks: one for the hand-over, three that watch for reasons
to give it up. And its streams let the loop turn once for each event. The loop then turns for
every record, which costs more CPU than all else that Faust does with it, and nothing gathers:
neither answers to read, nor records to send. Here a hand-over that need not wait takes no task,
and the agent takes in one turn what is there.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Generator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import structlog
from aiokafka import AIOKafkaConsumer as AIOKafkaClient
from aiokafka.errors import ConsumerStoppedError
from faust.streams import Stream
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP, ConsumerMessage, TopicT
from mode import Service
from mode.services import WaitArgT, WaitResults
from mode.threads import ServiceThread, WorkerThread
from mode.utils.times import Seconds

from streamapp.records.timestamps import moment_of
from streamapp.streaming.consumer.fetched_records import FetchedRecords, keep_first_error
from streamapp.streaming.consumer.group_member import GroupMemberThread
from streamapp.streaming.consumer.ordered_commits import OrderedCommits
from streamapp.streaming.consumer.stalled_partitions import end_of
from streamapp.streaming.flows.assignor import Cluster
from streamapp.streaming.flows.first_offsets import FirstOffsets
from streamapp.streaming.window.partition_state import Progress

log = structlog.get_logger(__name__)

#: A partition that was taken over is behind where its next record is so old, seconds.
BEHIND_S = 5.0
#: What is said where this group never read one that is ``OLD_S`` old: not just sent.
OLD_S = 60.0
NEW = "the group has read nothing of it: all is answered; is STREAMAPP_APP_ID another one?"

#: Events taken in one turn at most: web views and heartbeats want theirs, too.
AT_ONCE = 100

#: Longest wait of the broker for something to give, milliseconds. A broker is asked once at a
#: time, so this is how late a partition can be that was paused or assigned meanwhile; Faust says
#: 1,500. A worker at rest asks each broker five times a second.
FETCH_MAX_WAIT_MS = 200
#: The same before the window is open: the first records wait for what was asked last before that.
OPENING_MAX_WAIT_MS = 25


async def events(stream: Stream[Any]) -> AsyncIterator[Any]:
    """Yield the events of ``stream``, which must not ack them by itself.

    Each batch begins in Faust's own way; what waits behind its first event is tracked as that
    is, but not looked at for its generation: the window does.
    """
    app, queue = stream.app, cast(TopicT, stream.channel).queue
    sensors, track = app.sensors, app.consumer.track_message
    async for first in stream.events():
        yield first
        for _ in range(AT_ONCE):
            if queue.empty() or not app.flow_control.is_active():
                break
            event = queue.get_nowait()
            message = event.message
            if not message.tracked:
                message.tracked = True
                track(message)
            place = message.tp, message.offset
            state = sensors.on_stream_event_in(*place, stream, event)
            stream._set_current_event(event)
            yield event
            sensors.on_stream_event_out(*place, stream, event, state)


class FastHandOver(Service):
    """Runs a hand-over at once, and waits in Faust's way for the one that has to wait."""

    async def sleep(self, n: Seconds) -> None:
        """Let others have their turn where ``n`` is 0, as before each fetch, without a task."""
        if n:
            await super().sleep(n)
        else:
            await asyncio.sleep(0)

    async def wait_first(self, *coros: WaitArgT, timeout: Any = None) -> WaitResults:
        """Return when the first of ``coros`` has ended, or the consumer stops.

        Raises:
            Exception: As of the one that ended.
        """
        first, *others = coros
        if not isinstance(first, Coroutine):
            return await super().wait_first(*coros, timeout=timeout)
        try:
            awaited = first.send(None)
        except StopIteration as end:
            _close(others)
            return WaitResults([first], [end.value], False)
        except BaseException:
            _close(others)
            raise
        return await super().wait_first(_Started(first, awaited), *others, timeout=timeout)


class Consumer(FastHandOver, FirstOffsets, OrderedCommits):
    """Faust's consumer, fed that way."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Partitions of inputs of which no record has come since they were taken over.
        self.fresh: set[TP] = set()

    async def _seek(self, partition: TP, offset: int) -> None:
        # Faust seeks from the app's thread, under the hands of the client's own: a fetch that
        # looks through the same records then ends the worker with a KeyError.
        thread = self._thread
        await thread.call_thread(thread.seek, partition, offset)  # type: ignore[arg-type]  # it awaits only what can be

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def fetched(self) -> FetchedRecords:
        """What the client's thread knows of the log."""
        return cast(_ConsumerThread, self._thread).fetched

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        message = super()._to_message(tp, record)
        if self.fresh and tp in self.fresh:
            self.fresh.discard(tp)
            hint = "" if self.has_committed(tp) else NEW
            tell_behind(tp, record.offset, record.timestamp / 1000, now=time.time(), hint=hint)
        follows = getattr(record, "follows", None)
        if follows is not None:
            message.follows = follows  # type: ignore[attr-defined]  # read by the window
        return message

    @property
    def cluster(self) -> Cluster:
        """What the client knows of topics and their partitions."""
        return cast(_ConsumerThread, self._thread).cluster

    def hole_at_end(self, tp: TP, offset: int) -> int | None:
        """Return the end of the hole that ``offset`` lies in, where no record was seen behind."""
        begin, end = self.fetched.tail.get(tp, (0, 0))
        return end if begin <= offset < end else None

    def on_buffer_drop(self, tp: TP) -> None:
        """Fetch on where a stream has room again, but nothing of a partition that is held.

        Faust would resume that as well, and the window drop its whole backlog, record by record.
        """
        super().on_buffer_drop(tp)
        if tp in self._paused_partitions:
            self._get_active_partitions().discard(tp)

    async def go_on_at(self, tp: TP, offset: int, *, behind: int | None = None) -> None:
        """Fetch a partition from ``offset`` on; what lies from ``behind`` to there is gone."""
        thread = cast(_ConsumerThread, self._thread)
        await thread.call_thread(thread.go_on_at, tp, offset, behind)
        self._read_offset[tp] = offset or None

    async def begin_anew(self, starts: Mapping[TP, Progress]) -> None:
        """Commit partitions' starts, whatever was committed, and fetch from them on.

        Where the group does not take one, nothing is fetched of it: a window that begins at the
        old one would take all records below that for known ones.
        """
        await self.commit_progress(starts, until_taken=True)
        await self.perform_seek()
        for tp, start in starts.items():
            if (self._committed_offset.get(tp) or 0) == start.offset:
                await self.go_on_at(tp, start.offset)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Forget what is known of other partitions' logs."""
        self.fetched.forget_others(assigned)
        self.fresh = {tp for tp in assigned if tp.topic in cast(Any, self.app).inputs}
        await super().on_partitions_assigned(assigned, generation_id)


def tell_behind(tp: TP, offset: int, written_at: float, *, now: float, hint: str = "") -> None:
    """Log from when on a partition goes on that was taken over, where that is a while ago."""
    moment, age_s = moment_of(written_at), now - written_at
    if moment is not None and age_s >= BEHIND_S:
        more = {"hint": hint} if hint and age_s >= OLD_S else {}
        (log.warning if more else log.info)(
            "partition.behind",
            topic=tp.topic,
            partition=tp.partition,
            offset=offset,
            written_at=moment.isoformat(timespec="seconds"),
            age_s=round(age_s, 1),
            **more,
        )


class _DaemonThread(WorkerThread):
    """A thread that does not outlive the main loop, for whose answer it may wait in a rebalance."""

    def __init__(self, service: ServiceThread, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True


class _ConsumerThread(GroupMemberThread):
    """Faust's thread of the client: a shorter wait, an isolation level, and a reader of our own."""

    Worker = _DaemonThread

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fetched = FetchedRecords(cast(Any, self.app).held.changelogs.values)

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaClient:
        client = super()._create_worker_consumer(transport)
        # Read when it starts; Faust has no setting for either.
        client._fetch_max_wait_ms = OPENING_MAX_WAIT_MS
        client._isolation_level = cast(Any, self.app).settings.kafka_isolation
        # A position that the broker does not have is told, and not replaced in silence.
        client._auto_offset_reset = "none"
        return client

    async def on_start(self) -> None:
        """Start the client, which fetches nothing before it is assigned something."""
        await super().on_start()
        keep_first_error(self._ensure_consumer()._fetcher)

    async def _fetch_records(
        self,
        consumer: AIOKafkaClient,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Any:
        if not self.consumer.flow_active:
            return {}
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        is_open = cast(Any, self.app).window.is_open
        wait_ms = FETCH_MAX_WAIT_MS if is_open else OPENING_MAX_WAIT_MS
        fetcher._fetch_max_wait_ms = wait_ms
        with fetcher._subscriptions.fetch_context():
            return await self.fetched.take(
                consumer,
                active_partitions,
                # What came while all were paused wakes nobody when they are resumed.
                timeout_s=min(timeout or 0.0, wait_ms / 1000),
                limit=max_records,
            )

    async def go_on_at(self, tp: TP, offset: int, behind: int | None) -> None:
        """Do so in the client's own thread."""
        self.fetched.go_on_at(self._ensure_consumer(), tp, offset, behind)

    @property
    def cluster(self) -> Cluster:
        """The client's metadata, whose objects are replaced as a whole."""
        return cast(Cluster, self._ensure_consumer()._client.cluster)

    def highwater(self, tp: TP) -> int:
        """Return the partition's end for this reader; see `end_of` for what is raised."""
        return end_of(self._ensure_consumer(), tp)


class _Started:
    """The rest of a coroutine that ran until it waited for ``awaited``."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, Any]:
        awaited = self._awaited
        while True:
            try:
                yield awaited
            except GeneratorExit:
                self._coroutine.close()
                raise
            except BaseException as error:  # the coroutine's own to handle
                step = partial(self._coroutine.throw, error)
            else:
                step = partial(self._coroutine.send, None)
            try:
                awaited = step()
            except StopIteration as end:
                return end.value


def _close(coros: Sequence[WaitArgT]) -> None:
    for coro in coros:
        if isinstance(coro, Coroutine):
            coro.close()
