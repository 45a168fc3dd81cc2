"""The partition counts of the topics of flows, as the broker told them."""

from zlib import crc32


class PartitionCounts(dict[str, int]):
    """Partition counts by topic; filled at the start, before a record is taken."""

    def same(self, source: str, target: str, partition: int) -> int | None:
        """Return the partition of ``target`` for a record of ``source`` that keeps its key.

        The same number keeps what stands together together, whatever the producer's way to
        choose by key. Where the counts differ, or the source has grown, the key decides: None.
        """
        count = self.get(target)
        if count is None or count != self.get(source) or partition >= count:
            return None
        return partition

    def any(self, target: str, id: str) -> int | None:
        """Return a partition of ``target`` for a record without a key; the same one for an id.

        A record that is written again belongs where it stands already: its ledger is there.
        """
        count = self.get(target)
        return crc32(id.encode()) % count if count else None
