"""A heartbeat's age decides who may write, on a clock that runs while the machine sleeps."""

import pytest

from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.membership import Membership


def test_heartbeat_counts_from_its_sending() -> None:
    """The group counts from when it took it, which is not before it was sent."""
    now = [100.0]
    membership = Membership(6, clock=lambda: now[0])
    now[0] = 104.0
    membership.note(101.0)

    now[0] = 106.9
    assert membership.is_current
    now[0] = 107.0
    assert not membership.is_current


def test_late_answer_makes_nobody_older() -> None:
    """Answers that overtake one another leave the latest sending."""
    now = [0.0]
    membership = Membership(6, clock=lambda: now[0])
    now[0] = 10.0
    membership.note(9.0)

    membership.note(3.0)

    assert membership.age_s == pytest.approx(1)


def test_lease_of_a_lost_member_never_comes_back() -> None:
    """A new membership gives the right to new leases alone."""
    membership = Membership(6)
    old = Lease(1, membership)

    membership.lose()
    membership.note(membership.now())

    assert (old.is_valid, old.is_ended) == (False, True)
    assert Lease(2, membership).is_valid
