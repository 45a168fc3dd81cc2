"""The partition counts of the topics of flows, as the broker told them."""


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
