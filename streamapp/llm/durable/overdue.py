"""The records whose processors await something of their own for too long: named, never ended."""

import asyncio

import structlog

from streamapp.llm.durable.progress import RecordProgress, RecordsInProgress

log = structlog.get_logger(__name__)

#: Between two looks for the log, seconds.
LOOK_S = 10.0
#: Records that have a line of their own.
SHOWN = 3


class OverdueRecords:
    """Tells of records that nothing may ever end: deadlines bound calls of models alone.

    Args:
        records: Those that the worker runs.
    """

    def __init__(self, records: RecordsInProgress) -> None:
        self._records = records
        self._told: set[RecordProgress] = set()

    @property
    def count(self) -> int:
        """How many there are now."""
        return len(self._records.overdue())

    def impaired(self) -> list[str]:
        """Return a line for each of the oldest, and one for all others."""
        found = self._records.overdue()
        lines = [
            f"record {record.id} (type {record.type}): its processor has awaited something of its"
            f" own for {record.own_s:.0f} s, which STREAMAPP_DEADLINE_S does not bound"
            for record in found[:SHOWN]
        ]
        return lines + [f"more such records: {len(found) - SHOWN}"] * (len(found) > SHOWN)

    async def watch(self) -> None:
        """Look, again and again."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Log those that the last look did not find."""
        found = self._records.overdue()
        for record in found:
            if record not in self._told:
                log.warning(
                    "record.overdue",
                    id=record.id,
                    type=record.type,
                    awaited_s=round(record.own_s, 2),
                    hint="put asyncio.timeout round what its processor awaits besides the model",
                )
        self._told = set(found)
