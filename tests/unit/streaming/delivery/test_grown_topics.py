"""A topic that has grown since the producer looked."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import UnknownTopicOrPartitionError

from streamapp.streaming.delivery.grown_topics import to_grown_topics


async def test_an_unknown_partition_is_looked_for_and_tried_again() -> None:
    """The producer's assertion would end the worker; the error that is raised is waited out."""
    known = {0}

    async def send(topic: str, key: Any, value: Any, partition: Any, *others: Any) -> Any:
        assert partition in known, "Unrecognized partition"
        delivery: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        delivery.set_result(f"{topic}-{partition}")
        return delivery

    async def refresh() -> None:
        known.add(5)

    sent = to_grown_topics(send, refresh)

    with pytest.raises(UnknownTopicOrPartitionError):
        await sent("t", None, b"v", 5, None, None)
    delivered: Any = await (await sent("t", None, b"v", 5, None, None))
    assert delivered == "t-5"
