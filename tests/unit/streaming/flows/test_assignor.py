from types import SimpleNamespace
from typing import Any, cast

import faust
import pytest
from faust.assignor.client_assignment import ClientAssignment
from faust.assignor.partition_assignor import PartitionAssignor
from faust.types import TP
from structlog.testing import capture_logs

from streamapp.errors import ConfigurationError
from streamapp.streaming.flows.assignor import (
    LEDGER_GONE_S,
    HeldPartitions,
    LedgerBoundAssignor,
)
from tests.fakes import FakeClock
from tests.unit.streaming.consumer.fake_member import FakeCluster

INPUT, CHANGELOG, OTHER = "in", "app-answers-changelog", "other"


class _App(faust.App):
    held = SimpleNamespace(changelogs={INPUT: CHANGELOG})


def _assigned(assignor: type[PartitionAssignor], cluster: FakeCluster) -> dict[str, set[int]]:
    """Return the partitions of all of a group of two, by topic."""
    app = _App("app", store="memory://", PartitionAssignor=assignor)
    one = cast(Any, app.assignor)
    members = {name: one.metadata({INPUT, CHANGELOG, OTHER}) for name in ("a", "b")}
    found: dict[str, set[int]] = {}
    for answer in one._perform_assignment(cluster, members).values():
        for topic, partitions in answer.assignment:
            found.setdefault(topic, set()).update(partitions)
    return found


@pytest.mark.parametrize(
    ("assignor", "count"), [(LedgerBoundAssignor, 4), (PartitionAssignor, 6)], ids=["ours", "faust"]
)
def test_partitions_without_a_ledger_are_nobodys(
    assignor: type[PartitionAssignor], count: int
) -> None:
    """Faust alone gives them out; other topics are no concern of it."""
    found = _assigned(assignor, FakeCluster({INPUT: 6, CHANGELOG: 4, OTHER: 5}))

    assert found[INPUT] == set(range(count))
    assert (found[CHANGELOG], found[OTHER]) == ({0, 1, 2, 3}, {0, 1, 2, 3, 4})


def test_they_are_assigned_once_the_ledger_has_them() -> None:
    """Its growth is all that is needed."""
    found = _assigned(LedgerBoundAssignor, FakeCluster({INPUT: 6, CHANGELOG: 6, OTHER: 5}))

    assert found[INPUT] == found[CHANGELOG] == {0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    "before",
    [{"a": [0, 1, 2, 3], "b": []}, {"a": [0, 1], "b": [2, 3]}, {"a": [2, 3], "b": [0, 1]}],
    ids=["all with one", "low with the first", "high with the first"],
)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_partitions_that_are_no_more_are_nobodys(before: dict[str, list[int]], count: int) -> None:
    """Those that are left are assigned once each, and other topics as ever."""
    app = _App("app", store="memory://", PartitionAssignor=LedgerBoundAssignor)
    assignor, members = cast(Any, app.assignor), {}
    for name, partitions in before.items():
        held = {topic: list(partitions) for topic in (INPUT, CHANGELOG, OTHER)}
        assignor._assignment = ClientAssignment(actives=held, standbys={})
        members[name] = assignor.metadata({INPUT, CHANGELOG, OTHER})

    cluster = FakeCluster({INPUT: count, CHANGELOG: 4, OTHER: 4})
    found: dict[str, list[int]] = {}
    for answer in assignor._perform_assignment(cluster, members).values():
        for topic, partitions in answer.assignment:
            found.setdefault(topic, []).extend(partitions)

    assert sorted(found[INPUT]) == list(range(count))
    assert sorted(found[OTHER]) == [0, 1, 2, 3]


def test_shared_topic_that_is_gone_is_named() -> None:
    """Nothing can be assigned without it; Faust would say that a key is missing."""
    app = _App("app", store="memory://", PartitionAssignor=LedgerBoundAssignor)
    app.GlobalTable("shared", partitions=1)
    assignor = cast(Any, app.assignor)
    members = {"a": assignor.metadata({INPUT})}

    with pytest.raises(ConfigurationError, match="app-shared-changelog is gone: create it again"):
        assignor._perform_assignment(FakeCluster({INPUT: 2}), members)


