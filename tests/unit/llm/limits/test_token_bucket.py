"""What a token bucket gives in any window of time."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamapp.llm.limits.token_bucket import LATE_S, SHORTEST_WAIT_S, Bucket
from tests.fakes import FakeClock

WINDOW_S = 60.0


def bucket(
    clock: FakeClock, rate_per_s: float, *, burst_s: float = 0.0, least: float = 1
) -> Bucket:
    return Bucket(rate_per_s, burst_s=burst_s, least=least, clock=clock)


def highest_sum(taken: Sequence[tuple[float, float]]) -> float:
    """Return the largest sum of amounts in any window of 60 s, given (time, amount) in order."""
    best, start, total = 0.0, 0, 0.0
    for at, amount in taken:
        total += amount
        while taken[start][0] <= at - WINDOW_S:
            total -= taken[start][1]
            start += 1
        best = max(best, total)
    return best


def wait_and_take(clock: FakeClock, source: Bucket, amount: float, *, late_s: float = 0.0) -> None:
    waited = False
    while wait_s := source.wait_s(amount, is_late=waited):
        waited = True
        clock.advance(wait_s + late_s)
    source.take(amount)


@given(
    per_minute=st.floats(1, 60_000),
    burst_s=st.floats(0, 10),
    steps=st.lists(st.tuples(st.floats(0, 90), st.integers(1, 60)), min_size=1, max_size=30),
    late_s=st.floats(0, 0.04),
)
@settings(max_examples=60)
def test_no_window_holds_more_than_limit_and_burst(
    per_minute: float, burst_s: float, steps: list[tuple[float, int]], late_s: float
) -> None:
    """However the calls come, no minute has more than its rate, the burst and a late waking."""
    clock = FakeClock()
    source = bucket(clock, per_minute / 60, burst_s=burst_s)
    taken = []

    for idle_s, calls in steps:
        clock.advance(idle_s)
        for _ in range(calls):
            wait_and_take(clock, source, 1.0, late_s=late_s)
            taken.append((clock.now, 1.0))

    late = per_minute / 60 * LATE_S
    assert highest_sum(taken) <= per_minute + source.capacity + late + 1e-3


@given(
    amounts=st.lists(st.floats(0.1, 5_000), min_size=2, max_size=60),
    burst_s=st.floats(0, 5),
    late_s=st.floats(0, 0.04),
)
@example(amounts=[1.0, 1.0, 1.0, 1.0], burst_s=0.0, late_s=0.03125)
@settings(max_examples=60)
def test_large_amounts_do_not_drift(amounts: list[float], burst_s: float, late_s: float) -> None:
    """Amounts larger than the bucket pass, as fast as the rate says, late wakings included.

    The bucket begins empty, and here no fill is cut off: time passes in waits only, and a late
    waking is below ``LATE_S``. So the level at the end is the rate times the time passed, less
    all amounts. It is at least the last amount below zero, since that was given at a level of
    zero or above. And it is at most what the last waiting could leave: the capacity, and the
    rate times a late waking and the shortest wait.
    """
    clock = FakeClock()
    source = bucket(clock, 100.0, burst_s=burst_s, least=0)
    start = clock.now

    for amount in amounts:
        wait_and_take(clock, source, amount, late_s=late_s)

    level = (clock.now - start) * 100.0 - sum(amounts)
    rounding = 1e-4
    assert level >= -amounts[-1] - rounding
    assert level <= source.capacity + (late_s + SHORTEST_WAIT_S) * 100.0 + rounding


@given(moves=st.lists(st.tuples(st.floats(0, 20), st.floats(0.01, 1)), min_size=1, max_size=20))
@settings(max_examples=60)
def test_changing_the_rate_refills_nothing(moves: list[tuple[float, float]]) -> None:
    """Whatever the rates were, no more was given than they add up to, and one capacity."""
    clock = FakeClock()
    source = bucket(clock, 10.0, burst_s=1.0)
    given_out, allowed = 0.0, 10.0

    for passed_s, share in moves:
        allowed += passed_s * source.rate_per_s
        clock.advance(passed_s)
        source.rate_per_s = 10.0 * share
        while source.wait_s(1.0) == 0:
            source.take(1.0)
            given_out += 1

    assert given_out <= allowed + 1e-6


def test_first_use_has_one_request() -> None:
    """A new bucket has what a single request needs, not its whole burst."""
    clock = FakeClock()
    source = bucket(clock, 10.0, burst_s=5.0)

    wait_and_take(clock, source, 1.0)

    assert source.wait_s(1.0) == pytest.approx(0.1)


def test_larger_amount_waits_for_a_full_bucket() -> None:
    """An amount above the capacity passes when the bucket is full and leaves it negative."""
    clock = FakeClock()
    source = bucket(clock, 10.0, burst_s=2.0, least=0)

    assert source.wait_s(100.0) == pytest.approx(2.0)
    wait_and_take(clock, source, 100.0)

    assert source.wait_s(10.0) == pytest.approx(9.0)


def test_what_is_given_back_is_there_again() -> None:
    """A negative amount shortens the wait of the next one."""
    clock = FakeClock()
    source = bucket(clock, 10.0, burst_s=2.0, least=0)
    wait_and_take(clock, source, 100.0)

    source.take(-90.0)

    assert source.wait_s(10.0) == 0


def test_nothing_is_given_back_above_the_capacity() -> None:
    """What comes back after the bucket has filled again is no burst on top of the other."""
    clock = FakeClock()
    source = bucket(clock, 10.0, burst_s=2.0, least=0)
    wait_and_take(clock, source, 100.0)
    clock.advance(60)
    assert source.wait_s(20.0) == 0

    source.take(-90.0)
    source.take(20.0)

    assert source.wait_s(20.0) == pytest.approx(2.0)


def test_late_waking_is_left_for_the_next_one() -> None:
    """Who comes after a late waiter finds what had gathered by then."""
    clock = FakeClock()
    source = bucket(clock, 100.0, burst_s=0, least=0)
    source.take(1.0)

    wait_and_take(clock, source, 1.0, late_s=0.04)

    assert source.wait_s(1.0) == 0


def test_infinite_rate_never_waits() -> None:
    """Without a limit everything passes."""
    source = bucket(FakeClock(), float("inf"), burst_s=0.05)

    source.take(1e9)

    assert source.wait_s(1e9) == 0
