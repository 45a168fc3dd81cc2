"""Tools of a real MCP server, over its standard streams and over HTTP."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from typing import Any

import pytest
from pydantic import SecretStr

from streamapp.errors import ConfigurationError, ToolError
from streamapp.settings.mcp import McpSettings, with_environment
from streamapp.tools import tool
from streamapp.tools.catalogue import ToolCatalogue
from streamapp.tools.mcp_server import McpServer
from streamapp.tools.mcp_session import Session
from tests.fakes import FakeProvider
from tests.support.mcp_serving import PROGRAM, ROOT, serving
from tests.support.process import free_port
from tests.support.waiting import until
from tests.unit.tools.agents import ASKED, OfferingSession, agent, calling, told

pytestmark = [pytest.mark.timeout(180), pytest.mark.filterwarnings("default")]


@asynccontextmanager
async def connected(*, listing_s: float = 0.2, **fields: Any) -> AsyncIterator[McpServer]:
    settings = McpSettings(**({"allow": ["get_*"], "timeout_s": 60} | fields))
    server = McpServer("orders", settings, listing_s=listing_s)
    try:
        yield server
    finally:
        await server.aclose()


@pytest.fixture
async def over_streams(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[McpServer]:
    """A server that is a program of ours."""
    monkeypatch.chdir(ROOT)
    async with connected(
        command=PROGRAM, env=["ORDERS_SHOP"], values={"ORDERS_SHOP": SecretStr("books")}
    ) as server:
        yield server


async def called(server: McpServer, name: str, **arguments: Any) -> str:
    return await server.call(name, arguments)


async def test_a_model_calls_what_is_allowed(over_streams: McpServer) -> None:
    """It is offered no other tool; results, errors and refusals come back as text."""
    llm = FakeProvider()
    llm.enqueue(
        calling(
            ("orders__get_order", {"number": "7"}),
            ("orders__get_order", {"number": "gone"}),
            ("orders__get_order", {"nr": 1}),
            ("orders__drop_orders", {}),
        ),
        "done",
    )
    record = agent(llm)
    record._tools.catalogue = ToolCatalogue((), [over_streams])  # type: ignore[union-attr]

    await record.chat(ASKED, tools=["orders.*"])

    offered = [one["function"] for one in llm.history[0].parameters["tools"]]
    assert [one["name"] for one in offered] == [
        "orders__get_more",
        "orders__get_order",
        "orders__get_pid",
    ]
    assert offered[1]["description"] == "Look an order up by its number."
    assert offered[1]["parameters"]["required"] == ["number"]
    found, gone, wrong, dropped = told(llm)
    assert found == "order 7 of books"
    assert "there is no such order" in gone
    assert "number" in wrong
    assert dropped.startswith("there is no such tool")


async def test_one_program_serves_all_calls_and_a_new_one_follows(over_streams: McpServer) -> None:
    """Killed, it is an error of the tool; then it is started again."""
    await over_streams.tools()
    pids = {await called(over_streams, "get_pid") for _ in range(3)}
    [pid] = pids
    os.kill(int(pid), signal.SIGKILL)

    with pytest.raises(ToolError, match="the server 'orders' is away"):
        await called(over_streams, "get_pid")

    async def is_back() -> bool:
        with suppress(ToolError):
            return await called(over_streams, "get_pid") != pid
        return False

    await until(is_back, 60)
    assert [one.own_name for one in await over_streams.tools()][:1] == ["get_more"]


NEVER_S = 3600.0


@pytest.mark.parametrize("over", ["streams", "http"])
async def test_a_server_that_tells_of_new_tools_is_asked_at_once(
    over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server offers later is offered to the next record, not a minute later."""
    monkeypatch.chdir(ROOT)
    port = free_port()
    async with AsyncExitStack() as running:
        if over == "http":
            await running.enter_async_context(serving(port))
            fields: dict[str, Any] = {"url": f"http://127.0.0.1:{port}/mcp"}
        else:
            fields = {"command": PROGRAM}
        server = await running.enter_async_context(connected(listing_s=NEVER_S, **fields))
        before = [one.own_name for one in await server.tools()]
        await called(server, "get_more")

        async def is_late_there() -> bool:
            return "get_late" in [one.own_name for one in await server.tools()]

        await until(is_late_there, 60)
        assert "get_late" not in before


