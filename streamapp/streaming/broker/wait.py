"""The wait for a broker at the start, with growing pauses and a line for each."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiokafka.errors import KafkaError

from streamapp.settings import Settings
from streamapp.streaming.broker.diagnosis import refusal

log = structlog.get_logger(__name__)


async def wait_for_broker(
    settings: Settings,
    prepare: Callable[[], Awaitable[None]],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Run ``prepare`` as soon as a broker answers; wait with backoff and say so until then.

    Raises:
        ConfigurationError: A broker answers and refuses us; waiting would not help.
    """
    wait_s = 0.5
    while True:
        try:
            return await prepare()
        except (KafkaError, OSError) as error:
            if refused := await refusal(settings):
                raise refused from error
            log.warning(
                "broker.unreachable",
                broker=settings.broker,
                error=type(error).__name__,
                retry_in_s=wait_s,
                hint="start Kafka, or set STREAMAPP_BROKER",
            )
        await sleep(wait_s)
        wait_s = min(wait_s * 2, 5.0)
