"""The state of a group in words, and why it has no coordinator."""

import pytest

from streamapp.settings import Settings
from streamapp.streaming.broker.group_state import (
    LIKELY,
    MEANING,
    GroupState,
    cause_of_absence,
    cause_of_silence,
    no_coordinator,
)


@pytest.mark.parametrize("state", MEANING)
def test_each_state_says_what_is_waited_for(state: str) -> None:
    """The log has it beside Kafka's own word."""
    assert len(GroupState(state, ()).meaning) > len(state)


@pytest.mark.parametrize(
    ("factor", "brokers", "told"),
    [
        (3, 1, "replication.factor is 3 and there is 1 broker; add brokers or lower it"),
        (3, 2, "replication.factor is 3 and there are 2 brokers; add brokers or lower it"),
        (None, 2, "most often __consumer_offsets cannot be made: "),
        (1, 1, "see the broker's log"),
    ],
)
def test_topic_of_offsets_that_is_not_there_says_what_to_change(
    factor: int | None, brokers: int, told: str
) -> None:
    """Said for sure where the brokers tell their setting, else as what it most often is."""
    assert told in cause_of_absence(factor, brokers)


@pytest.mark.parametrize(
    ("leaders", "told"),
    [
        ([1, -1, -1], "2 of 3 partitions of __consumer_offsets have no leader: start the brokers"),
        ([1, 2, 1], "see the broker's log"),
    ],
)
def test_topic_of_offsets_without_leaders_names_the_brokers_that_are_away(
    leaders: list[int], told: str
) -> None:
    """More replicas would help nobody there."""
    assert told in cause_of_silence(leaders)


async def test_cluster_that_does_not_answer_has_the_usual_cause() -> None:
    """A hint costs no worker its life."""
    assert await no_coordinator(Settings(broker="kafka://127.0.0.1:1")) == LIKELY
