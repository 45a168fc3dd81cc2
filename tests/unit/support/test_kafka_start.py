"""The formatted directory that brokers of tests begin with."""

from pathlib import Path

from tests.support.kafka_start import FORMATTED, copy_formatted


def test_each_broker_has_a_directory_of_its_own(tmp_path: Path) -> None:
    """What Kafka's tool wrote is copied, but for the ids: two of a cluster share the cluster's."""
    formatted = tmp_path / FORMATTED
    formatted.mkdir()
    (formatted / "bootstrap.checkpoint").write_bytes(b"features")
    (formatted / "meta.properties").write_text("version=1\nnode.id=1\n")
    read = []

    for node in (1, 2):
        data = tmp_path / f"data-{node}"
        copy_formatted(tmp_path, data, cluster_id="c" * 22, node_id=node)
        assert (data / "bootstrap.checkpoint").read_bytes() == b"features"
        lines = (data / "meta.properties").read_text().splitlines()
        read.append(dict(line.split("=") for line in lines))

    assert [each["node.id"] for each in read] == ["1", "2"]
    assert {each["cluster.id"] for each in read} == {"c" * 22}
    assert len({each["directory.id"] for each in read}) == 2
