"""The assignor of partitions: those of an input beyond its ledger's go to no worker yet.

Faust assigns an input together with the changelog of its ledger where both have as many
partitions. With more it would give a partition and its ledger to different workers, which would
pay again what is in it; and each of them would fail at the missing changelog partition.
"""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol, cast

import structlog
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from faust.assignor.client_assignment import ClientMetadata
from faust.assignor.partition_assignor import PartitionAssignor
from faust.types import TP, AppT

from streamapp.errors import ConfigurationError
from streamapp.streaming.addresses import together

log = structlog.get_logger(__name__)

#: An input that the brokers have not known for so long was deleted, seconds.
GONE_S = 10.0
#: A ledger's changelog likewise: a client may learn of a new one as late as it asks anew, see
#: ``METADATA_MAX_AGE_MS``.
LEDGER_GONE_S = 20.0


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

    def _get_external_topic_distribution(self, assignments: Any) -> Any:
        of = super()._get_external_topic_distribution
        return together(of({member: each}) for member, each in assignments.items())

    def _perform_assignment(self, cluster: Any, member_metadata: Any) -> Any:
        bound = LedgerBoundCluster(cluster, cast(Any, self.app).held.changelogs)
        tables = cast(Any, self.app.tables).data.values()
        names = sorted(table.changelog_topic_name for table in tables if table.is_global)
        if gone := [name for name in names if not bound.partitions_for_topic(name)]:
            raise ConfigurationError(
                f"topic {', '.join(gone)} is gone: create it again; a worker that starts does so"
            )
        members = {name: without_gone(each, bound) for name, each in member_metadata.items()}
        return super()._perform_assignment(cast(Any, bound), members)


def without_gone(
    member: ConsumerProtocolMemberMetadata, cluster: Cluster
) -> ConsumerProtocolMemberMetadata:
    """Return what a member says of itself, its assignment without partitions that are no more.

    Faust leaves as much as it can where it was. Of a topic that was made anew with fewer
    partitions it would give some out that do not exist, or end the assignment of the whole group
    by an assertion, for as long as one member remembers the old ones.
    """
    client = cast(ClientMetadata, ClientMetadata.loads(member.user_data))
    changed = False
    for held in (client.assignment.actives, client.assignment.standbys):
        for topic, partitions in list(held.items()):
            found = cluster.partitions_for_topic(topic) or set()
            held[topic] = [each for each in partitions if each in found]
            changed |= len(held[topic]) != len(partitions)
    if not changed:
        return member
    return ConsumerProtocolMemberMetadata(member.version, member.subscription, client.dumps())


class HeldPartitions:
    """The partitions of inputs that nobody has: their ledgers have fewer, or the input is gone.

    So is told where a ledger's changelog is gone: nothing that is answered can be noted.

    An input that was made anew with fewer than its ledger has is told as well. And a leader that
    does not know a ledger's changelog gives all of its input out: whoever has partitions beyond it
    takes nothing of them.

    Args:
        clock: Monotonic seconds.

    Attributes:
        changelogs: That of each input's ledger.
        requests: The input whose partitions are a setting; None until it is known.
        unread: This worker's partitions of each input whose ledger's were not there to be read.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.changelogs: dict[str, str] = {}
        self.requests: str | None = None
        self.unread: dict[str, Collection[int]] = {}
        self._clock = clock
        self._lines: dict[str, str] = {}
        self._kept: dict[str, Collection[int]] = {}
        self._seen_at: dict[str, float] = {}
        self._gone: dict[str, str] = {}

    def impaired(self) -> list[str]:
        """Return a line for each input that has some."""
        return list(self._lines.values())

    def gone(self) -> list[str]:
        """Return a line for each input, and each ledger's changelog, that is no more."""
        return list(self._gone.values())

    def has_ledger(self, tp: TP) -> bool:
        """Whether what becomes of the records of one of this worker's partitions can be noted."""
        return tp.partition not in self.unread.get(tp.topic, ())

    def kept(self, input: str) -> Collection[int]:
        """Return the partitions that an input's ledger has, as of the last look."""
        return self._kept.get(input, ())

    def look(self, cluster: Cluster) -> None:
        """Compare anew, and say once what is held or gone."""
        for input, changelog in self.changelogs.items():
            count = len(cluster.partitions_for_topic(input) or ())
            self._kept[input] = cluster.partitions_for_topic(changelog) or ()
            kept = len(self._kept[input])
            self._look_for_input(input, count)
            if count:
                self._look_for_ledger(changelog, kept, input)
            line = None
            if 0 < kept < count:
                line = held_line(input, count, kept, is_set=input == self.requests)
            elif 0 < count < kept:
                line = f"no worker can start any more: {shrunk_line(input, count, changelog, kept)}"
            elif unread := self.unread.get(input):
                line = unread_line(input, changelog, unread)
            if line is None:
                self._lines.pop(input, None)
            elif self._lines.get(input) != line:
                self._lines[input] = line
                log.critical("topics.partitions_held", topic=input, reason=line)

    def _look_for_input(self, input: str, count: int) -> None:
        """Note whether an input is there; one that never was is the start's to refuse."""
        if count or input in self._seen_at:
            lost = f"topic {input} is gone, and with it what was not answered: create it again"
            self._look_for("topics.input_gone", input, count, lost, GONE_S)

    def _look_for_ledger(self, changelog: str, count: int, input: str) -> None:
        waits = (
            f"topic {changelog} is gone, records of {input} wait: a worker that starts creates it"
            " again"
        )
        self._look_for("topics.ledger_gone", changelog, count, waits, LEDGER_GONE_S)

    def _look_for(self, event: str, topic: str, count: int, line: str, limit_s: float) -> None:
        now = self._clock()
        if count or topic not in self._seen_at:
            self._seen_at[topic] = now
        if count:
            self._gone.pop(topic, None)
        elif topic not in self._gone and now - self._seen_at[topic] >= limit_s:
            self._gone[topic] = line
            log.critical(event, topic=topic, reason=line)


def held_line(input: str, count: int, kept: int, *, is_set: bool) -> str:
    """Return what to do about an input of ``count`` partitions whose ledger has ``kept``.

    Args:
        input: The topic.
        count: Its partitions.
        kept: Those of its ledger.
        is_set: Whether a setting says how many it has; a flow's input has as many as it has.
    """
    cure = (
        f"set STREAMAPP_PARTITIONS={count} and start the workers again"
        if is_set
        else "the next worker that starts takes them over: start one that has the flow"
    )
    return (
        f"topic {input} has {count} partitions and its ledger {kept}: records in partitions"
        f" {kept} to {count - 1} wait, the others go on; {cure}"
    )


def unread_line(input: str, changelog: str, partitions: Collection[int]) -> str:
    """Return what is held where not every broker knows of all of a changelog's partitions."""
    return (
        f"records in partitions {', '.join(map(str, sorted(partitions)))} of topic {input} wait:"
        f" the broker that was asked for their ledger {changelog} does not know these; it is asked"
        " again"
    )


def shrunk_line(input: str, count: int, changelog: str, kept: int) -> str:
    """Return what to do about an input of fewer partitions than its ledger's changelog has."""
    return (
        f"{input} has {count} partitions, fewer than its ledger's changelog {changelog} with"
        f" {kept}: add partitions to it, or delete the changelog where the input was created anew"
    )
