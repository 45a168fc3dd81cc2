"""Dead letters of invalid events on ``llm.prompts``, written once and by one worker.

All workers see such an event, at every start again. The one that owns the requests' first
partition writes the dead letter, then notes it on the topic itself; until that note is there,
whoever owns the partition does so again.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog
from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError

from streamapp.errors import DeliveryFailed, PromptError
from streamapp.prompts.events import DeadLettered
from streamapp.prompts.history import Invalid
from streamapp.records.dead_letter import DeadLetter, own_headers
from streamapp.streaming.delivery.emitter import Send
from streamapp.streaming.delivery.record_size import fitted_dead_letter
from streamapp.streaming.prompts.event_log import PARTITION
from streamapp.streaming.prompts.table import PromptTable

log = structlog.get_logger(__name__)

POLL_INTERVAL_S = 1.0
WRITE_TIMEOUT_S = 10.0
#: Key of the notes; they belong to no prompt.
KEY = "buried"


class InvalidEventDeadLetters:
    """Writes the dead letters of a table's invalid events.

    Args:
        table: Knows them.
        send: Of the running producer.
        dead_letters: Name of the topic.
        is_mine: Whether this worker is the one to do it, as of now.
        now: Wall clock, aware.
    """

    def __init__(
        self,
        table: PromptTable,
        send: Send,
        *,
        dead_letters: str,
        is_mine: Callable[[], bool],
        now: Callable[[], datetime],
    ) -> None:
        self._table = table
        self._send = send
        self._dead_letters = dead_letters
        self._is_mine = is_mine
        self._now = now

    async def watch(self) -> None:
        """Dead-letter what comes, until cancelled."""
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            try:
                await self.dead_letter()
            except (DeliveryFailed, KafkaError, ProducerSendError, TimeoutError) as error:
                log.warning("prompts.burial_failed", error=type(error).__name__)

    async def dead_letter(self) -> None:
        """Dead-letter what is invalid now."""
        for offset, invalid in sorted(self._table.history.invalid.items()):
            if not self._is_mine():
                return
            dead_letter = self._dead_letter(offset, invalid)
            key, value, headers = fitted_dead_letter(
                invalid.key,
                invalid.value,
                own=own_headers(invalid.headers),
                headers=dead_letter.headers(),
            )
            delivery = await self._send(self._dead_letters, key, value, PARTITION, None, headers)
            await asyncio.shield(delivery)
            log.error("prompts.event_dead_lettered", offset=offset, reason=dead_letter.message)
            note = DeadLettered(offset=offset, created_at=self._now())
            await self._table.write(KEY, note, timeout_s=WRITE_TIMEOUT_S)

    def _dead_letter(self, offset: int, invalid: Invalid) -> DeadLetter:
        tp = self._table.tp
        return DeadLetter.of(
            PromptError(invalid.problem),
            stage="decode",
            topic=tp.topic,
            partition=tp.partition,
            offset=offset,
            request_id=f"{tp.topic}-{tp.partition}-{offset}",
            now=self._now(),
            headers=invalid.headers,
        )
