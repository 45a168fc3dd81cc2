"""Connections that were closed under the client: what a look for brokers does with them."""

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from aiokafka.cluster import ClusterMetadata

from streamapp.streaming.protocol.closed_connections import refuse_closed


class Connection:
    """One to a broker."""

    def __init__(self, *, is_closing: bool | None) -> None:
        """Without a writer where it is not known."""
        self._writer = (
            None if is_closing is None else SimpleNamespace(is_closing=lambda: is_closing)
        )
        self.is_closed = False

    def close(self, reason: object) -> None:
        self.is_closed = True


class Client:
    """One whose look ends by uvloop's error."""

    def __init__(self, *closing: bool | None) -> None:
        self.send = None
        self._conns = {n: Connection(is_closing=each) for n, each in enumerate(closing)}

    async def _metadata_update(self, cluster: object, topics: object) -> bool:
        raise RuntimeError("the handler is closed")


@pytest.mark.parametrize(
    ("closing", "closed"),
    [
        ([True, False], [True, False]),
        ([None, False, False], [True, False, False]),
        ([False, False], [True, True]),
    ],
    ids=["closed", "without a writer", "not known which"],
)
async def test_look_closes_what_was_closed_and_leaves_the_others(
    closing: list[bool | None], closed: list[bool]
) -> None:
    """Records on their way by another one would be sent again, and stand twice."""
    client: Any = Client(*closing)
    refuse_closed(client)

    assert not await client._metadata_update(ClusterMetadata(metadata_max_age_ms=1000), None)

    assert [connection.is_closed for connection in client._conns.values()] == closed


def test_writer_of_uvloop_says_that_it_was_closed() -> None:
    """By which the connection is known whose write raises a plain RuntimeError."""

    async def write_to_closed() -> bool:
        ours, theirs = socket.socketpair()
        with theirs:
            _, writer = await asyncio.open_connection(sock=ours)
            writer.transport.abort()
            for _ in range(10):
                await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="the handler is closed"):
                writer.write(b"x")
            return writer.is_closing()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(write_to_closed())
