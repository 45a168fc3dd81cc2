"""A TCP proxy between a client and a server whose network a test takes away and gives back.

It stands in front of a broker's listener that advertises the proxy's port, see `advertised` of
`KafkaBroker`::

    proxy = TcpProxy(upstream_port=broker.listener_ports["PROXIED"], port=port)
    async with proxy:
        proxy.stall()   # packets vanish, connections stay open
        proxy.cut()     # connections are reset and new ones refused
        proxy.freeze()  # connections stay open and dead, new ones are served
        proxy.heal()
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Coroutine
from typing import Any, Literal, Self

from tests.support.process import free_port

#: ``up`` is from the client to the server, ``down`` from the server to the client.
Direction = Literal["up", "down"]
BOTH: tuple[Direction, Direction] = ("up", "down")

CHUNK_BYTES = 65_536
#: Closing such a socket sends a reset in place of an orderly end.
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class TcpProxy:
    """Forwards one loopback port to another; an async context manager that listens.

    A new fault replaces the one before it in its directions; `heal` ends all but the freezing of
    connections. What arrives while a direction is stalled is kept, and forwarded when it is
    healed, as TCP would send it again.

    Args:
        upstream_port: Loopback port of the server.
        port: Where it listens; a free one when not given.

    Attributes:
        port: Where it listens.
        forwarded: Bytes forwarded so far, by direction.
        accepted: Connections accepted so far.
    """

    def __init__(self, upstream_port: int, *, port: int | None = None) -> None:
        self.port = port or free_port()
        self.forwarded: dict[Direction, int] = {"up": 0, "down": 0}
        self.accepted = 0
        self._upstream_port = upstream_port
        self._flows = {direction: asyncio.Event() for direction in BOTH}
        self._delay_s: dict[Direction, float] = {"up": 0.0, "down": 0.0}
        self._bytes_per_s: dict[Direction, float | None] = {"up": None, "down": None}
        self._is_cut = False
        self._frozen = 0
        #: The first bytes of a request to stall at, what else it holds, the directions, and who
        #: waits for it.
        self._stall_at: tuple[bytes, bytes, tuple[Direction, ...], asyncio.Event] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.heal()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def bootstrap(self) -> str:
        """`HOST:PORT` for Kafka clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The same for STREAMAPP_BROKER and Faust."""
        return f"kafka://{self.bootstrap}"

    @property
    def open_connections(self) -> int:
        """Connections that are open now."""
        return len(self._writers) // 2

    def heal(self) -> None:
        """End every fault; what was stalled is forwarded."""
        self._is_cut = False
        for direction in BOTH:
            self._delay_s[direction] = 0.0
            self._bytes_per_s[direction] = None
            self._flows[direction].set()

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._is_cut = True
        self.reset()

    def reset(self) -> None:
        """Reset every connection, once; new ones are served."""
        for writer in list(self._writers):
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):  # closed by its other side just now
                if sock is not None:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            writer.transport.abort()

    def freeze(self) -> None:
        """Forward nothing more of the connections that are open now; nobody is told."""
        self._frozen = self.accepted

    def stall(self, *directions: Direction) -> None:
        """Forward nothing, in both directions or those given; connections stay open."""
        for direction in directions or BOTH:
            self._flows[direction].clear()

    def stall_at(self, api_key: int, *directions: Direction, of: str = "") -> asyncio.Event:
        """Stall at the next Kafka request of that kind; it is the first that is held, or answered.

        Args:
            api_key: The kind, by Kafka's protocol.
            directions: As of `stall`.
            of: A name that stands in it, of a topic.

        Returns:
            Is set as soon as it is so.
        """
        reached = asyncio.Event()
        self._stall_at = (api_key.to_bytes(2, "big"), of.encode(), directions, reached)
        return reached

    def delay(self, seconds: float, *directions: Direction) -> None:
        """Forward everything that much later, in order."""
        for direction in directions or BOTH:
            self._delay_s[direction] = seconds

    def drip(self, bytes_per_s: float, *directions: Direction) -> None:
        """Forward byte by byte at that rate."""
        for direction in directions or BOTH:
            self._bytes_per_s[direction] = bytes_per_s

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, upstream[1]}
        self._writers |= pair
        number = self.accepted
        both = [
            self._spawn(self._forward(number, "up", reader, upstream[1])),
            self._spawn(self._forward(number, "down", upstream[0], writer)),
        ]
        try:
            await asyncio.wait(both)
        finally:
            self._writers -= pair
            for each in pair:
                each.transport.abort()

    def _spawn(self, forwarding: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(forwarding)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _forward(
        self,
        number: int,
        direction: Direction,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Forward one direction until its end; then the other side hears of the end."""
        # Arrivals and their times, so that a delay does not slow down what flows.
        arrived: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)
        reading = self._spawn(_read(reader, arrived))
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while True:
                at, data = await arrived.get()
                await asyncio.sleep(max(0.0, at + self._delay_s[direction] - loop.time()))
                if number <= self._frozen:
                    await asyncio.Event().wait()
                await self._write(direction, data, writer)
                if not data:
                    break
        reading.cancel()

    async def _write(self, direction: Direction, data: bytes, writer: asyncio.StreamWriter) -> None:
        # A request begins with its length, 4 bytes; a client writes each at once.
        if direction == "up" and self._stall_at is not None:
            api_key, of, directions, reached = self._stall_at
            if data[4:6] == api_key and of in data:
                self._stall_at = None
                self.stall(*directions)
                reached.set()
        rate = self._bytes_per_s[direction]
        pieces = [data] if rate is None else [data[n : n + 1] for n in range(len(data))]
        for piece in pieces:
            if rate is not None and self._bytes_per_s[direction] is not None:
                await asyncio.sleep(1 / rate)
            await self._flows[direction].wait()
            if writer.is_closing():
                return
            writer.write(piece)
            await writer.drain()
            self.forwarded[direction] += len(piece)
        if not data and writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()


async def _read(
    reader: asyncio.StreamReader, arrived: "asyncio.Queue[tuple[float, bytes]]"
) -> None:
    """Queue what arrives, each with its time; an end as empty bytes."""
    loop = asyncio.get_running_loop()
    data = b"-"
    while data:
        try:
            data = await reader.read(CHUNK_BYTES)
        except OSError:
            data = b""
        await arrived.put((loop.time(), data))
