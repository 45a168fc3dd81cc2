import asyncio
from contextvars import copy_context
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotEnoughReplicasError,
    ProducerClosed,
    UnknownError,
)
from aiokafka.producer.message_accumulator import BatchBuilder, MessageBatch
from faust.exceptions import ProducerSendError

from streamapp.errors import DeliveryFailed, LeaseLost, TooLarge
from streamapp.llm.deadline import only_waits
from streamapp.streaming.delivery.emitter import REFUSALS, Emitter
from streamapp.streaming.delivery.producer import PartitionMissing
from streamapp.streaming.delivery.topic_failures import REFUSED_S, UNDELIVERED_S
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.membership import Membership
from tests.support.virtual_time import run_virtually


class FakeTopic:
    """Fails as scripted: an exception at ``send`` or at the delivery, then delivers."""

    def __init__(self, *failures: tuple[str, Exception]) -> None:
        self.failures = list(failures)
        self.delivered: list[tuple[Any, ...]] = []

    def get_topic_name(self) -> str:
        return "llm.responses"

    async def send(self, *record: Any) -> asyncio.Future[Any]:
        delivery: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self.failures:
            self.delivered.append(record)
            delivery.set_result("place")
            return delivery
        where, error = self.failures.pop(0)
        if where == "send":
            raise ProducerSendError("send") from error
        delivery.set_exception(error)
        return delivery


class Waits:
    """Records the waits; can end a lease in the first one."""

    def __init__(self, ends: Lease | None = None) -> None:
        self.waited: list[float] = []
        self._ends = ends

    async def __call__(self, wait_s: float) -> None:
        self.waited.append(wait_s)
        if self._ends:
            self._ends.end()


async def emit(topic: FakeTopic, lease: Lease, waits: Waits) -> Any:
    emitter = Emitter(topic.send, sleep=waits)
    return await emitter.emit(topic, lease, key=b"k", value=b"v", partition=3)  # type: ignore[arg-type]


async def test_record_is_sent_with_its_place() -> None:
    """Topic, key, value and partition arrive as given, and its place comes back."""
    topic, waits = FakeTopic(), Waits()

    assert await emit(topic, Lease(1), waits) == "place"

    assert topic.delivered == [("llm.responses", b"k", b"v", 3, None, None)]
    assert waits.waited == []


async def test_outage_is_waited_out() -> None:
    """What the broker can recover from delays the record, with growing waits."""
    topic = FakeTopic(
        ("send", KafkaTimeoutError()),
        ("delivery", NotEnoughReplicasError()),
        ("delivery", KafkaTimeoutError()),
    )
    waits = Waits()

    await emit(topic, Lease(1), waits)

    assert len(topic.delivered) == 1
    assert waits.waited == sorted(waits.waited)
    assert len(waits.waited) == 3


@pytest.mark.parametrize("where", ["send", "delivery"])
async def test_record_too_large_for_its_topic_is_a_dead_letter(where: str) -> None:
    """No waiting makes a record smaller; the failure names the setting of the topic."""
    topic, waits = FakeTopic((where, MessageSizeTooLargeError())), Waits()

    with pytest.raises(TooLarge, match=r"llm\.responses .* max\.message\.bytes"):
        await emit(topic, Lease(1), waits)

    assert waits.waited == []


async def test_record_in_too_large_a_batch_is_sent_alone() -> None:
    """A neighbour in a batch does not make a small record a dead letter."""
    together, alone = FakeTopic(("delivery", MessageSizeTooLargeError())), FakeTopic()
    emitter = Emitter(together.send, send_alone=alone.send)

    await emitter.emit(together, Lease(1), key=b"k", value=b"v", partition=3)  # type: ignore[arg-type]

    assert (len(together.delivered), len(alone.delivered)) == (0, 1)


@pytest.mark.parametrize(
    "error",
    [ProducerClosed(), KafkaError("Unexpected error during batch delivery")],
    ids=["closed", "ended by an error"],
)
async def test_producer_that_has_ended_is_final(error: Exception) -> None:
    """A process that ends delivers nothing more: nothing is committed."""
    topic, waits = FakeTopic(("send", error)), Waits()

    with pytest.raises(DeliveryFailed, match="the producer has ended"):
        await emit(topic, Lease(1), waits)


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_refusal_is_waited_for_and_told(refusal: type[KafkaError]) -> None:
    """What somebody has to cure is named with the cure until the record is delivered."""
    topic, told = FakeTopic(("delivery", refusal())), []

    async def look(wait_s: float) -> None:
        told.append(dict(emitter.refused))

    emitter = Emitter(topic.send, sleep=look)
    await emitter.emit(topic, Lease(1), key=b"k", value=b"v", partition=3)  # type: ignore[arg-type]

    assert refusal.__name__ in told[0]["llm.responses"]
    assert REFUSALS[refusal] in told[0]["llm.responses"]
    assert not emitter.refused


