"""The ledger's recovery: what is missing of this worker's partitions, read within its bound.

A group's leader that does not know the changelog gives out partitions of the input beyond it. They
are named, and read once the changelog has them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

import structlog

from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.tables.answers import AnswersTable
from streamapp.streaming.tables.changelog_reader import ChangelogReader
from streamapp.streaming.window.membership import Membership

log = structlog.get_logger(__name__)

#: Between two looks for what the changelog did not have, seconds.
LOOK_S = 1.0


class LedgerRecovery:
    """Brings table and ledger up to their changelog.

    Args:
        ledger: Forgets the partitions of others, and takes the entries.
        table: Knows how far each partition was read.
        changelog: Of the table.
        look_up_committed: Learns what is committed: entries below may be forgotten.
        membership: Tells the group's generation; asked once the app runs.
        session_s: How long the group is waited for to tell it, seconds.
        there: Returns the changelog's partitions, as far as they are known without asking.
        on_unread: Told of the partitions that it does not have, after each reading.
        on_fatal: Ends the worker. Faust would go on without the entries, and pay for them again.
    """

    def __init__(
        self,
        ledger: Ledger,
        table: AnswersTable,
        changelog: ChangelogReader,
        *,
        look_up_committed: Callable[[], Awaitable[None]],
        membership: Callable[[], Membership],
        session_s: float,
        there: Callable[[], Collection[int]],
        on_unread: Callable[[Collection[int]], None],
        on_fatal: Callable[[BaseException], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ledger = ledger
        self._table = table
        self._changelog = changelog
        self._look_up_committed = look_up_committed
        self._membership = membership
        self._session_s = session_s
        self._there = there
        self._on_unread = on_unread
        self._on_fatal = on_fatal
        self._sleep = sleep
        self._unread = set[int]()
        self._late: asyncio.Future[None] | None = None

    async def __call__(self, partitions: set[int]) -> None:
        """Read what is missing; returns when nothing is that the changelog has."""
        begun_at = time.monotonic()
        if self._late is not None:
            self._late.cancel()
        self._unread = set()
        try:
            await self._look_up_committed()
        except Exception as error:  # Faust would pass over it, and over the reading with it
            log.warning("ledger.committed_unknown", error=type(error).__name__)
        with self._fatal():
            self._table.show(partitions)
            self._ledger.rebuild(partitions)
        await self._read(partitions, begun_at)

    async def watch(self) -> None:
        """Look again for what the changelog did not have, until cancelled."""
        while True:
            await self._sleep(LOOK_S)
            await self.look_again()

    async def look_again(self) -> None:
        """Read what the changelog has by now; a recovery that begins meanwhile reads it itself."""
        if due := self._unread.intersection(self._there()):
            self._late = asyncio.ensure_future(self._read(due, time.monotonic()))
            await asyncio.gather(self._late, return_exceptions=True)  # its failure is fatal

    async def _read(self, partitions: set[int], begun_at: float) -> None:
        starts = self._table.starts(partitions)
        taken = 0

        def take(partition: int, offset: int, key: bytes | None, value: bytes | None) -> None:
            nonlocal taken
            taken += 1
            self._ledger.absorb(key, value)

        with self._fatal():
            places = await self._changelog.read(starts, take, on_anew=self._ledger.outdate)
            self._ledger.forget_finished_steps()
            ends = {partition: place.offset for partition, place in places.items()}
            self._ledger.groups.begin(ends, await self._generation(ends))
            self._table.was_read(places)
            self._unread = (self._unread | partitions) - places.keys()
            self._on_unread(self._unread)
        log.info(
            "ledger.recovered",
            ids=len(self._ledger),
            records=taken,
            unreadable=self._ledger.unreadable,
            duration_s=round(time.monotonic() - begun_at, 2),
        )

    @contextmanager
    def _fatal(self) -> Iterator[None]:
        """End the worker where what stands inside fails: Faust would pass over it."""
        try:
            yield
        except Exception as error:
            self._on_fatal(error)
            raise

    async def _generation(self, partitions: Iterable[int]) -> float:
        """Return the group's generation, as far as its entries do not tell that it is no lower.

        Higher ones than this worker's are either of its group, which has gone on without it, or
        of an earlier one that was deleted. A heartbeat that the group takes after the reading
        tells which.
        """
        membership = self._membership()
        if not self._ledger.groups.is_above(membership.generation, partitions):
            return membership.generation
        return await membership.current_generation(within_s=self._session_s)
