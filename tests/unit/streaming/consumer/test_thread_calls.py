"""Calls into the client's thread begin at once and give back what they return or raise."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamapp.streaming.consumer.group_member import GroupMemberThread
from streamapp.streaming.consumer.thread_calls import DirectCalls


class Thread(DirectCalls):
    """A thread without a client."""


@pytest.fixture
async def thread() -> AsyncIterator[Thread]:
    """A thread that runs; stopped afterwards."""
    running = Thread(loop=asyncio.get_running_loop())
    await running.start()
    yield running
    await running.stop()


async def test_call_runs_in_the_thread(thread: Thread) -> None:
    """Coroutines and plain functions run there, with their arguments, and return here."""

    async def name(prefix: str, *, suffix: str) -> tuple[str, int]:
        return prefix + suffix, threading.get_ident()

    text, ident = await thread.call_thread(name, "a", suffix="b")

    assert text == "ab"
    assert ident == await thread.call_thread(threading.get_ident) != threading.get_ident()


async def test_call_waits_behind_no_other(thread: Thread) -> None:
    """However many calls wait in the thread, a seek goes past them."""
    gone_on = asyncio.Event()
    waiting = [asyncio.ensure_future(thread.call_thread(gone_on.wait)) for _ in range(5)]

    assert await asyncio.wait_for(thread.call_thread(lambda: "sought"), 30) == "sought"
    assert not any(call.done() for call in waiting)

    await thread.call_thread(gone_on.set)
    assert await asyncio.wait_for(asyncio.gather(*waiting), 30) == [True] * 5


async def test_error_of_a_call_comes_out(thread: Thread) -> None:
    """The caller handles what the call raises; the thread goes on."""

    async def fail() -> None:
        raise LookupError("no partition")

    with pytest.raises(LookupError, match="no partition"):
        await thread.call_thread(fail)

    assert await thread.call_thread(lambda: 1) == 1


async def test_cancelled_caller_leaves_its_call_running(thread: Thread) -> None:
    """A commit that nobody waits for any more is made all the same."""
    gone_on, ended = asyncio.Event(), threading.Event()

    async def commit() -> None:
        await gone_on.wait()
        ended.set()

    caller = asyncio.ensure_future(thread.call_thread(commit))
    await thread.call_thread(lambda: None)
    caller.cancel()
    await asyncio.wait([caller])
    await thread.call_thread(gone_on.set)

    assert await asyncio.to_thread(ended.wait, 30)


async def test_stop_ends_the_calls_that_wait() -> None:
    """A fetch that waits keeps no worker from its end."""
    thread = Thread(loop=asyncio.get_running_loop())
    await thread.start()
    waiting = asyncio.ensure_future(thread.call_thread(asyncio.Event().wait))
    await thread.call_thread(lambda: None)

    await asyncio.wait_for(thread.stop(), 30)

    await asyncio.wait([waiting], timeout=30)
    assert waiting.cancelled()


async def test_call_that_comes_too_late_for_the_thread_ends() -> None:
    """Nobody waits for good for what the thread's loop took after its last turn."""
    thread = Thread(loop=asyncio.get_running_loop())
    await thread.start()
    loop = thread.thread_loop
    take = loop.call_soon_threadsafe
    loop.call_soon_threadsafe = _take_and_forget  # type: ignore[method-assign]  # it turns no more
    late = asyncio.ensure_future(thread.call_thread(lambda: 1))
    await asyncio.sleep(0)
    loop.call_soon_threadsafe = take  # type: ignore[method-assign]

    await asyncio.wait_for(thread.stop(), 30)

    await asyncio.wait([late], timeout=30)
    assert late.cancelled()


def _take_and_forget(*call: object, **fields: object) -> Any:
    """Take a call as a loop does that has run its last turn and is not closed yet."""


async def test_call_makes_one_task(thread: Thread) -> None:
    """It is paid for with each fetch."""
    made: list[object] = []

    def count(loop: asyncio.AbstractEventLoop, coro: object, **kwargs: object) -> object:
        made.append(coro)
        return asyncio.Task(coro, loop=loop, **kwargs)  # type: ignore[arg-type]  # as the loop's

    thread.thread_loop.set_task_factory(count)  # type: ignore[arg-type]  # counts, and is one
    for _ in range(100):
        await thread.call_thread(lambda: None)
        await thread.call_thread(asyncio.sleep, 0)

    # The thread's own timer, once a second, makes some, too.
    assert 200 <= len(made) < 300


def test_the_client_s_thread_is_called_in_this_way() -> None:
    """No class before ours has calls of its own, nor is the queue asked."""
    assert GroupMemberThread.call_thread is DirectCalls.call_thread