async def test_nothing_is_begun_while_a_topic_refuses() -> None:
    """`accepting` waits from the refusal to the delivery."""
    topic = FakeTopic(("delivery", UnknownError()))
    waiting: list[asyncio.Task[None]] = []

    async def look(wait_s: float) -> None:
        waiting.append(asyncio.create_task(emitter.accepting()))
        await asyncio.sleep(0)
        assert not waiting[0].done()

    emitter = Emitter(topic.send, sleep=look)
    await emitter.emit(topic, Lease(1), key=b"k", value=b"v", partition=3)  # type: ignore[arg-type]

    async with asyncio.timeout(60):
        await waiting[0]


def test_one_record_is_begun_where_no_refused_one_is_left() -> None:
    """A rebalance can take away every record that would notice that the topic was mended."""

    async def scene() -> None:
        topic = FakeTopic(*[("delivery", UnknownError())] * 1_000)
        emitter, lease = Emitter(topic.send), Lease(1)
        refused = asyncio.create_task(
            emitter.emit(topic, lease, key=b"k", value=b"v", partition=3)  # type: ignore[arg-type]
        )
        await asyncio.sleep(0.01)
        waiting = [asyncio.create_task(emitter.accepting()) for _ in range(5)]
        await asyncio.sleep(REFUSED_S * 3)
        assert [task.done() for task in waiting] == [False] * 5  # one tries already

        lease.end()
        await asyncio.wait([refused])
        await asyncio.sleep(0)
        assert isinstance(refused.exception(), LeaseLost)
        assert sum(task.done() for task in waiting) == 1

        topic.failures.clear()
        await emitter.emit(topic, Lease(2), key=b"k", value=b"v", partition=3)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert all(task.done() for task in waiting)
        assert not emitter.refused

    run_virtually(scene())


def test_topic_that_takes_nothing_for_long_is_told() -> None:
    """A topic that was deleted looks like an outage, while its broker answers."""

    async def scene() -> None:
        topic = FakeTopic(*[("delivery", KafkaTimeoutError())] * 1_000)
        emitter = Emitter(topic.send)
        emitting = asyncio.create_task(
            emitter.emit(topic, Lease(1), key=b"k", value=b"v", partition=3)  # type: ignore[arg-type]
        )
        await asyncio.sleep(UNDELIVERED_S / 2)
        assert emitter.undelivered() == []
        await emitter.accepting()  # an outage holds nothing up
        await asyncio.sleep(UNDELIVERED_S)
        [line] = emitter.undelivered()
        assert "llm.responses" in line
        assert "KafkaTimeoutError" in line

        topic.failures.clear()
        await emitting
        assert emitter.undelivered() == []

    run_virtually(scene())


def held_by_one_partition(
    failing: FakeTopic, going: FakeTopic
) -> tuple[Emitter, "asyncio.Task[Any]"]:
    """Return an emitter with a record under way to partition 3, whose records are `failing`'s."""

    async def send(name: str, key: Any, value: Any, partition: int, *rest: Any) -> Any:
        topic = failing if partition == 3 else going
        return await topic.send(name, key, value, partition, *rest)

    emitter = Emitter(send)  # type: ignore[arg-type]  # a fake
    emitting = asyncio.create_task(
        emitter.emit(failing, Lease(1), key=b"k", value=b"v", partition=3)  # type: ignore[arg-type]
    )
    return emitter, emitting


def test_partition_that_takes_nothing_is_told_while_others_go_on() -> None:
    """What other partitions of the topic take does not hide the record that waits for one."""

    async def scene() -> None:
        failing, going = FakeTopic(*[("delivery", KafkaTimeoutError())] * 1_000), FakeTopic()

        emitter, emitting = held_by_one_partition(failing, going)
        for _ in range(int(UNDELIVERED_S) + 1):
            await emitter.emit(going, Lease(1), key=b"k", value=b"v", partition=1)  # type: ignore[arg-type]
            await asyncio.sleep(1)
        [line] = emitter.undelivered()
        assert "in partitions 3: KafkaTimeoutError" in line

        failing.failures.clear()
        await emitting
        assert emitter.undelivered() == []

    run_virtually(scene())


