import asyncio
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import IllegalStateError
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from streamapp.settings import Settings
from streamapp.streaming.consumer.consumer import (
    AT_ONCE,
    FETCH_MAX_WAIT_MS,
    NEW,
    OPENING_MAX_WAIT_MS,
    Consumer,
    FastHandOver,
    _ConsumerThread,
    events,
    tell_behind,
)
from streamapp.streaming.flows.assignor import HeldPartitions
from tests.support.own_consumer import consumer_of


class Tasks:
    """Counts the tasks that the loop makes."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> Any:
        self.made += 1
        return asyncio.Task(coro, loop=loop, **kwargs)


async def test_hand_over_with_room_takes_no_task() -> None:
    """A hand-over that does not wait costs no task, and what watches it is let go."""
    suspended, tasks = asyncio.Event(), Tasks()
    asyncio.get_running_loop().set_task_factory(tasks)

    async def hand_over() -> str:
        return "taken"

    result = await FastHandOver().wait_first(hand_over(), suspended.wait())

    assert (result.results, result.stopped) == (["taken"], False)
    assert tasks.made == 0


async def test_hand_over_that_waits_goes_on_where_it_was() -> None:
    """What was begun is not begun again, and its end is waited for."""
    steps, room = [], asyncio.Event()

    async def hand_over() -> str:
        steps.append("begun")
        await room.wait()
        steps.append("put")
        await asyncio.sleep(0)
        return "taken"

    waiting = asyncio.create_task(FastHandOver().wait_first(hand_over(), asyncio.Event().wait()))
    await asyncio.sleep(0)
    assert not waiting.done()
    room.set()

    assert (await waiting).results == ["taken"]
    assert steps == ["begun", "put"]


async def test_suspended_flow_gives_a_waiting_hand_over_up() -> None:
    """A rebalance does not wait for room in the stream; the hand-over runs its clean-up."""
    suspended, cleaned = asyncio.Event(), []

    async def hand_over() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    waiting = asyncio.create_task(FastHandOver().wait_first(hand_over(), suspended.wait()))
    await asyncio.sleep(0)
    suspended.set()

    await asyncio.wait_for(waiting, 30)
    await asyncio.sleep(0)
    assert cleaned == [True]


async def test_waiting_hand_over_handles_what_it_waits_for() -> None:
    """An error or a cancellation comes where the hand-over waits, and it may wait on."""
    failing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    ends: list[str] = []

    async def hand_over() -> None:
        try:
            await failing
        except LookupError:
            ends.append("handled")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    waiting = asyncio.create_task(FastHandOver().wait_first(hand_over(), asyncio.Event().wait()))
    await asyncio.sleep(0)
    failing.set_exception(LookupError())
    for _ in range(5):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.sleep(0)

    assert ends == ["handled", "cancelled"]


async def test_stop_gives_a_waiting_hand_over_up() -> None:
    """A consumer that stops says so."""
    hand_over = FastHandOver()
    waiting = asyncio.create_task(
        hand_over.wait_first(asyncio.Event().wait(), asyncio.Event().wait())
    )
    await asyncio.sleep(0)

    hand_over._stopped.set()

    assert (await asyncio.wait_for(waiting, 30)).stopped


@pytest.mark.parametrize("waits", [False, True])
async def test_error_of_a_hand_over_comes_out(waits: bool) -> None:
    """What the hand-over raises is raised, whether it had to wait or not."""

    async def hand_over() -> None:
        if waits:
            await asyncio.sleep(0)
        raise LookupError("no channel")

    with pytest.raises(LookupError, match="no channel"):
        await FastHandOver().wait_first(hand_over(), asyncio.Event().wait())


def test_consumer_waits_in_this_way() -> None:
    """Faust's loop over fetched records calls our ``wait_first``."""
    assert Consumer.wait_first is FastHandOver.wait_first
    assert "wait_first" in FaustConsumer._drain_messages.__code__.co_names


