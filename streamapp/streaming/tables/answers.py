"""The table behind the ledger, recovered in full for every partition that was not held before.

Faust 0.15.3 remembers how far it has read each changelog partition, also where a rebalance that
was overtaken by another one took the partition away: the entries leave the store, and the next
recovery goes on from the remembered offset. Records of that partition were paid a second time.
So the table itself knows which partitions it holds whole, and has Faust read the others from
their beginning.
"""

from collections.abc import Callable
from typing import Any, cast

import faust
from faust.tables.manager import TableManager
from faust.tables.table import Table
from faust.types import TP
from faust.types.stores import StoreT
from yarl import URL

from streamapp.streaming.delivery.emitter import Emitter
from streamapp.streaming.tables.disk_fallback_store import DiskFallbackStore
from streamapp.streaming.window.lease import Lease

TABLE_ANSWERS = "answers"


class AnswersTable(Table[bytes, bytes]):
    """Id -> ledger entry.

    Args:
        app: The worker's.
        emitter: Delivers entries.
        partitions: As many as the requests have.
        on_recovered: Called after each recovery with the partitions that are held whole.
    """

    def __init__(
        self,
        app: faust.App,
        emitter: Emitter,
        *,
        partitions: int,
        on_recovered: Callable[[set[int]], None],
    ) -> None:
        super().__init__(
            app,
            name=TABLE_ANSWERS,
            key_type=bytes,
            value_type=bytes,
            partitions=partitions,
            beacon=app.tables.beacon,
        )
        self._emitter = emitter
        self._on_recovered = on_recovered
        self._held: set[int] = set()

    def _new_store_by_url(self, url: str | URL) -> StoreT[Any, Any]:
        """Return the store; one on a disk does without it where it must."""
        if URL(url).scheme != "rocksdb":
            return super()._new_store_by_url(url)
        return DiskFallbackStore(
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

    def impaired(self) -> list[str]:
        """Return what the store does without."""
        return self.data.impaired() if isinstance(self.data, DiskFallbackStore) else []

    async def append(self, key: bytes, value: bytes, partition: int, lease: Lease) -> None:
        """Write an entry to the changelog, on the record's own partition.

        ``table[k] = v`` would only buffer it, and send it to the partition of the current event.

        Raises:
            LeaseLost, DeliveryFailed: As `Emitter.emit`; nothing is noted as persisted then.
        """
        place = await self._emitter.emit(
            self.changelog_topic, lease, key=key, value=value, partition=partition
        )
        self.data.set_persisted_offset(place.topic_partition, place.offset)

    async def on_rebalance(
        self,
        assigned: set[TP],
        revoked: set[TP],
        newly_assigned: set[TP],
        generation_id: int = 0,
    ) -> None:
        """Forget how far partitions were read that are not held: they are read anew."""
        offsets = cast(TableManager, self.app.tables).recovery.active_offsets
        for tp in assigned:
            if tp.topic == self.changelog_topic_name and tp.partition not in self._held:
                offsets.pop(tp, None)
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Note what is held; Faust hands over the partitions of the recovery that ended."""
        await super().on_recovery_completed(active_tps, standby_tps)
        self._held = {tp.partition for tp in active_tps}
        self._on_recovered(self._held)
