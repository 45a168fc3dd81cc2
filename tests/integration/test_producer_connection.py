"""The worker's producer on a connection that was closed in the turn before."""

import asyncio
from typing import Any

import faust
import pytest

from streamapp.streaming.broker.embedded import EmbeddedBroker
from streamapp.streaming.delivery.producer import Producer

pytestmark = pytest.mark.embedded


class Closed:
    """What uvloop makes of the writer of such a connection."""

    def write(self, data: bytes) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")

    def close(self) -> None:
        """It is."""

    def is_closing(self) -> bool:
        """It is."""
        return True


@pytest.mark.parametrize("looks_first", [False, True], ids=["record", "look"])
async def test_record_is_delivered_on_a_new_connection(looks_first: bool) -> None:
    """The client's sender would end by an error that is none of its own, and the worker with it.

    The task that looks for leaders would end as well, and the sender wait for it.
    """
    with EmbeddedBroker() as broker:
        app: Any = faust.App("producer-connection", broker=broker.url, env={})
        producer = Producer(app.transport, loop=asyncio.get_running_loop(), beacon=app.beacon)

        async def deliver(value: bytes) -> Any:
            return await (await producer.put("t", b"k", value, None, None, {}))

        await producer.start()
        try:
            first = await deliver(b"1")
            client = producer._ensure_producer().client
            connections = client._conns
            before = [connection._writer for connection in connections.values()]
            for connection in connections.values():
                connection._writer = Closed()

            async with asyncio.timeout(30):
                if looks_first:
                    assert not await client.force_metadata_update()
                    assert await client.force_metadata_update()
                second = await deliver(b"2")

            for writer in before:
                writer.close()
        finally:
            await producer.stop()

    assert second.offset == first.offset + 1
