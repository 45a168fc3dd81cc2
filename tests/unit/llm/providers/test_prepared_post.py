"""The POST whose head is written once, against a real server, beside aiohttp's own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.connector import Connection
from yarl import URL

from streamapp.errors import LeaseLost
from streamapp.llm.attempt import RIGHT
from streamapp.llm.providers.prepared_post import PreparedPost, Reply
from streamapp.llm.providers.session import open_session

Handler = Callable[[web.BaseRequest], "asyncio.Future[web.StreamResponse]"]
HEADERS = {"content-type": "application/json", "user-agent": "streamapp", "x-own": "ä"}


@asynccontextmanager
async def served(handler: object) -> AsyncIterator[tuple[aiohttp.ClientSession, URL]]:
    """Serve ``handler``; yield a session and the server's URL."""
    runner = web.ServerRunner(web.Server(handler))  # type: ignore[arg-type]  # a coroutine function
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:
        port = runner.addresses[0][1]
        yield session, URL(f"http://127.0.0.1:{port}/v1/chat?a=b%20c")
    await runner.cleanup()


async def body_of(reply: Reply) -> bytes:
    try:
        return await reply.content.read()
    finally:
        reply.release()


async def test_request_is_the_one_that_aiohttp_sends() -> None:
    """The server cannot tell them apart: line, headers and body are the same."""
    seen = []

    async def note(request: web.BaseRequest) -> web.Response:
        head = sorted((k.lower(), v) for k, v in request.headers.items())
        seen.append((request.method, request.raw_path, head, await request.read()))
        return web.json_response({})

    async with served(note) as (session, url):
        async with session.post(url, data=b'{"q": 1}') as response:
            await response.read()
        await body_of(await PreparedPost(session, url).send(b'{"q": 1}'))

    assert seen[0] == seen[1]


async def test_connection_is_used_again() -> None:
    """Answers that were read leave their connection to the next call, also with other bodies."""
    ports = set()

    async def note(request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.Response(body=await request.read(), headers={"x-limit": "1"})

    async with served(note) as (session, url):
        post = PreparedPost(session, url)
        for body in (b"1", b"22" * 100_000, b"3"):
            reply = await post.send(body)
            assert (reply.status, reply.headers["X-Limit"]) == (200, "1")
            assert await body_of(reply) == body

    assert len(ports) == 1


async def test_answer_that_was_not_read_closes_its_connection() -> None:
    """Its rest would be taken for the next call's answer."""
    ports = []

    async def much(request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        ports.append(request.transport.get_extra_info("peername")[1])
        return web.Response(body=b"x" * 5_000_000)

    async with served(much) as (session, url):
        post = PreparedPost(session, url)
        (await post.send(b"{}")).release()
        assert len(await body_of(await post.send(b"{}"))) == 5_000_000

    assert len(set(ports)) == 2


async def test_call_that_is_cut_off_closes_its_connection() -> None:
    """The late answer of a cancelled call is nobody's."""
    ports, asked, go_on = [], asyncio.Event(), asyncio.Event()

    async def wait(request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        ports.append(request.transport.get_extra_info("peername")[1])
        if len(ports) == 1:
            asked.set()
            await go_on.wait()
            return web.Response(text="late")
        return web.Response(text="second")

    async with served(wait) as (session, url):
        post = PreparedPost(session, url)
        call = asyncio.create_task(post.send(b"{}"))
        await asked.wait()
        call.cancel()
        await asyncio.wait([call])
        go_on.set()
        assert await body_of(await post.send(b"{}")) == b"second"

    assert call.cancelled()
    assert len(set(ports)) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", aiohttp.ServerDisconnectedError),
        (b"nonsense\r\n\r\n", aiohttp.ClientResponseError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", aiohttp.ClientPayloadError),
    ],
    ids=["nothing", "no HTTP", "cut off"],
)
async def test_broken_answer_is_aiohttps_error(answer: bytes, error: type[Exception]) -> None:
    """Whoever asks handles `ClientError`, whatever the server sent."""

    async def write(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(write, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aiohttp.ClientSession() as session:
        post = PreparedPost(session, URL(f"http://127.0.0.1:{port}/"))
        with pytest.raises(error):
            await body_of(await post.send(b"{}"))


async def test_early_hints_are_no_answer() -> None:
    """Heads of status 1xx come before the answer's own."""

    async def write(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(write, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aiohttp.ClientSession() as session:
        reply = await PreparedPost(session, URL(f"http://127.0.0.1:{port}/")).send(b"{}")
        assert (reply.status, await body_of(reply)) == (200, b"ok")


async def test_nobody_there_is_aiohttps_error() -> None:
    """A refused connection is a `ClientError`, too."""
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()

    async with aiohttp.ClientSession() as session:
        post = PreparedPost(session, URL(f"http://127.0.0.1:{port}/"))
        with pytest.raises(aiohttp.ClientConnectorError):
            await post.send(b"{}")


async def test_header_with_a_line_break_is_refused() -> None:
    """It would begin a header of its own, or another request."""
    async with aiohttp.ClientSession(headers={"x": "a\r\ny: b"}) as session:
        with pytest.raises(ValueError, match="line break"):
            PreparedPost(session, URL("http://127.0.0.1/"))


class Right:
    """That of a worker in its group, until it is ended."""

    is_valid, is_ended = True, False

    def end(self) -> None:
        self.is_valid, self.is_ended = False, True


class DyingConnector(aiohttp.TCPConnector):
    """Ends a right while it connects, as another worker takes over what this one had."""

    def __init__(self) -> None:
        super().__init__()
        self.right = Right()

    async def connect(self, *args: Any, **named: Any) -> Connection:
        connection = await super().connect(*args, **named)
        self.right.end()
        return connection


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
async def test_nothing_is_sent_once_another_worker_answers(is_streamed: bool) -> None:
    """A worker that was frozen while it connected does not pay for what was taken over."""
    bodies = []

    async def note(request: web.BaseRequest) -> web.Response:
        bodies.append(await request.read())
        return web.json_response({})

    connector = DyingConnector()
    async with served(note) as (_, url), open_session(HEADERS, connector) as session:
        token = RIGHT.set(connector.right)
        sent = (
            session.post(url, data=b"{}") if is_streamed else PreparedPost(session, url).send(b"")
        )
        with pytest.raises(LeaseLost):
            await sent
        RIGHT.reset(token)

    assert bodies == []