class FakeStream:
    """A stream of Faust's shape: events come one by one, or wait in the channel's queue."""

    def __init__(self, first: list[Any], waiting: list[Any]) -> None:
        self.heard: list[Any] = []
        self.current: list[Any] = []
        self._first = first
        self.channel = SimpleNamespace(queue=asyncio.Queue())
        for event in waiting:
            self.channel.queue.put_nowait(event)
        self.is_active = True
        self.app = SimpleNamespace(
            sensors=SimpleNamespace(
                on_stream_event_in=lambda tp, offset, stream, event: self.heard.append(offset),
                on_stream_event_out=lambda tp, offset, stream, event, state: None,
            ),
            consumer=SimpleNamespace(track_message=lambda message: self.tracked(message)),
            flow_control=SimpleNamespace(is_active=lambda: self.is_active),
        )
        self.unacked: list[int] = []

    def tracked(self, message: Any) -> None:
        self.unacked.append(message.offset)

    def _set_current_event(self, event: Any) -> None:
        self.current.append(event.message.offset)

    async def events(self) -> Any:
        for event in self._first:
            yield event


def event(offset: int) -> Any:
    """An event as Faust hands it to a stream."""
    return SimpleNamespace(message=SimpleNamespace(tp="tp", offset=offset, tracked=False))


async def test_waiting_events_come_in_one_turn() -> None:
    """What waits behind an event follows it in order, tracked and current as Faust does it."""
    stream, turns = FakeStream([event(0)], [event(1), event(2)]), 0

    def turn() -> None:
        nonlocal turns
        turns += 1

    asyncio.get_running_loop().call_soon(turn)
    taken = [event.message.offset async for event in events(stream)]  # type: ignore[arg-type]

    assert taken == [0, 1, 2]
    assert stream.unacked == stream.heard == stream.current == [1, 2]
    assert turns == 0


async def test_batches_leave_turns_to_others() -> None:
    """A long queue is taken in parts, each begun by Faust, which lets the loop turn."""
    waiting = [event(offset) for offset in range(1, 2 * AT_ONCE)]
    stream = FakeStream([event(0)], waiting)

    taken = [event.message.offset async for event in events(stream)]  # type: ignore[arg-type]

    assert taken == list(range(AT_ONCE + 1))
    assert stream.channel.queue.qsize() == AT_ONCE - 1


async def test_suspended_flow_leaves_what_waits() -> None:
    """In a rebalance Faust clears the queue: nothing of it is taken."""
    stream = FakeStream([event(0)], [event(1)])
    stream.is_active = False

    taken = [event.message.offset async for event in events(stream)]  # type: ignore[arg-type]

    assert taken == [0]


def test_faust_still_turns_the_loop_for_each_event() -> None:
    """The reason for taking many at once; when it is gone, so can be ``events``."""
    source = Path(faust.__file__).parent / "_cython" / "streams.pyx"

    assert "            await sleep(0)\n" in source.read_text()


async def test_only_inputs_are_told_to_be_behind() -> None:
    """Nothing is ever committed of a table's topic, which says nothing about its group."""
    app: Any = faust.App("behind-test", broker="kafka://127.0.0.1:1", env={})
    app.inputs, app.held = {"llm.requests"}, HeldPartitions()
    consumer: Any = consumer_of(app)
    places = TP("llm.requests", 0), TP("llm.prompts", 0)
    await consumer.on_partitions_assigned(set(places))
    fresh = set(consumer.fresh)
    record: dict[str, Any] = {
        name: None for name in ("key", "value", "headers", "timestamp_type", "checksum")
    }
    record |= {"offset": 3, "timestamp": 1_000, "serialized_key_size": -1}

    with structlog.testing.capture_logs() as lines:
        for tp in places:
            found = SimpleNamespace(**record, **tp._asdict(), serialized_value_size=-1)
            consumer._to_message(tp, found)
    consumer._thread.thread_loop.close()

    assert [(line["event"], line["topic"]) for line in lines] == [
        ("partition.behind", "llm.requests")
    ]
    assert lines[0]["hint"] == NEW
    assert (fresh, consumer.fresh) == ({places[0]}, set())


async def test_a_broker_is_not_waited_on_as_long_as_faust_does() -> None:
    """What is paused or assigned while a broker is asked waits for that answer."""
    app: Any = faust.App("fetch-test", broker="kafka://127.0.0.1:1", env={})
    app.settings = Settings(kafka_isolation="read_uncommitted")
    app.held = HeldPartitions()

    thread: Any = consumer_of(app)._thread
    theirs = AIOKafkaConsumerThread._create_worker_consumer(thread, app.transport)
    ours = thread._create_worker_consumer(app.transport)
    thread.thread_loop.close()
    for client in (theirs, ours):
        await client.stop()
    assert thread._calls == set()  # as its calls need it, however Faust made it

    assert vars(theirs)["_fetch_max_wait_ms"] == 1_500
    assert vars(ours)["_fetch_max_wait_ms"] == OPENING_MAX_WAIT_MS
    assert vars(ours)["_isolation_level"] == "read_uncommitted"


