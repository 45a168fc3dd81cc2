"""The queue of one input: never full, and held off by number and weight."""

from faust.types import TP
from mode.utils.queues import FlowControlEvent

from streamapp.bootstrap.faust_app import faust_app
from streamapp.settings import Settings
from streamapp.streaming.consumer.input_queue import BYTES_EACH, InputQueue
from tests.unit.streaming.fake_broker import FakeEvent, FakeMessage


def _filled(count: int, *, most: int, size: int = 0) -> tuple[InputQueue, list[str]]:
    queue, told = InputQueue(most, flow_control=FlowControlEvent()), []
    for number in range(count):
        value = bytes(size) if size else None
        queue.put_nowait_enhanced(
            FakeEvent(FakeMessage(TP("in", 0), number, None, 1, value=value)),
            on_pressure_high=lambda: told.append("high"),
            on_pressure_drop=lambda: told.append("drop"),
        )
    return queue, told


def _taken(queue: InputQueue, count: int) -> list[int]:
    return [queue.get_nowait().message.offset for _ in range(count)]


async def test_what_was_fetched_waits_for_no_room() -> None:
    """Past its bound a queue holds off further fetches, and takes what is there all the same."""
    queue, told = _filled(50, most=10)

    assert not queue.full()
    assert queue.qsize() == 50
    assert "high" in told


async def test_fetches_go_on_when_it_is_drained() -> None:
    """The partitions that it held off are fetched again once most of it is taken."""
    queue, told = _filled(9, most=10)
    assert told == ["high"]

    assert _taken(queue, 9) == list(range(9))
    assert told == ["high", "drop"]


async def test_large_records_hold_it_off_by_their_weight() -> None:
    """A few of them are as much as a queue of short ones; what is taken makes room again."""
    queue, told = _filled(4, most=100, size=30 * BYTES_EACH)
    assert told == ["high"]

    assert _taken(queue, 4) == [0, 1, 2, 3]
    assert told == ["high", "drop"]
    assert queue.qsize() == 0


async def test_what_is_let_go_weighs_nothing() -> None:
    """After a rebalance it begins anew."""
    queue, _ = _filled(3, most=100, size=45 * BYTES_EACH)

    queue.clear()

    assert queue.qsize() == 0
    assert queue.empty()


async def test_streams_of_the_app_have_such_a_queue() -> None:
    """One stream that stands still keeps no other one waiting."""
    app = faust_app(Settings())

    assert isinstance(app.topic("in").queue, InputQueue)
    assert app.topic("in").queue.maxsize == app.conf.stream_buffer_maxsize
