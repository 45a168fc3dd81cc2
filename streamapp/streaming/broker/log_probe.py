"""The log probe: reads a partition's log past Faust, to tell a hole from a skipped record."""

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from streamapp.settings import Settings
from streamapp.streaming.broker.security import log_reader_options

log = structlog.get_logger(__name__)

#: Longest look, seconds; the next delivery of the partition asks again.
POLL_INTERVAL_S = 10.0


class LogProbe:
    """Reads one record with a consumer of its own, of no group; made anew for each look."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def first_from(self, tp: TP, offset: int) -> int | None:
        """Return the first offset at or above ``offset`` that holds a record.

        Returns:
            None where no record arrived in time.
        """
        consumer = AIOKafkaConsumer(
            client_id=f"{self._settings.app_id}-probe",
            **log_reader_options(self._settings),
        )
        place = TopicPartition(tp.topic, tp.partition)
        try:
            async with asyncio.timeout(POLL_INTERVAL_S):
                await consumer.start()
                consumer.assign([place])
                consumer.seek(place, offset)
                record = await consumer.getone()
        except (KafkaError, TimeoutError) as error:
            log.warning("log_probe.failed", partition=tp.partition, error=type(error).__name__)
            return None
        finally:
            await consumer.stop()
        found: int = record.offset
        log.info("log_probe.found", partition=tp.partition, expected=offset, found=found)
        return found
