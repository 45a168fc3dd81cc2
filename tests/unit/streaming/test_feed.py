import asyncio
from typing import Any

import pytest
from faust.transport.consumer import Consumer as FaustConsumer

from streamapp.streaming.feed import Consumer, Feeding


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

    result = await Feeding().wait_first(hand_over(), suspended.wait())

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

    waiting = asyncio.create_task(Feeding().wait_first(hand_over(), asyncio.Event().wait()))
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

    waiting = asyncio.create_task(Feeding().wait_first(hand_over(), suspended.wait()))
    await asyncio.sleep(0)
    suspended.set()

    await asyncio.wait_for(waiting, 5)
    await asyncio.sleep(0)
    assert cleaned == [True]


async def test_stop_gives_a_waiting_hand_over_up() -> None:
    """A consumer that stops says so."""
    feeding = Feeding()
    waiting = asyncio.create_task(feeding.wait_first(asyncio.Event().wait(), asyncio.Event()))
    await asyncio.sleep(0)

    feeding._stopped.set()

    assert (await asyncio.wait_for(waiting, 5)).stopped


@pytest.mark.parametrize("waits", [False, True])
async def test_error_of_a_hand_over_comes_out(waits: bool) -> None:
    """What the hand-over raises is raised, whether it had to wait or not."""

    async def hand_over() -> None:
        if waits:
            await asyncio.sleep(0)
        raise LookupError("no channel")

    with pytest.raises(LookupError, match="no channel"):
        await Feeding().wait_first(hand_over(), asyncio.Event().wait())


def test_consumer_waits_in_this_way() -> None:
    """Faust's loop over fetched records calls our ``wait_first``."""
    assert Consumer.wait_first is Feeding.wait_first
    assert "wait_first" in FaustConsumer._drain_messages.__code__.co_names
