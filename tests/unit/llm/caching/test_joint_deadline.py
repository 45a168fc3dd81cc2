"""A call's time, where several records wait for it."""

from contextvars import copy_context

from streamapp.llm.caching.joint_deadline import JointDeadline
from streamapp.llm.deadline import Deadline
from streamapp.llm.durable.in_progress import STEP
from tests.fakes import FakeClock


def test_last_member_decides(clock: FakeClock) -> None:
    """The joint deadline passes when the last of its members has."""
    joint, short, long = JointDeadline(), Deadline(10, clock), Deadline(30, clock)
    joint.add("short", short)
    joint.add("long", long)
    joint.start()
    clock.advance(20)

    assert joint.remaining_s() == 10
    joint.remove("long")
    assert joint.remaining_s() == -10


def test_time_counts_for_each_member_from_its_own_start(clock: FakeClock) -> None:
    """A member counts from the start, or from when it came."""
    joint, first, second = JointDeadline(), Deadline(90, clock), Deadline(90, clock)
    joint.add("first", first)
    clock.advance(5)
    joint.start()
    clock.advance(10)
    joint.add("second", second)
    clock.advance(1)

    assert (first.spent_s(), second.spent_s()) == (11, 1)
    assert joint.spent_s() == 1


def test_suspension_holds_for_all_members(clock: FakeClock) -> None:
    """Time in a suspension counts for nobody: nor for who comes in it, nor for who leaves."""
    joint, first, late, gone = (JointDeadline(), *(Deadline(90, clock) for _ in range(3)))
    joint.add("first", first)
    joint.add("gone", gone)
    joint.start()
    clock.advance(1)
    with joint.suspended():
        clock.advance(50)
        joint.add("late", late)
        joint.remove("gone")
        with joint.suspended():
            clock.advance(20)
        clock.advance(30)
    clock.advance(2)

    assert (first.spent_s(), late.spent_s()) == (3, 2)
    assert gone.spent_s() == 1 + 20 + 30 + 2


def test_wait_for_kafka_takes_no_time_of_any_member(clock: FakeClock) -> None:
    """Nor of who comes in it; who leaves goes on alone."""
    joint, first, late, gone = (JointDeadline(), *(Deadline(90, clock) for _ in range(3)))
    joint.add("first", first)
    joint.add("gone", gone)
    joint.start()
    clock.advance(1)
    with joint.standing():
        clock.advance(50)
        joint.add("late", late)
        joint.remove("gone")
        clock.advance(50)
    clock.advance(2)

    assert (first.spent_s(), late.spent_s()) == (3, 2)
    assert gone.spent_s() == 1 + 50 + 2


def test_nothing_counts_before_the_start(clock: FakeClock) -> None:
    """A suspension before the first attempt starts nothing."""
    joint, member = JointDeadline(), Deadline(90, clock)
    joint.add("member", member)
    with joint.suspended():
        clock.advance(10)
    clock.advance(10)

    assert member.spent_s() == 0


def test_each_member_waits_and_pays(clock: FakeClock) -> None:
    """While the shared call waits all its records do; what it paid, each of them would again."""
    joint, member = JointDeadline(), Deadline(90, clock)
    joint.add("member", member)

    with joint.suspended():
        assert member.is_only_waiting
        joint.invest()
        assert not member.is_only_waiting


def test_what_was_paid_is_over_with_the_step_of_each_member(clock: FakeClock) -> None:
    """Equal calls are other steps of other records, and one may store its own first."""
    joint, members = JointDeadline(), {n: Deadline(90, clock) for n in ("1", "2")}
    for number, member in members.items():
        copy_context().run(_join, joint, member, number)

    with joint.suspended():
        joint.invest()
        for member in members.values():
            member.steps.store("2")

        assert [member.is_only_waiting for member in members.values()] == [False, True]


def test_attempt_is_one_for_each_member(clock: FakeClock) -> None:
    """For the step of each of them, and of those that come while it is made."""
    joint, first, second, late = (JointDeadline(), *(Deadline(90, clock) for _ in range(3)))
    copy_context().run(_join, joint, first, "1")
    copy_context().run(_join, joint, second, "2:1")
    joint.ask()
    copy_context().run(_join, joint, late, "3")

    members = (first, second, late)
    asked = [member.steps.is_asked(one) for member in members for one in ("1", "2:1", "3")]
    assert asked == [True, False, False, False, True, False, False, False, True]


def _join(joint: JointDeadline, member: Deadline, number: str) -> None:
    """Take part as a call of a step does."""
    STEP.set(number)
    joint.add(number, member)
