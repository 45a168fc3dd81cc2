"""The ledger's recovery: what is missing of this worker's partitions, read within its bound."""

import time
from collections.abc import Awaitable, Callable

import structlog
from aiokafka.errors import KafkaError

from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.tables.answers import AnswersTable
from streamapp.streaming.tables.changelog_reader import ChangelogReader

log = structlog.get_logger(__name__)


class LedgerRecovery:
    """Brings table and ledger up to their changelog.

    Args:
        ledger: Forgets the partitions of others, and takes the entries.
        table: Knows how far each partition was read.
        changelog: Of the table.
        look_up_committed: Learns what is committed: entries below may be forgotten.
        on_fatal: Ends the worker. Faust would go on without the entries, and pay for them again.
    """

    def __init__(
        self,
        ledger: Ledger,
        table: AnswersTable,
        changelog: ChangelogReader,
        *,
        look_up_committed: Callable[[], Awaitable[None]],
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._ledger = ledger
        self._table = table
        self._changelog = changelog
        self._look_up_committed = look_up_committed
        self._on_fatal = on_fatal

    async def __call__(self, partitions: set[int]) -> None:
        """Read what is missing; returns when nothing is."""
        begun_at = time.monotonic()
        try:
            await self._look_up_committed()
        except (KafkaError, TimeoutError) as error:
            log.warning("ledger.committed_unknown", error=type(error).__name__)
        starts = self._table.starts(partitions)
        self._ledger.rebuild(partitions)
        taken = 0

        def take(partition: int, offset: int, key: bytes | None, value: bytes | None) -> None:
            nonlocal taken
            taken += 1
            self._ledger.absorb(key, value)

        try:
            self._table.was_read(await self._changelog.read(starts, take))
        except Exception as error:
            self._on_fatal(error)
            raise
        log.info(
            "ledger.recovered",
            ids=len(self._ledger),
            records=taken,
            unreadable=self._ledger.unreadable,
            duration_s=round(time.monotonic() - begun_at, 2),
        )
