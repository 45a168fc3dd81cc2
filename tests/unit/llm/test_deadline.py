"""The deadline of a record, and what does not count."""

import pytest

from streamapp.llm.deadline import Deadline
from tests.fakes import FakeClock


@pytest.fixture
def deadline(clock: FakeClock) -> Deadline:
    """One of 90 s that counts."""
    deadline = Deadline(90, clock)
    deadline.start()
    return deadline


def test_no_time_passes_while_anything_waits_for_kafka(
    deadline: Deadline, clock: FakeClock
) -> None:
    """Until the last of several has it, whatever else begins, waits or goes on meanwhile."""
    clock.advance(1)
    deadline.stand()
    clock.advance(100)
    with deadline.standing():
        deadline.go_on()
        deadline.start()
        with deadline.suspended():
            clock.advance(100)
        clock.advance(100)
        assert deadline.spent_s() == 1
        with deadline.extended():
            clock.advance(100)
    clock.advance(2)

    assert (deadline.spent_s(), deadline.limit_s, deadline.stood_s()) == (3, 90, 400)


def test_wait_that_begins_while_kafka_is_away_counts_from_then_on(clock: FakeClock) -> None:
    """What starts the deadline meanwhile starts it with all of its time."""
    deadline = Deadline(90, clock)
    with deadline.standing():
        clock.advance(100)
        deadline.start()
        clock.advance(100)
    clock.advance(5)

    assert deadline.spent_s() == 5


def test_wait_for_kafka_is_none_to_be_let_through(deadline: Deadline) -> None:
    """What waits there was paid for: the record cannot be given back at no cost."""
    deadline.steps.begin("1")

    with deadline.standing():
        assert not deadline.is_only_waiting
        assert (deadline.waits, deadline.is_waiting) == (0, False)
