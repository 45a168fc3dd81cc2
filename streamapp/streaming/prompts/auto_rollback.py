"""Automatic rollback: the moves of the guard, as events on the topic."""

import asyncio

import structlog
from aiokafka.errors import KafkaError

from streamapp.errors import DeliveryFailed
from streamapp.prompts.guard import Guard
from streamapp.streaming.prompts.table import PromptTable

log = structlog.get_logger(__name__)

POLL_INTERVAL_S = 1.0
WRITE_TIMEOUT_S = 10.0


async def watch(guard: Guard, table: PromptTable) -> None:
    """Write the guard's moves, until cancelled.

    Of several workers whose guards move one label the first one does: each says where the label
    must still point.
    """
    while True:
        await asyncio.sleep(POLL_INTERVAL_S)
        for name, move in list(guard.rollbacks(table.history.prompts)):
            log.warning("prompts.guard_rolled_back", prompt=name, label=move.label)
            try:
                await table.write(name, move, timeout_s=WRITE_TIMEOUT_S)
            except (DeliveryFailed, KafkaError, TimeoutError) as error:
                log.warning("prompts.guard_failed", error=type(error).__name__)
