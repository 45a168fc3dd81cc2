"""The assignor of partitions: those of an input beyond its ledger's go to no worker yet.

Faust assigns an input together with the changelog of its ledger where both have as many
partitions. With more it would give a partition and its ledger to different workers, which would
pay again what is in it; and each of them would fail at the missing changelog partition.
"""

from collections.abc import Collection, Mapping
from typing import Any, Protocol, cast

import structlog
from faust.assignor.partition_assignor import PartitionAssignor
from faust.types import AppT

log = structlog.get_logger(__name__)


class Cluster(Protocol):
    """What is read of the client's metadata."""

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Return the partitions of a topic; None where it is not known."""
        ...


class LedgerBoundCluster:
    """A cluster whose inputs have no more partitions than their ledgers.

    Args:
        cluster: The client's.
        changelogs: That of each input.
    """

    def __init__(self, cluster: Cluster, changelogs: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._changelogs = changelogs

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Return those that are assigned."""
        found = self._cluster.partitions_for_topic(topic)
        changelog = self._changelogs.get(topic)
        kept = None if changelog is None else self._cluster.partitions_for_topic(changelog)
        return found if not found or not kept else found & kept


class LedgerBoundAssignor(PartitionAssignor):
    """Faust's assignor, of an app whose ``held`` names the changelog of each input."""

    def __init__(self, app: AppT, replicas: int = 0) -> None:
        super().__init__(app, replicas=replicas)

    def assigned_to_all(self, topics: Collection[str]) -> int:
        """Return how many partitions of ``topics`` the group has, as of the last assignment."""
        workers = self.external_topic_distribution.values()
        return sum(len(worker.get(topic, ())) for worker in workers for topic in topics)

    def _perform_assignment(self, cluster: Any, member_metadata: Any) -> Any:
        bound = LedgerBoundCluster(cluster, cast(Any, self.app).held.changelogs)
        return super()._perform_assignment(cast(Any, bound), member_metadata)


class HeldPartitions:
    """The partitions of inputs that nobody has, since their ledgers have fewer.

    Attributes:
        changelogs: That of each input's ledger.
    """

    def __init__(self) -> None:
        self.changelogs: dict[str, str] = {}
        self._lines: dict[str, str] = {}

    def impaired(self) -> list[str]:
        """Return a line for each input that has some."""
        return list(self._lines.values())

    def look(self, cluster: Cluster) -> None:
        """Compare anew, and say once what is held."""
        for input, changelog in self.changelogs.items():
            count = len(cluster.partitions_for_topic(input) or ())
            kept = len(cluster.partitions_for_topic(changelog) or ())
            line = held_line(input, count, kept) if 0 < kept < count else None
            if line is None:
                self._lines.pop(input, None)
            elif self._lines.get(input) != line:
                self._lines[input] = line
                log.critical("topics.partitions_held", topic=input, reason=line)


def held_line(input: str, count: int, kept: int) -> str:
    """Return what to do about an input of ``count`` partitions whose ledger has ``kept``."""
    return (
        f"topic {input} has {count} partitions and its ledger {kept}: records in partitions"
        f" {kept} to {count - 1} wait, the others go on; set STREAMAPP_PARTITIONS={count} where it"
        " is the topic of requests, and start the workers again"
    )
