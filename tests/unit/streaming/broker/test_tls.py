"""Certificates that are rotated while a worker runs."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from structlog.testing import capture_logs

from streamapp.settings import Settings
from streamapp.streaming.broker.tls import RotatingContext


@contextlib.asynccontextmanager
async def broker(authority: trustme.CA, client: trustme.CA | None = None) -> AsyncIterator[int]:
    """A TLS server on loopback; it asks for a certificate where ``client`` is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if client is not None:
        client.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(b"!")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def greeting(port: int, context: ssl.SSLContext) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        return await reader.read()
    finally:
        writer.transport.abort()


def context_of(authority: Path, **files: Any) -> RotatingContext:
    return RotatingContext.of(
        Settings(
            _env_file=None, kafka_security_protocol="SSL", kafka_ca_file=str(authority), **files
        )
    )


async def test_rotated_authority_is_trusted_at_the_next_connection(tmp_path: Path) -> None:
    """A worker need not start again when the brokers' authority changes."""
    old, new, file = trustme.CA(), trustme.CA(), tmp_path / "ca.pem"
    old.cert_pem.write_to_path(file)
    context = context_of(file)
    async with broker(old) as port:
        assert await greeting(port, context) == b"!"

    async with broker(new) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await greeting(port, context)
        new.cert_pem.write_to_path(tmp_path / "next.pem")
        (tmp_path / "next.pem").replace(file)

        assert await greeting(port, context) == b"!"


async def test_rotated_certificate_of_the_worker_is_shown(tmp_path: Path) -> None:
    """The broker sees the file's own, as it is then."""
    authority, old, new = trustme.CA(), trustme.CA(), trustme.CA()
    file, own = tmp_path / "ca.pem", tmp_path / "own.pem"
    authority.cert_pem.write_to_path(file)
    old.issue_cert("worker@example.org").private_key_and_cert_chain_pem.write_to_path(own)
    context = context_of(file, kafka_cert_file=own)
    async with broker(authority, client=new) as port:
        with contextlib.suppress(OSError):  # the refusal may come behind the handshake
            assert await greeting(port, context) == b""
        new.issue_cert("worker@example.org").private_key_and_cert_chain_pem.write_to_path(own)

        assert await greeting(port, context) == b"!"


@pytest.mark.parametrize("content", [None, "half a fi"], ids=["gone", "garbled"])
async def test_file_that_cannot_be_used_any_more_is_named(
    tmp_path: Path, content: str | None
) -> None:
    """What was read before stays in use: a rotation is seldom atomic."""
    authority, file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    context = context_of(file)
    file.unlink()
    if content is not None:
        file.write_text(content)

    async with broker(authority) as port:
        with capture_logs() as logs:
            assert await greeting(port, context) == b"!"

    [line] = logs
    assert "STREAMAPP_KAFKA_CA_FILE" in line["reason"]


async def test_close_does_not_wait_for_the_broker(tmp_path: Path) -> None:
    """One that reads nothing more held the recovery of a worker for half a minute."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    served: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(
        lambda _, writer: served.put_nowait(writer), "127.0.0.1", 0, ssl=context
    )
    port = server.sockets[0].getsockname()[1]
    client = context_of(tmp_path / "ca.pem")

    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
    other_side = await served.get()
    other_side.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of TLS
    writer.close()
    try:
        async with asyncio.timeout(5):
            await writer.wait_closed()
    finally:
        other_side.transport.abort()
        server.close()
