"""Automatic rollback: the moves of the guard, as events on the topic."""

import asyncio
from typing import Protocol

import structlog
from aiokafka.errors import KafkaError

from streamapp.errors import DeliveryFailed
from streamapp.prompts.events import Event
from streamapp.prompts.fold import EventOutcome
from streamapp.prompts.guard import Guard
from streamapp.prompts.history import History

log = structlog.get_logger(__name__)

POLL_INTERVAL_S = 1.0
WRITE_TIMEOUT_S = 10.0


class MovableLabels(Protocol):
    """The registry and the way to change it; see ``streaming/prompts/table.py``."""

    @property
    def history(self) -> History:
        """The prompts as this worker knows them."""
        ...

    async def write(self, name: str, event: Event, *, timeout_s: float) -> EventOutcome:
        """Append an event; return what became of it."""
        ...


async def watch(guard: Guard, table: MovableLabels) -> None:
    """Write the guard's moves, until cancelled."""
    while True:
        await asyncio.sleep(POLL_INTERVAL_S)
        await roll_back(guard, table)


async def roll_back(guard: Guard, table: MovableLabels) -> None:
    """Write the moves that are called for now, and log those that took effect.

    Of several workers whose guards move one label the first one does: each says where the label
    must still point.
    """
    for name, move in list(guard.rollbacks(table.history.prompts)):
        try:
            outcome = await table.write(name, move, timeout_s=WRITE_TIMEOUT_S)
        except (DeliveryFailed, KafkaError, TimeoutError) as error:
            log.warning(
                "prompts.guard_failed",
                prompt=name,
                label=move.label,
                reason=move.message,
                error=type(error).__name__,
            )
        else:
            if outcome.why is None:
                log.warning(
                    "prompts.guard_rolled_back",
                    prompt=name,
                    label=move.label,
                    from_version=move.expected,
                    to_version=move.version,
                    reason=move.message,
                )
