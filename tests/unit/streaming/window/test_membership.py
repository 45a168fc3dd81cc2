"""A heartbeat's age decides who may write, on a clock that runs while the machine sleeps."""

import math

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


async def test_generation_is_that_of_a_heartbeat_that_is_sent_from_now_on() -> None:
    """One that was under way before says nothing of the time since."""
    now = [100.0]
    membership = Membership(6, clock=lambda: now[0])
    heartbeats = [(99.0, 4), (100.0, 4), (101.0, 5)]

    async def sleep(pause_s: float) -> None:
        now[0] += 1
        membership.note(*heartbeats.pop(0))

    assert await membership.current_generation(within_s=6, sleep=sleep) == 5
    assert heartbeats == []


async def test_generation_that_no_heartbeat_tells_is_unknown() -> None:
    """The line is cut, or the group has given this worker up: no entry is above it then."""
    now = [100.0]
    membership = Membership(6, clock=lambda: now[0])
    membership.note(99.0, 4)

    async def sleep(pause_s: float) -> None:
        now[0] += pause_s

    assert await membership.current_generation(within_s=6, sleep=sleep) == math.inf


def test_late_answer_tells_no_older_generation() -> None:
    """What overtook it was sent later."""
    membership = Membership(6, clock=lambda: 100.0)
    membership.note(102.0, 5)

    membership.note(101.0, 4)

    assert membership.generation == 5