@pytest.mark.parametrize("isolation", ["read_uncommitted", "read_committed"])
async def test_end_of_a_partition_that_was_given_back_is_a_kafka_error(isolation: str) -> None:
    """The client gives partitions back in its own thread, under a look of the app's pulse.

    aiokafka asserts, which would end the worker.
    """
    client = AIOKafkaConsumer("llm.requests", isolation_level=isolation)
    thread: Any = object.__new__(_ConsumerThread)
    thread._consumer = client
    with pytest.raises(AssertionError):
        client.highwater(TopicPartition("llm.requests", 3))

    with pytest.raises(IllegalStateError, match="not assigned"):
        thread.highwater(TP("llm.requests", 3))
    assert thread.log_end(TP("llm.requests", 3)) is None

    await client.stop()


async def test_seek_runs_in_the_thread_of_the_client() -> None:
    """A fetch reads in that thread what a seek changes."""
    called: list[tuple[Any, ...]] = []

    class Thread:
        async def call_thread(self, method: Any, *args: Any) -> None:
            called.append((method, *args))

        def seek(self, partition: TP, offset: int) -> None:
            raise AssertionError("in the app's own thread")

    consumer = Consumer.__new__(Consumer)
    consumer._thread = Thread()  # type: ignore[assignment]

    await consumer._seek(TP("llm.requests", 3), 7)

    assert called == [(consumer._thread.seek, TP("llm.requests", 3), 7)]


@pytest.mark.parametrize(
    ("is_open", "wait_ms"),
    [(True, FETCH_MAX_WAIT_MS), (False, OPENING_MAX_WAIT_MS)],
    ids=["open", "opening"],
)
async def test_resumed_partitions_wait_for_no_long_fetch(is_open: bool, wait_ms: int) -> None:
    """What came while all were paused wakes nobody: a fetch waits as long as the client does.

    That is shorter before the window opens: the first records wait for the fetch before theirs.
    """
    waits: list[float] = []

    async def take(*args: Any, timeout_s: float, limit: int | None) -> dict[TP, Any]:
        waits.append(timeout_s)
        return {}

    thread: Any = object.__new__(_ConsumerThread)
    thread.app = SimpleNamespace(window=SimpleNamespace(is_open=is_open))
    thread.consumer = SimpleNamespace(flow_active=True)
    thread.fetched = SimpleNamespace(take=take)
    fetcher = SimpleNamespace(
        _closed=False, _subscriptions=SimpleNamespace(fetch_context=nullcontext)
    )

    await thread._fetch_records(SimpleNamespace(_closed=False, _fetcher=fetcher), set(), 1.0, 500)

    assert waits == [wait_ms / 1000]
    assert vars(fetcher)["_fetch_max_wait_ms"] == wait_ms
    assert "_fetch_max_wait_ms" in Fetcher._get_actions_per_node.__code__.co_names


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "full"])
def test_room_in_a_stream_resumes_no_partition_that_is_held(is_held: bool) -> None:
    """Else the backlog of a held partition would be fetched to be dropped."""
    tp = TP("llm.requests", 0)
    consumer = object.__new__(Consumer)
    consumer._active_partitions = set()
    consumer._buffered_partitions = {tp}
    consumer._paused_partitions = {tp} if is_held else set()

    consumer.on_buffer_drop(tp)

    assert consumer._active_partitions == (set() if is_held else {tp})
    assert consumer._buffered_partitions == set()


@pytest.mark.parametrize("written_at", [-1e12, 1.7e15, -1.0])
def test_any_time_of_a_record_is_taken(written_at: float) -> None:
    """The first record of a partition may have a time that no calendar knows."""
    tell_behind(TP("llm.requests", 0), 7, written_at, now=2e9)


async def test_turn_before_a_fetch_takes_no_task() -> None:
    """Faust gives others their turn before each fetch, by a wait of no time."""
    tasks = Tasks()
    asyncio.get_running_loop().set_task_factory(tasks)

    await FastHandOver().sleep(0)
    assert tasks.made == 0

    await FastHandOver().sleep(0.001)
    assert tasks.made == 1  # as mode does it: a stop ends it
