from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import faust
import pytest
from faust.assignor.client_assignment import ClientMetadata
from structlog.testing import capture_logs

from streamapp.streaming.addresses import GroupAddresses
from streamapp.streaming.flows.assignor import LedgerBoundAssignor
from tests.fakes import FakeClock
from tests.unit.streaming.consumer.fake_member import FakeCluster

INPUT, PATIENCE_S = "llm.requests", 20.0
OWN, OTHER = "http://one:6066", "http://two:6066"


class _App(faust.App):
    held = SimpleNamespace(changelogs={})


def _assignor(**options: Any) -> Any:
    app = _App("app", store="memory://", PartitionAssignor=LedgerBoundAssignor, **options)
    return cast(Any, app.assignor)


class Group:
    """Workers by name, each with the address that it names; all know what their leader said."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.told: Mapping[str, Mapping[str, list[int]]] = {}
        self.is_rebalancing = False
        self.addresses = GroupAddresses(
            lambda: self.told,
            lambda: OWN,
            patience_s=PATIENCE_S,
            is_rebalancing=lambda: self.is_rebalancing,
            clock=self.clock,
        )

    def assign(self, urls: Mapping[str, str], *, partitions: int = 4) -> None:
        """Let the leader assign, and this worker hear of it."""
        assignors = {name: _assignor(canonical_url=url) for name, url in urls.items()}
        members = {name: one.metadata({INPUT}) for name, one in assignors.items()}
        [leader, *_] = assignors.values()
        given = leader._perform_assignment(FakeCluster({INPUT: partitions}), members)
        [first, *_] = given.values()
        data = ClientMetadata.loads(leader._decompress(first.user_data))
        self.told = cast(Any, data).external_topic_distribution

    def look_after(self, seconds: float) -> list[str]:
        """Return what is logged by a look at that time."""
        self.clock.advance(seconds)
        with capture_logs() as logs:
            self.addresses.look()
        return [entry["reason"] for entry in logs]


@pytest.fixture
def group() -> Group:
    """A group without an assignment yet."""
    return Group()


def test_workers_with_addresses_of_their_own_are_all_asked(group: Group) -> None:
    """Nothing is said of them."""
    group.assign({"a": OWN, "b": OTHER})

    assert [*group.look_after(0), *group.look_after(PATIENCE_S)] == []
    assert group.addresses.others() == [OTHER]
    assert (group.addresses.unasked(), group.addresses.impaired()) == (0, [])


@pytest.mark.parametrize("partitions", [4, 2, 1], ids=["all", "one without", "two without"])
def test_address_of_several_workers_is_named_once_and_impairs(
    group: Group, partitions: int
) -> None:
    """With what to set; also where some of them have no partitions."""
    group.assign({"a": OWN, "b": OWN, "c": OWN}, partitions=partitions)

    said = [*group.look_after(0), *group.look_after(PATIENCE_S), *group.look_after(1)]

    [line] = said
    assert line.startswith(f"3 workers name {OWN} as their address")
    assert "set STREAMAPP_WEB_URL of each worker to an address of its own" in line
    assert group.addresses.impaired() == said
    assert (group.addresses.members(OWN), group.addresses.unasked()) == (3, 2)


def test_partitions_of_an_address_are_those_of_all_that_have_it(group: Group) -> None:
    """Faust tells those of the last one alone."""
    group.assign({"a": OTHER, "b": OTHER})

    assert group.addresses.partitions(INPUT) == {OWN: [], OTHER: [0, 1, 2, 3]}


def test_worker_that_was_killed_and_is_back_shares_no_address(group: Group) -> None:
    """It is in its group twice until its old session ends; the cured ones are forgotten, too."""
    group.assign({"killed": OWN, "back": OWN})
    said = [*group.look_after(0), *group.look_after(PATIENCE_S - 1)]
    group.assign({"back": OWN})
    said += [*group.look_after(1), *group.look_after(PATIENCE_S)]

    assert said == group.addresses.impaired() == []
    assert group.addresses.members(OWN) == 1


def test_worker_that_was_stopped_and_is_back_shares_no_address_in_a_long_rebalance(
    group: Group,
) -> None:
    """The embedded broker takes longer to begin a generation than it has to last."""
    group.assign({"stopped": OWN, "back": OWN})
    said = group.look_after(0)
    group.is_rebalancing = True
    said += [*group.look_after(PATIENCE_S), *group.look_after(1)]
    group.is_rebalancing = False
    said += group.look_after(1)

    assert said == group.addresses.impaired() == []


def test_shared_address_is_named_once_over_rebalances(group: Group) -> None:
    """What is known before is known after it."""
    group.assign({"a": OWN, "b": OWN})
    said = [*group.look_after(0), *group.look_after(PATIENCE_S)]
    group.is_rebalancing = True
    said += group.look_after(1)
    group.is_rebalancing = False
    said += group.look_after(1)

    assert said == group.addresses.impaired()
    assert len(said) == 1


def test_address_that_one_worker_has_again_impairs_no_more(group: Group) -> None:
    """The line goes with its cause."""
    group.assign({"a": OWN, "b": OWN})
    group.look_after(0)
    group.look_after(PATIENCE_S)
    group.assign({"a": OWN, "b": OTHER})

    assert group.look_after(1) == []
    assert (group.addresses.impaired(), group.addresses.unasked()) == ([], 0)


@pytest.mark.parametrize(("is_served", "others"), [(True, [OTHER]), (False, [])])
def test_worker_without_http_asks_nobody(is_served: bool, others: list[str]) -> None:
    """Its address leads nowhere; others on its machine have the same."""
    assignor = _assignor(web_enabled=is_served, canonical_url=OWN)
    assignor.external_topic_distribution = {OWN: {INPUT: [1]}, OTHER: {INPUT: [0]}}

    assert GroupAddresses.of(assignor.app).others() == others