def test_short_failures_of_many_records_are_no_long_one() -> None:
    """A broker that now and then takes a record at its second try only keeps nobody unready."""

    async def scene() -> None:
        topics = [FakeTopic(*[("delivery", KafkaTimeoutError())] * 4) for _ in range(40)]
        emitting = []

        async def send(name: str, key: Any, *rest: Any) -> Any:
            return await topics[int(key)].send(name, key, *rest)

        emitter = Emitter(send)
        for number, topic in enumerate(topics):
            emitting.append(
                asyncio.create_task(
                    emitter.emit(topic, Lease(1), key=b"%d" % number, value=b"v", partition=3)  # type: ignore[arg-type]
                )
            )
            await asyncio.sleep(1)
            assert emitter.undelivered() == []
        await asyncio.gather(*emitting)

    run_virtually(scene())


def test_refusal_of_one_record_is_not_over_when_the_topic_takes_another() -> None:
    """A partition that is missing, or a key: what is refused stays told, and nothing is begun."""

    async def scene() -> None:
        failing, going = FakeTopic(*[("delivery", PartitionMissing())] * 1_000), FakeTopic()

        emitter, emitting = held_by_one_partition(failing, going)
        await asyncio.sleep(1)
        waiting = asyncio.create_task(emitter.accepting())
        await emitter.emit(going, Lease(1), key=b"k", value=b"v", partition=1)  # type: ignore[arg-type]
        await asyncio.sleep(REFUSED_S)
        assert "fewer partitions" in emitter.refused["llm.responses"]
        assert not waiting.done()

        failing.failures.clear()
        await emitting
        await waiting
        assert not emitter.refused

    run_virtually(scene())


def test_record_that_waits_for_a_topic_costs_nothing_to_give_back() -> None:
    """A stop need not drain what was not begun."""

    async def scene() -> None:
        topic = FakeTopic(*[("delivery", UnknownError())] * 1_000)
        emitter, context = Emitter(topic.send), copy_context()
        emitting = asyncio.create_task(
            emitter.emit(topic, Lease(1), key=b"k", value=b"v", partition=3)  # type: ignore[arg-type]
        )
        await asyncio.sleep(0.01)
        waiting = asyncio.create_task(emitter.accepting(), context=context)
        await asyncio.sleep(1)

        assert only_waits(context)
        for task in (waiting, emitting):
            task.cancel()
        await asyncio.wait([waiting, emitting])

    run_virtually(scene())


async def test_lost_lease_writes_nothing() -> None:
    """A worker whose generation ended does not write."""
    topic, lease = FakeTopic(), Lease(1)
    lease.end()

    with pytest.raises(LeaseLost):
        await emit(topic, lease, Waits())

    assert topic.delivered == []


async def test_record_waits_while_membership_is_not_known() -> None:
    """A worker that hears nothing of its group sends nothing; a heartbeat lets the record go."""
    now = [0.0]
    membership = Membership(6, clock=lambda: now[0])
    topic, lease = FakeTopic(), Lease(1, membership)
    now[0] = 7.0

    async def sleep(wait_s: float) -> None:
        assert topic.delivered == []
        now[0] += wait_s
        if now[0] > 20:
            membership.note(now[0])

    emitter = Emitter(topic.send, sleep=sleep)
    await emitter.emit(topic, lease, key=b"k", value=b"v", partition=3)  # type: ignore[arg-type]

    assert len(topic.delivered) == 1
    assert now[0] > 20


async def test_member_that_the_group_forgot_sends_nothing() -> None:
    """A heartbeat in a later generation gives no right to an older lease."""
    membership = Membership()
    topic, lease = FakeTopic(), Lease(1, membership)
    membership.lose()
    membership.note(membership.now())

    with pytest.raises(LeaseLost):
        await emit(topic, lease, Waits())

    assert topic.delivered == []


async def test_lease_lost_during_an_outage_ends_the_attempts() -> None:
    """The next owner of the partition answers the record; this worker stops trying."""
    topic, lease = FakeTopic(("delivery", KafkaTimeoutError())), Lease(1)

    with pytest.raises(LeaseLost):
        await emit(topic, lease, Waits(ends=lease))

    assert topic.delivered == []


async def test_cancelled_task_leaves_its_batch_alone() -> None:
    """A record cancelled while it waits for its delivery takes no other down (aiokafka's batch)."""
    place = TopicPartition("llm.responses", 3)
    batch = MessageBatch(place, BatchBuilder(16_384, 0), ttl=40, linger_time=0)
    topic = FakeTopic()

    async def send(*record: Any) -> asyncio.Future[Any]:
        return batch.append(b"k", b"v", None)

    topic.send = send  # type: ignore[method-assign]
    cancelled, other = (asyncio.ensure_future(emit(topic, Lease(1), Waits())) for _ in range(2))
    await asyncio.sleep(0)

    cancelled.cancel()
    await asyncio.wait([cancelled])
    batch.done(base_offset=7)

    assert (await other).offset == 8