@pytest.mark.parametrize(
    ("requests", "cure"),
    [
        (INPUT, "set STREAMAPP_PARTITIONS=6 and start the workers again"),
        (OTHER, "the next worker that starts takes them over"),
    ],
    ids=["requests", "flow"],
)
def test_what_waits_is_said_once(requests: str, cure: str) -> None:
    """One line that says what to do, until it is cured; a flow's input has no setting."""
    cluster, held = FakeCluster({INPUT: 6, CHANGELOG: 4}), HeldPartitions()
    held.changelogs[INPUT] = CHANGELOG
    held.requests = requests

    with capture_logs() as logs:
        held.look(cluster)
        held.look(cluster)

    [line] = held.impaired()
    assert "partitions 4 to 5 wait" in line
    assert cure in line
    assert ("STREAMAPP_PARTITIONS" in line) == (requests == INPUT)
    assert [entry["log_level"] for entry in logs] == ["critical"]
    cluster[CHANGELOG] = 6
    held.look(cluster)
    assert held.impaired() == []


def test_partitions_whose_ledger_was_not_there_to_be_read_are_said() -> None:
    """The client may know of it by now: the broker that was asked did not."""
    cluster, held = FakeCluster({INPUT: 6, CHANGELOG: 6}), HeldPartitions()
    held.changelogs[INPUT] = CHANGELOG
    held.unread[INPUT] = {5, 4}

    with capture_logs() as logs:
        held.look(cluster)
        held.look(cluster)

    [line] = held.impaired()
    assert line.startswith(f"records in partitions 4, 5 of topic {INPUT} wait: ")
    assert [entry["event"] for entry in logs] == ["topics.partitions_held"]
    assert held.kept(INPUT) == set(range(6))
    places = [TP(INPUT, 3), TP(INPUT, 4), TP(OTHER, 4)]
    assert [held.has_ledger(tp) for tp in places] == [True, False, True]
    held.unread[INPUT] = set()
    held.look(cluster)
    assert held.impaired() == []
    assert held.has_ledger(TP(INPUT, 4))


def test_input_that_was_made_anew_with_fewer_partitions_is_said() -> None:
    """All is answered until the next start, which is refused."""
    cluster, held = FakeCluster({INPUT: 2, CHANGELOG: 4}), HeldPartitions()
    held.changelogs[INPUT] = CHANGELOG

    with capture_logs() as logs:
        held.look(cluster)
        held.look(cluster)

    [line] = held.impaired()
    assert line.startswith(f"no worker can start any more: {INPUT} has 2 partitions")
    assert "delete the changelog" in line
    assert [entry["reason"] for entry in logs] == [line]


@pytest.mark.parametrize(
    ("gone", "there", "event"),
    [(INPUT, CHANGELOG, "topics.input_gone"), (CHANGELOG, INPUT, "topics.ledger_gone")],
)
def test_topic_that_is_gone_is_said_until_it_is_back(gone: str, there: str, event: str) -> None:
    """A broker that starts knows none for a moment."""
    cluster, clock = FakeCluster({there: 4, gone: 4}), FakeClock()
    held = HeldPartitions(clock)
    held.changelogs[INPUT] = CHANGELOG
    held.look(cluster)
    del cluster[gone]
    held.look(cluster)
    assert held.gone() == []
    clock.advance(LEDGER_GONE_S)
    with capture_logs() as logs:
        held.look(cluster)
        held.look(cluster)
    assert [line["event"] for line in logs] == [event]
    assert held.gone()[0].startswith(f"topic {gone} is gone, ")

    cluster[gone] = 4
    held.look(cluster)
    assert held.gone() == []


@pytest.mark.parametrize(("gone", "there", "lines"), [(INPUT, CHANGELOG, 0), (CHANGELOG, INPUT, 1)])
def test_of_topics_that_were_never_there_the_ledgers_are_said(
    gone: str, there: str, lines: int
) -> None:
    """The start creates those, and refuses where an input is not there."""
    cluster, clock = FakeCluster({there: 4}), FakeClock()
    held = HeldPartitions(clock)
    held.changelogs[INPUT] = CHANGELOG
    held.look(cluster)
    clock.advance(LEDGER_GONE_S - 1)
    held.look(cluster)
    assert held.gone() == []

    clock.advance(1)
    held.look(cluster)

    assert len(held.gone()) == lines
