"""What comes over a raw socket: refused or closed, and the next caller is served all the same."""

import asyncio
import json
import resource
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from streamapp.errors import ConfigurationError
from streamapp.web import bodies, server
from streamapp.web.connections import connection_limit
from tests.support.waiting import until

from .conftest import FakeRequestHandler, Serve, Site

pytestmark = pytest.mark.timeout(60)

HEAD = b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
RECORD = b'{"type":"echo"}'


class Raw:
    """One connection, spoken by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, site: Site) -> "Raw":
        return cls(*await asyncio.open_connection("127.0.0.1", site.app.conf.web_port))

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def status(self) -> int | None:
        """Return the answer's status; None where the connection was closed without one."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        return int(line.split()[1]) if line else None

    async def answer(self) -> tuple[int | None, Mapping[str, str], bytes]:
        """Return status, headers by their small names, and body of what ends the connection."""
        status = await self.status()
        head, _, body = (await self._reader.read()).partition(b"\r\n\r\n")
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        return status, {name.lower(): value for name, value in lines}, body

    def close(self) -> None:
        self._writer.close()


async def is_served(site: Site) -> bool:
    """Whether an honest caller gets an answer."""
    return (await site("POST", "/v1/generate", json={"type": "echo"}))[0] == 200


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
        (b"GET / HTTP/9.9\r\n\r\n", {400}),
        (b"NONSENSE\r\n\r\n", {400}),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", {400}),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, 414}),
        (HEAD + b"Content-Length: -1\r\n\r\n", {400}),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{", {400}),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nXYZ\r\n", {400, 422, None}),
        (HEAD + b"Content-Length: 3\r\n\r\n{{{", {422}),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", {400, 422}),
        (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", {404}),
        (b"GET /docs/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", {404}),
        (b"GET //evil.example/docs HTTP/1.1\r\nHost: localhost\r\n\r\n", {404, 403}),
        (b"GET /v1/requests/%00%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", {404}),
        (b"GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: localhost\r\n\r\n", {200, 400, 403, 404}),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, 403, 404, 405}),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", {200, 400, 403}),
    ],
)
async def test_malformed_request_is_refused(
    serve: Serve, handler: FakeRequestHandler, data: bytes, statuses: set[int | None]
) -> None:
    """Each is 4xx or closed; nothing of it reaches a processor."""
    site = await serve()
    raw = await Raw.to(site)
    await raw.send(data)

    assert await raw.status() in statuses
    raw.close()
    assert handler.asked == []
    assert await is_served(site)


GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (GET + b"X: s3cret\x00\r\n\r\n", "Invalid header value char"),
        (GET + b"s3 cret: a\r\n\r\n", "Invalid header token"),
        (GET + b"X: s3cret" + b"a" * 9_000 + b"\r\n\r\n", "longer than 8 KiB"),
        (GET + b"X: s3cret\r\n" * 200 + b"\r\n", "Too many headers"),
        (GET + b"Host: s3cret\r\n\r\n", "Duplicate 'Host'"),
        (b"GET /s3cret\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", "Invalid char in url path"),
        (b"GET http://[s3cret/ HTTP/1.1\r\nHost: localhost\r\n\r\n", "no HTTP/1.1"),
        (b"GET /livez?s3cret HTTP/9.9\r\n\r\n", "Invalid HTTP version"),
        (b"s3cret /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", "Invalid method"),
        (HEAD + b"Content-Length: s3cret\r\n\r\n", "Content-Length"),
        (HEAD + b"Transfer-Encoding: s3cret\r\n\r\n", "Transfer-Encoding"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\ns3cret\r\n", "chunk size"),
    ],
)
async def test_what_is_no_http_is_answered_like_any_error(
    serve: Serve, caplog: pytest.LogCaptureFixture, data: bytes, told: str
) -> None:
    """The body and headers of every other error; what stands in the request is told to nobody."""
    site = await serve()
    raw = await Raw.to(site)
    await raw.send(data)

    status, headers, body = await raw.answer()
    raw.close()

    assert status == 400
    error = json.loads(body)["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "bad_request")
    assert told in error["message"]
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert (headers["server"], headers["x-content-type-options"]) == ("streamapp", "nosniff")
    assert headers["x-request-id"]
    assert "s3cret" not in error["message"] + caplog.text


async def test_expectation_that_nobody_knows_is_refused(serve: Serve) -> None:
    """It is refused before any view, with the body of any other error."""
    site = await serve()

    status, body, _ = await site("GET", "/livez", headers={"Expect": "miracles"})

    assert (status, body["error"]["code"]) == (417, "expectation_failed")


async def test_body_that_drips_in_takes_no_place(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow bodies wait outside of the places, and are given up with 408."""
    monkeypatch.setattr(bodies.BodyReader.__init__, "__kwdefaults__", {"limit_s": 1.0})
    site = await serve(max_in_flight=1)
    async with AsyncExitStack() as stack:
        slow = [await Raw.to(site) for _ in range(50)]
        for raw in slow:
            stack.callback(raw.close)
            await raw.send(HEAD + b"Content-Length: 100\r\n\r\n{")

        assert await is_served(site)
        assert [await raw.status() for raw in slow] == [408] * 50


async def test_body_whose_chunks_break_off_did_not_arrive(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head that came before them has been read: nothing more of its body will come."""
    monkeypatch.setattr(bodies.BodyReader.__init__, "__kwdefaults__", {"limit_s": 1.0})
    site = await serve()
    raw = await Raw.to(site)
    await raw.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
    server = cast(Any, site.app.web)._runner.server
    await until(lambda: any(one._current_request for one in server.connections), 60)
    await raw.send(b"no chunk\r\n")

    status, headers, body = await raw.answer()
    raw.close()

    assert (status, json.loads(body)["error"]["code"]) == (408, "request_timeout")
    assert headers["connection"] == "close"


async def test_head_that_drips_in_is_closed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that does not finish a head in time is closed, whatever it sends meanwhile."""
    monkeypatch.setattr(server, "IDLE_S", 1.0)
    site = await serve()
    raw = await Raw.to(site)
    started_at = time.monotonic()

    async def drip() -> None:
        for byte in HEAD:
            await raw.send(bytes([byte]))
            await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    status = await raw.status()

    assert status in (None, 408)
    assert time.monotonic() - started_at < 20
    dripping.cancel()
    await asyncio.gather(dripping, return_exceptions=True)
    raw.close()


async def test_gigabyte_is_refused_without_being_kept(serve: Serve) -> None:
    """A body far over the limit ends with 413 or a closed connection, in bounded memory."""
    site = await serve()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def gigabyte() -> object:
        for _ in range(1024):
            yield b"x" * (1 << 20)

    try:
        status = (await site("POST", "/v1/generate", data=gigabyte()))[0]
    except aiohttp.ClientError:
        status = None

    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert status in (413, None)
    assert grown_kib < 64 * 1024
    assert await is_served(site)


async def test_idle_connections_make_room(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit the oldest idle connection is closed; an honest caller comes in."""
    monkeypatch.setattr(server, "connection_limit", lambda: 50)
    site = await serve()
    async with AsyncExitStack() as stack:
        idle = [await Raw.to(site) for _ in range(70)]
        for raw in idle:
            stack.callback(raw.close)

        assert await is_served(site)
        async with asyncio.timeout(60):
            assert await idle[0].status() is None


async def test_burst_of_connections_makes_room_for_all_of_itself(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that are accepted together close one older one each."""
    monkeypatch.setattr(server, "connection_limit", lambda: 10)
    site = await serve()
    with ExitStack() as stack:
        burst = []
        for _ in range(
            100
        ):  # blocking: the server accepts none of them before the last one is here
            burst.append(stack.enter_context(socket.socket()))
            burst[-1].connect(("127.0.0.1", site.app.conf.web_port))
            burst[-1].setblocking(False)

        assert await is_served(site)

        await until(lambda: sum(map(is_closed, burst)) >= 90, 60)


def is_closed(peer: socket.socket) -> bool:
    """Whether the other side has closed."""
    try:
        return peer.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


def test_http_takes_at_most_half_of_the_files() -> None:
    """The others are for Kafka and the providers, whatever an attacker opens."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    assert 0 < connection_limit() <= soft / 2


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for the loopback, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        capture_output=True,
        check=True,
    )
    return cert, key


async def test_tls_by_files(serve: Serve, certificate: tuple[Path, Path]) -> None:
    """With the files set the server speaks TLS alone, and says https of itself."""
    cert, key = certificate
    site = await serve(web_cert_file=cert, web_key_file=key)
    port = site.app.conf.web_port
    context = ssl.create_default_context(cafile=cert)

    async with aiohttp.ClientSession() as http:
        async with http.get(f"https://127.0.0.1:{port}/livez", ssl=context) as response:
            assert response.status == 200
        with pytest.raises(aiohttp.ClientError):
            await http.get(f"http://127.0.0.1:{port}/livez")
    assert str(site.app.conf.canonical_url).startswith("https://")


async def test_unusable_tls_files_are_named(serve: Serve, tmp_path: Path) -> None:
    """A file that is no certificate is a configuration error, before anything starts."""
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")

    with pytest.raises(ConfigurationError, match="STREAMAPP_WEB_CERT_FILE"):
        await serve(web_cert_file=wrong, web_key_file=wrong)
