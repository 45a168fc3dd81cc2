"""The state of a group in words."""

import pytest

from streamapp.streaming.broker.group_state import MEANING, GroupState


@pytest.mark.parametrize("state", MEANING)
def test_each_state_says_what_is_waited_for(state: str) -> None:
    """The log has it beside Kafka's own word."""
    assert len(GroupState(state, ()).meaning) > len(state)
