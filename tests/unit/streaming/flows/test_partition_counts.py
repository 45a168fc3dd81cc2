from streamapp.streaming.flows.partition_counts import PartitionCounts


def test_equal_counts_keep_the_partition() -> None:
    """What keeps its key stays in the partition of the same number."""
    assert PartitionCounts({"in": 3, "out": 3}).same("in", "out", 2) == 2


def test_the_key_decides_where_counts_differ_or_the_source_has_grown() -> None:
    """Other counts, unknown ones and a new partition leave it to the key."""
    counts = PartitionCounts({"in": 3, "out": 8})

    assert counts.same("in", "out", 2) is None
    assert counts.same("in", "unknown", 2) is None
    assert counts.same("unknown", "other", 0) is None
    assert PartitionCounts({"in": 3, "out": 3}).same("in", "out", 3) is None
