"""The table behind the ledger, recovered in full for each of this worker's partitions.

Faust 0.15.3 remembers how far it has read each changelog partition, also where a rebalance that
was overtaken by another one took the partition away: the entries leave the store, and the next
recovery goes on from the remembered offset. Records of that partition were paid a second time.
And it gathers hundreds of megabytes on the way. So the table itself knows how far it holds each
partition, and reads the rest; Faust reads nothing of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import faust
from faust.tables.table import Table
from faust.types import TP
from faust.types.stores import StoreT
from yarl import URL

from streamapp.settings.flows import REQUESTS
from streamapp.streaming.delivery.emitter import Emitter
from streamapp.streaming.log_place import LogPlace, mark_of
from streamapp.streaming.tables.entry_store import EntryStore, MemoryEntries
from streamapp.streaming.window.lease import Lease

if TYPE_CHECKING:
    from streamapp.streaming.tables.disk_fallback_store import DiskFallbackStore

TABLE_ANSWERS = "answers"


def answers_table(flow: str) -> str:
    """Return the name of a flow's table; that of the built-in flow has no more than its own."""
    return TABLE_ANSWERS if flow == REQUESTS else f"{TABLE_ANSWERS}-{flow}"


class AnswersTable(Table[bytes, bytes]):
    """Id -> ledger entry.

    Args:
        app: The worker's.
        emitter: Delivers entries.
        flow: Whose records it remembers.
        partitions: As many as the flow's input has, where that is known; its topic exists.
        mine: This worker's partitions of the input. Those of the changelog that Faust names may be
            none, where the group's leader did not know it.
        recover: Called at each recovery with this worker's partitions: reads what is missing.
    """

    def __init__(
        self,
        app: faust.App,
        emitter: Emitter,
        *,
        flow: str = REQUESTS,
        partitions: int | None,
        mine: Callable[[], set[int]],
        recover: Callable[[set[int]], Awaitable[None]],
    ) -> None:
        self._on_disk: DiskFallbackStore | None = None
        super().__init__(
            app,
            name=answers_table(flow),
            key_type=bytes,
            value_type=bytes,
            partitions=partitions,
            beacon=app.tables.beacon,
        )
        self._emitter = emitter
        self._mine = mine
        self._recover = recover
        self._reading: asyncio.Task[Any] | None = None
        #: Where the store is in memory; one on a disk knows the place itself.
        self._in_memory = MemoryEntries()
        self._read_to: dict[int, LogPlace] = {}

    def _new_store_by_url(self, url: str | URL) -> StoreT[Any, Any]:
        """Return the store; one on a disk does without it where it must."""
        if URL(url).scheme != "rocksdb":
            return super()._new_store_by_url(url)
        # 6 MB that a worker with its tables in memory does without.
        from streamapp.streaming.tables.disk_fallback_store import DiskFallbackStore

        self._on_disk = DiskFallbackStore(
            url,
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            key_serializer=self.key_serializer,
            value_serializer=self.value_serializer,
            value_type=self.value_type,
            loop=self.loop,
            options=self.options,
        )
        return self._on_disk

    @cached_property
    def _disk(self) -> "DiskFallbackStore | None":
        """The store, where it is on a disk."""
        assert self.data is not None  # Faust makes it at the first look
        return self._on_disk

    @cached_property
    def entries(self) -> EntryStore:
        """What is held of each partition; Faust's own store in memory tells none apart."""
        disk = self._disk
        return self._in_memory if disk is None else disk

    def apply_changelog_batch(self, batch: Any) -> None:
        """Take nothing of it: what Faust reads are the entries behind the end that it was told.

        There are some where that end was old, as the embedded broker's is, or where another worker
        wrote meanwhile. A store on a disk noted them as all that the partition has.
        """

    def impaired(self) -> list[str]:
        """Return what the store does without."""
        disk = self._disk
        return [] if disk is None else disk.impaired()

    async def append(self, key: bytes, value: bytes, partition: int, lease: Lease) -> None:
        """Write an entry to the changelog, on the record's own partition.

        ``table[k] = v`` would only buffer it, and send it to the partition of the current event.

        Raises:
            LeaseLost, DeliveryFailed: As `Emitter.emit`; nothing is noted as persisted then.
        """
        written = await self._emitter.emit(
            self.changelog_topic, lease, key=key, value=value, partition=partition
        )
        # Its own record need not be read back; one that stands behind another worker's is.
        read_to = self._place(partition)
        if read_to is not None and read_to.offset == written.offset:
            place = LogPlace(written.offset + 1, read_to.topic_id, mark_of(key, value))
            self._note(partition, place)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Read what is missing of this worker's partitions; its window opens afterwards.

        Faust goes on to the next rebalance without waiting for a reading that it overtook.
        """
        await super().on_recovery_completed(active_tps, standby_tps)
        reading, self._reading = self._reading, asyncio.current_task()
        if reading is not None:
            reading.cancel()
        await self._recover(self._mine())

    async def on_stop(self) -> None:
        """Read no further."""
        if self._reading is not None:
            self._reading.cancel()
        await super().on_stop()

    def show(self, partitions: set[int]) -> None:
        """Show what is held of these partitions, this worker's now; the others are forgotten."""
        self._read_to = {p: place for p, place in self._read_to.items() if p in partitions}
        if (disk := self._disk) is not None:
            disk.show(partitions)

    def starts(self, partitions: set[int]) -> dict[int, LogPlace]:
        """Return from where on each partition is missing here.

        Asked once the entries were looked at: a disk that is damaged shows it there.
        """
        return {partition: self._place(partition) or LogPlace(0) for partition in partitions}

    def was_read(self, places: Mapping[int, LogPlace]) -> None:
        """Note the place behind what is in the table, of each partition."""
        for partition, place in places.items():
            self._note(partition, place)

    def _place(self, partition: int) -> LogPlace | None:
        disk = self._disk
        return self._read_to.get(partition) if disk is None else disk.place(partition)

    def _note(self, partition: int, place: LogPlace) -> None:
        disk = self._disk
        if disk is None:
            self._read_to[partition] = place
        else:
            disk.note(partition, place)
