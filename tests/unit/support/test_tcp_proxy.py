"""The proxy does to a connection what its words say, or the fault tests prove nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import until


@pytest.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    """A proxy in front of a server that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, TcpProxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy


async def connect(proxy: TcpProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def test_healthy_proxy_forwards_both_ways(proxy: TcpProxy) -> None:
    """What is sent comes back, and an end is passed on."""
    reader, writer = await connect(proxy)

    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"

    writer.write_eof()
    assert await reader.read() == b""
    assert proxy.forwarded == {"up": 5, "down": 5}
    writer.close()


async def test_cut_resets_connections_and_refuses_new_ones(proxy: TcpProxy) -> None:
    """Both sides hear of it at once; after `heal` a new connection works."""
    reader, writer = await connect(proxy)
    writer.write(b"x")
    await reader.readexactly(1)

    proxy.cut()
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    refused, other = await connect(proxy)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await refused.readexactly(1)
    proxy.heal()

    reader, third = await connect(proxy)
    third.write(b"y")
    assert await reader.readexactly(1) == b"y"
    for each in (writer, other, third):
        each.close()


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_stalled_direction_keeps_what_it_got(proxy: TcpProxy, direction: str) -> None:
    """Nothing arrives and nothing is closed; what was sent meanwhile arrives after `heal`."""
    reader, writer = await connect(proxy)
    proxy.stall(direction)  # type: ignore[arg-type]

    writer.write(b"late")
    if direction == "down":
        await until(lambda: proxy.forwarded["up"] == 4, 30)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readexactly(1), 0.2)
    assert proxy.forwarded["down"] == 0
    assert proxy.open_connections == 1

    proxy.heal()
    assert await reader.readexactly(4) == b"late"
    writer.close()


async def test_delay_is_added_once_to_everything(proxy: TcpProxy) -> None:
    """Ten messages in a row come together after the delay, not one delay each."""
    reader, writer = await connect(proxy)
    proxy.delay(0.2, "up")
    loop = asyncio.get_running_loop()
    start = loop.time()

    for _ in range(10):
        writer.write(b"x")
        await asyncio.sleep(0)
    await reader.readexactly(10)

    assert 0.2 <= loop.time() - start < 1.5
    writer.close()


async def test_drip_sends_byte_by_byte(proxy: TcpProxy) -> None:
    """The rate bounds how soon a message is complete."""
    reader, writer = await connect(proxy)
    proxy.drip(100, "down")
    loop = asyncio.get_running_loop()
    start = loop.time()

    writer.write(b"x" * 30)
    await reader.readexactly(1)
    first_s = loop.time() - start
    await reader.readexactly(29)

    assert loop.time() - start >= 0.29
    assert first_s < 0.25
    writer.close()


async def test_stall_at_a_request_of_a_name_lets_others_pass(proxy: TcpProxy) -> None:
    """A request of that kind for another topic is forwarded, and the first one of its own held."""
    reader, writer = await connect(proxy)
    held = proxy.stall_at(0, "up", of="mine")
    head = bytes(6)  # the length, and the kind

    writer.write(head + b"other")
    assert await reader.readexactly(11) == head + b"other"
    assert not held.is_set()
    writer.write(head + b"mine")

    await until(held.is_set, 30)
    assert proxy.forwarded["down"] == 11
    proxy.heal()
    assert await reader.readexactly(10) == head + b"mine"
    writer.close()
