"""What becomes of records over HTTP when their worker stops."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from streamapp.errors import RetriesExhausted
from streamapp.llm.client import LLMClient
from streamapp.llm.deadline import DEADLINE
from streamapp.processors.drainable_router import DrainableRouter
from streamapp.processors.registry import Registry, processor
from streamapp.processors.router import Answer, Router
from streamapp.records.request import Request
from tests.fakes import FakeClock


class Own(Request, type="own"):
    asks: bool = False
    waits: bool = False


@pytest.fixture
def going_on() -> asyncio.Event:
    """What every record waits for."""
    return asyncio.Event()


@pytest.fixture
def http_calls(
    make_router: Callable[..., Router], clock: FakeClock, going_on: asyncio.Event
) -> DrainableRouter:
    """A router of one type, whose records are in a call, or wait to be let through."""

    @processor(Own)
    async def own(request: Own, llm: LLMClient) -> Any:
        deadline = DEADLINE.get()
        assert deadline is not None
        if request.asks:
            await llm.step("ask", asyncio.sleep, 0)
        if request.waits:
            with deadline.suspended():
                await going_on.wait()
        await going_on.wait()
        return "answer"

    return DrainableRouter(make_router(Registry([own])), deadline_s=90, clock=clock)


async def begun(http_calls: DrainableRouter, **fields: Any) -> "asyncio.Task[Answer]":
    """Return a record on its way."""
    answering = http_calls.answer(Own(type="own", **fields), id="r", key=None)
    task = asyncio.create_task(answering)
    await asyncio.sleep(0)
    return task


async def test_stop_waits_for_what_is_in_a_call(
    http_calls: DrainableRouter, going_on: asyncio.Event
) -> None:
    """The drain is over when the last record is answered."""
    record = await begun(http_calls)

    drained = asyncio.create_task(http_calls.drain(60))
    await asyncio.sleep(0)
    assert not drained.done()
    going_on.set()
    await drained

    assert record.result().response.output == "answer"


@pytest.mark.parametrize("waits", [True, False], ids=["only-waits", "past-the-limit"])
async def test_stop_sends_away_what_would_hold_it_up(
    waits: bool, http_calls: DrainableRouter
) -> None:
    """What only waits, and what runs longer than the limit, ends as a failure to try again."""
    record = await begun(http_calls, waits=waits)

    await http_calls.drain(0.2)

    with pytest.raises(RetriesExhausted, match="stops"):
        record.result()


@pytest.mark.parametrize("fields", [{}, {"asks": True, "waits": True}], ids=["runs", "asked"])
async def test_what_only_waits_goes_before_what_would_be_lost(
    fields: dict[str, bool], http_calls: DrainableRouter
) -> None:
    """A record in a call, or with a finished one, keeps its time when another is sent away."""
    waiting, running = await begun(http_calls, waits=True), await begun(http_calls, **fields)

    drained = asyncio.create_task(http_calls.drain(1.5))
    await asyncio.wait([waiting])

    assert isinstance(waiting.exception(), RetriesExhausted)
    assert not running.done()
    await drained
    assert isinstance(running.exception(), RetriesExhausted)
