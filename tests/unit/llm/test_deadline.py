"""The deadline of a record, and what does not count."""

import pytest

from streamapp.llm.caching.joint_deadline import JointDeadline
from streamapp.llm.deadline import DEADLINE, Deadline, trouble_so_far
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


@pytest.mark.parametrize("is_joint", [False, True], ids=["alone", "joint"])
async def test_what_a_record_waits_for_is_told(deadline: Deadline, is_joint: bool) -> None:
    """Who ends it while it waits has no attempt to tell of; what is overcome is not told."""
    DEADLINE.set(deadline)
    call = JointDeadline() if is_joint else deadline
    if isinstance(call, JointDeadline):
        call.add("one", deadline)

    def told() -> str:
        return trouble_so_far().removeprefix("; ")

    assert told() == ""
    with call.suspended():
        assert told() == "it waited for a provider that is down or refuses"
    call.ask()
    assert told() == "a provider had not answered yet"
    call.failed("p: HTTP 500")
    assert told() == "its last attempt: p: HTTP 500"
    with call.suspended("it waited for rain"):
        late = Deadline(90, lambda: 0.0)
        if isinstance(call, JointDeadline):
            call.add("late", late)
            assert late.doing == "it waited for rain"
    assert told() == "it waited for rain; its last attempt: p: HTTP 500"
    call.answered()
    assert told() == ""