async def test_a_server_that_tells_nothing_is_asked_now_and_then(over_streams: McpServer) -> None:
    """Its list is read again after a while."""
    await over_streams.tools()
    await called(over_streams, "get_more", quietly=True)

    async def is_late_there() -> bool:
        return "get_late" in [one.own_name for one in await over_streams.tools()]

    await until(is_late_there, 60)


async def test_over_http_with_a_server_that_comes_back() -> None:
    """Its tools are known while it is away, and calls are errors until it is back."""
    port = free_port()
    async with connected(url=f"http://127.0.0.1:{port}/mcp") as server:
        async with serving(port):
            names = [one.own_name for one in await server.tools()]
            found = await called(server, "get_order", number="7")

        with pytest.raises(ToolError, match="is away"):
            await called(server, "get_order", number="7")
        while_away = [one.own_name for one in await server.tools()]

        async with serving(port):

            async def is_back() -> bool:
                with suppress(ToolError):
                    return await called(server, "get_order", number="8") == "order 8 of no shop"
                return False

            await until(is_back, 60)

    assert found == "order 7 of no shop"
    assert while_away == names


async def test_a_server_that_never_was_offers_nothing_in_bounded_time() -> None:
    """The model goes on without; the server is looked for again and again."""
    async with connected(url=f"http://127.0.0.1:{free_port()}/mcp", timeout_s=0.5) as server:
        assert await server.tools() == []
        assert server.is_away
        with pytest.raises(ToolError, match="is away"):
            await called(server, "get_order", number="7")


class FailsAsItCloses(McpServer):
    """As where the server is killed in the moment in which the worker stops."""

    async def _connected(self, stack: AsyncExitStack) -> Session:
        async def fail() -> None:
            raise ConnectionResetError

        stack.push_async_callback(fail)
        return OfferingSession()


async def test_a_connection_that_fails_as_it_closes_does_not_hold_a_stop() -> None:
    """The failure takes the place of the cancellation; the task must end all the same."""
    server = FailsAsItCloses("orders", McpSettings(url="http://127.0.0.1:9"))
    assert await server.first_try() == ""

    async with asyncio.timeout(60):
        await server.aclose()


def test_a_typed_tool_may_not_pass_for_a_servers() -> None:
    """Neither by its name nor as providers spell it."""
    server = McpServer("orders", McpSettings(command=["x"]))
    for name in ("orders.get", "orders__get"):

        @tool(name=name)
        async def get() -> str:
            """Get."""
            return ""

        with pytest.raises(ConfigurationError, match="the MCP server 'orders'"):
            ToolCatalogue([get], [server])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"url": "http://a", "command": ["b"]},
        {"url": "ftp://a"},
        {"command": ["b"], "headers_env": {"a": "B"}},
        {"url": "http://a", "env": ["B"]},
    ],
)
def test_settings_that_contradict_themselves_are_refused(fields: dict[str, Any]) -> None:
    """Before anything starts."""
    with pytest.raises(ValueError, match=r"set url|belongs to|match pattern"):
        McpSettings.model_validate(fields)


def test_what_the_environment_lacks_is_named() -> None:
    """By table, field and variable; what it holds is a secret."""
    server = McpSettings(url="http://a", headers_env={"authorization": "TOKEN"})

    found, problems = with_environment({"orders": server}, {"TOKEN": "sk-1"})
    _, missing = with_environment({"orders": server}, {})

    assert not problems
    assert "sk-1" not in repr(found)
    assert missing == [
        "mcp.orders.headers_env.authorization: the environment variable TOKEN is not set"
    ]
