"""MCP servers that are away: what it costs the records whose prompts name their tools."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from streamapp.errors import BudgetExceeded, PromptError
from streamapp.llm.client import LLMClient
from streamapp.llm.completion import Call
from streamapp.llm.deadline import Deadline
from streamapp.settings.mcp import McpSettings
from streamapp.telemetry.metrics import Metrics
from streamapp.tools.catalogue import ToolCatalogue
from streamapp.tools.loop import ToolLoop
from streamapp.tools.mcp_server import McpServer
from streamapp.tools.mcp_session import Session
from streamapp.tools.observer import MeteredTools
from tests.fakes import FakeClock, FakeProvider
from tests.support.waiting import until
from tests.unit.tools.agents import ASKED, AwaitedServer, OfferingSession

pytestmark = pytest.mark.timeout(60)

NEVER_S, SOON_S = 3600.0, 0.2


class Away(McpServer):
    """A server that swallows connections until it comes."""

    def __init__(self, *, timeout_s: float) -> None:
        settings = McpSettings(url="http://127.0.0.1:9", allow=["*"], timeout_s=timeout_s)
        super().__init__("orders", settings)
        self.is_there = False

    async def _connected(self, stack: AsyncExitStack) -> Session:
        if not self.is_there:
            await asyncio.Event().wait()
        return OfferingSession("get")


@pytest.fixture
async def away() -> AsyncIterator[Away]:
    """One that is given up soon."""
    server = Away(timeout_s=SOON_S)
    yield server
    await server.aclose()


def is_instant(work: Any) -> bool:
    """Whether a coroutine comes to its end without waiting for anything."""
    try:
        work.send(None)
    except StopIteration:
        return True
    work.close()
    return False


async def test_a_server_that_never_came_is_waited_for_once(away: Away) -> None:
    """By all who ask meanwhile together; who asks later goes on at once."""
    await asyncio.gather(*(away.tools() for _ in range(5)))

    assert not away.is_awaited
    assert is_instant(away.tools())


async def test_the_time_to_come_begins_with_the_worker() -> None:
    """Not with the first call: by then it may be over."""
    server = Away(timeout_s=NEVER_S)
    before = server.is_awaited
    server.start()

    assert before
    assert server.is_awaited
    assert not is_instant(server.tools())
    await server.aclose()


async def test_a_program_that_is_not_there_is_not_waited_for() -> None:
    """The first record waited for half a minute for what nobody had installed."""
    settings = McpSettings(command=["no-such-program"], allow=["*"], timeout_s=NEVER_S)
    server = McpServer("orders", settings)

    assert await server.tools() == []

    assert not server.is_awaited
    await server.aclose()


async def test_a_server_that_comes_late_is_there_without_a_restart(away: Away) -> None:
    """It is looked for in the background, whether or not somebody asks for its tools."""
    assert await away.tools() == []

    away.is_there = True
    await until(lambda: not away.is_away, 30)

    assert [one.name for one in away.known] == ["orders.get"]


async def test_the_wait_for_a_server_is_seen_and_costs_no_time_of_the_call() -> None:
    """It is in the record's duration and in a metric; what is left of the deadline is as before."""
    clock, llm, metrics = FakeClock(), FakeProvider(), Metrics()
    deadline = Deadline(20, clock)
    loop = ToolLoop(ToolCatalogue((), [AwaitedServer(clock)]), MeteredTools(metrics), clock=clock)
    record = LLMClient(provider=llm, call=Call(model="default", deadline=deadline), tools=loop)

    await record.chat(ASKED, tools=["orders.*"])

    assert record.missing_tools == {"orders.*"}
    assert (deadline.spent_s(), deadline.remaining_s()) == (30, 20)
    assert b'streamapp_tools_wait_seconds_sum{server="orders"} 30.0' in metrics.text()


async def test_a_call_that_would_be_refused_waits_for_no_server() -> None:
    """A budget needs no tools."""
    clock, llm = FakeClock(), FakeProvider()
    server = AwaitedServer(clock)
    llm.enqueue(BudgetExceeded("the budget 'all' is spent"))
    loop = ToolLoop(ToolCatalogue((), [server]), refuses=lambda call: call.tenant == "poor")
    call = Call(model="default", deadline=Deadline(30, time.monotonic), tenant="poor")

    with pytest.raises(BudgetExceeded):
        await LLMClient(provider=llm, call=call, tools=loop).chat(ASKED, tools=["orders.*"])

    assert server.is_awaited


async def test_a_tool_that_nobody_can_have_is_told_before_the_wait() -> None:
    """No server changes that."""
    server = AwaitedServer(FakeClock())
    call = Call(model="default", deadline=Deadline(30, time.monotonic))
    loop = ToolLoop(ToolCatalogue((), [server]))

    with pytest.raises(PromptError, match="no tool 'weather'"):
        await LLMClient(provider=FakeProvider(), call=call, tools=loop).chat(
            ASKED, tools=["orders.*", "weather"]
        )

    assert server.is_awaited


def test_a_record_waits_for_the_servers_of_its_own_tools_alone() -> None:
    """Another prompt's server is nothing to it."""
    server = AwaitedServer(FakeClock())
    catalogue = ToolCatalogue((), [server])

    assert catalogue.awaited(["shop.*", "weather"]) == []
    assert catalogue.awaited(["orders.get"]) == [server]
    assert catalogue.awaited(["*"]) == [server]
