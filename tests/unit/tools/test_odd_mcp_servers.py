"""MCP servers that do what none should: the worker lives, and what they write is in no log."""

import asyncio
import io
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from streamapp.errors import ToolError
from streamapp.settings.mcp import McpSettings
from streamapp.telemetry.logging import configure_logging
from streamapp.tools.mcp_listing import MOST_TOOLS
from streamapp.tools.mcp_program import MESSAGE_BYTES
from streamapp.tools.mcp_server import McpServer
from tests.support.odd_mcp_server import BIG, CANARY
from tests.support.served import served

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = [sys.executable, "-m", "tests.support.odd_mcp_server"]

pytestmark = [pytest.mark.timeout(60), pytest.mark.filterwarnings("default")]


@pytest.fixture
async def odd(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[McpServer]:
    """A server that is that program, connected."""
    monkeypatch.chdir(ROOT)
    server = McpServer("odd", McpSettings(command=PROGRAM, allow=["*"], timeout_s=30))
    await server.tools()
    yield server
    await server.aclose()


async def test_what_is_no_message_is_passed_over_and_told_to_nobody(odd: McpServer) -> None:
    """Neither it nor a result of a wrong shape ends the connection, or is in the log."""
    stream = io.StringIO()
    configure_logging("debug", "json", stream=stream)
    before = await odd.call("where", {})

    assert await odd.call("junk", {}) == "after junk"
    with pytest.raises(ToolError, match="gave what is no result"):
        await odd.call("wrong", {})

    assert await odd.call("where", {}) == before
    assert "mcp.unreadable" in stream.getvalue()
    assert CANARY not in stream.getvalue()


@pytest.mark.parametrize("name", ["big", "last"])
async def test_an_answer_of_50_mb_is_refused(odd: McpServer, name: str) -> None:
    """Whichever end its id is at, the model hears of its size; calls beside it go on."""
    before = await odd.call("where", {})
    big = asyncio.create_task(odd.call(name, {}))

    with pytest.raises(ToolError, match=r"more than 4,000,000 bytes: ask for less"):
        await big

    assert await odd.call("where", {}) == before


async def test_a_call_that_hangs_leaves_the_server_to_others(odd: McpServer) -> None:
    """Given up, it costs the connection nothing."""
    before = await odd.call("where", {})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await odd.call("hang", {})

    assert await odd.call("where", {}) == before


async def test_a_server_that_dies_in_a_call_is_started_again(odd: McpServer) -> None:
    """The call is an error of the tool."""
    with pytest.raises(ToolError, match="the server 'odd' is away"):
        await odd.call("die", {})

    async with asyncio.timeout(30):
        while True:
            with suppress(ToolError):
                assert await odd.call("junk", {}) == "after junk"
                break
            await asyncio.sleep(0.05)


async def test_names_that_providers_do_not_tell_apart_are_offered_once(odd: McpServer) -> None:
    """The first one; a name that providers do not take is left out, too."""
    names = [tool.own_name for tool in await odd.tools() if "get" in tool.own_name]

    assert names == ["get.order"]
    assert "no t" not in [tool.own_name for tool in await odd.tools()]


async def test_what_a_provider_would_refuse_is_not_offered(odd: McpServer) -> None:
    """One tool too many would cost each record of the prompt."""
    tools = await odd.tools()

    assert len(tools) == MOST_TOOLS
    assert "long" not in {tool.own_name for tool in tools}


async def test_an_answer_of_50_mb_over_http_is_refused() -> None:
    """No more of it is read than a result may have."""
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        asked = orjson.loads(await request.read())
        if "id" not in asked:
            return web.Response(status=202)
        result: Any = {"tools": [{"name": "big", "inputSchema": {"type": "object"}}]}
        if asked["method"] == "initialize":
            result = {
                "protocolVersion": asked["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "odd", "version": "1"},
            }
        elif asked["method"] not in ("tools/list", "tools/call"):
            error = {"code": -32601, "message": "unknown"}
            return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "error": error})
        if asked["method"] != "tools/call":
            return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "result": result})
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request)
        with suppress(ConnectionError):
            while sent < BIG:
                await response.write(b" " * 500_000)
                sent += 500_000
        return response

    app = web.Application()
    app.router.add_post("/mcp", answer)  # any other method is refused
    async with served(app) as host:
        settings = McpSettings(url=f"http://{host}/mcp", allow=["*"], timeout_s=30)
        server = McpServer("odd", settings)
        try:
            await server.tools()
            with pytest.raises(ToolError, match=r"more than 4,000,000 bytes: ask for less"):
                await server.call("big", {})
            assert not server.is_away
        finally:
            await server.aclose()

    assert MESSAGE_BYTES < sent < BIG
