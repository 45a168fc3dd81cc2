"""The first look of a client at its cluster, repeated until it is answered with brokers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaConnectionError, KafkaError

log = structlog.get_logger(__name__)

#: Between two looks, seconds.
PAUSE_S = 0.5


class Bootstrapped(Protocol):
    """A client of aiokafka, after its first `bootstrap`."""

    @property
    def cluster(self) -> ClusterMetadata:
        """What it knows of the cluster."""
        ...

    async def bootstrap(self) -> None:
        """Ask the bootstrap servers for the brokers."""
        ...


async def until_started(
    start: Callable[[], Awaitable[None]],
    undo: Callable[[], Awaitable[None]],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Start a client again until a broker answers it.

    The worker waited for brokers before; that the line breaks in between must not end it.

    Args:
        start: Makes the client and starts it.
        undo: Closes one that was not answered.
        sleep: Waits for seconds.
    """
    while True:
        try:
            await start()
            return
        except KafkaConnectionError as error:
            log.warning("broker.unreachable", error=type(error).__name__, retry_in_s=PAUSE_S)
            await undo()
            await sleep(PAUSE_S)


async def until_brokers_are_named(
    client: Bootstrapped, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Bootstrap again until the client knows brokers.

    A broker that has just started, or that the controller has fenced for a moment, answers without
    any. Once the connection is closed, the client knows nobody whom it could ask, for ever.
    """
    while not client.cluster.brokers():
        log.warning("broker.none_named", retry_in_s=PAUSE_S, hint="it has just started")
        await sleep(PAUSE_S)
        try:
            await client.bootstrap()
        except (KafkaError, OSError) as error:
            log.warning("broker.unreachable", error=type(error).__name__, retry_in_s=PAUSE_S)
