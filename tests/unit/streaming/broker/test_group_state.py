"""The state of a group in words."""

import pytest

from streamapp.streaming.broker.group_state import MEANING, GroupState


@pytest.mark.parametrize("state", MEANING)
def test_each_state_says_what_is_waited_for(state: str) -> None:
    """The log has it beside Kafka's own word."""
    assert len(GroupState(state, ()).meaning) > len(state)


def test_a_broker_that_lost_the_group_is_told_with_what_to_do() -> None:
    """No restart of a worker helps: the embedded broker never gives that group partitions again."""
    meaning = GroupState("Unknown", ()).meaning

    assert "start that broker again" in meaning
    assert "STREAMAPP_APP_ID" in meaning
