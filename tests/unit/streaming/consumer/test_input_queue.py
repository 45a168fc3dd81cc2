from mode.utils.queues import FlowControlEvent

from streamapp.bootstrap.faust_app import faust_app
from streamapp.settings import Settings
from streamapp.streaming.consumer.input_queue import InputQueue


def _filled(size: int, *, most: int) -> tuple[InputQueue, list[str]]:
    queue, told = InputQueue(most, flow_control=FlowControlEvent()), []
    for number in range(size):
        queue.put_nowait_enhanced(
            number,
            on_pressure_high=lambda: told.append("high"),
            on_pressure_drop=lambda: told.append("drop"),
        )
    return queue, told


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

    taken = [queue.get_nowait() for _ in range(9)]

    assert taken == list(range(9))
    assert told == ["high", "drop"]


async def test_streams_of_the_app_have_such_a_queue() -> None:
    """One stream that stands still keeps no other one waiting."""
    app = faust_app(Settings())

    assert isinstance(app.topic("in").queue, InputQueue)
    assert app.topic("in").queue.maxsize == app.conf.stream_buffer_maxsize
