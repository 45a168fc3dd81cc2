"""What a worker remembers of its last hour."""

import itertools
from typing import Any

import pytest

from streamapp.streaming.app.history import MINUTES, SECONDS, SnapshotHistory
from tests.fakes import FakeClock

CHECKS = ("assigned", "recovered", "draining")


class Worker:
    """Numbers as a snapshot has them."""

    def __init__(self) -> None:
        self.answered = self.dead = 0
        self.waiting = 0
        self.lags: list[int | None] = [3, 4]
        self.flows_lag: int | None = 100
        self.checks = dict.fromkeys(CHECKS, True)

    def now(self) -> dict[str, Any]:
        records = [
            [["chat", "answered", "requests"], self.answered],
            [["chat", "dead_letter", "requests"], self.dead],
        ]
        return {
            "records": records,
            "tokens": [],
            "cost_usd": [],
            "rate_limit_waiting": [[["p"], self.waiting], [["q"], 1]],
            "latency_s": {"p50": 0.1, "p95": 0.2, "p99": None},
            "checks": {name: [ok, ""] for name, ok in self.checks.items()},
            "partitions": [{"partition": n, "lag": lag} for n, lag in enumerate(self.lags)],
            "flows_lag": self.flows_lag,
        }


def taken(worker: Worker, seconds: int, *, per_s: int = 0) -> SnapshotHistory:
    clock = FakeClock()
    history = SnapshotHistory(worker.now, clock)
    for _ in range(seconds + 1):
        history.take()
        worker.answered += per_s
        clock.advance(1)
    return history


def test_seconds_and_minutes_are_kept_for_an_hour() -> None:
    """Who comes after an incident sees it; the memory has a bound."""
    history = taken(Worker(), 2 * 3600, per_s=5)

    assert (len(history.seconds), len(history.minutes)) == (SECONDS, MINUTES)
    assert {point["answered"] for point in history.seconds} == {5.0}
    assert {point["answered"] for point in history.minutes} == {5.0}
    assert history.seconds[-1]["lag"] == 107
    times = [point["at"] or 0 for point in history.minutes]
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {60.0}


@pytest.mark.parametrize(
    ("lags", "flows", "failing"),
    [([3, None], 0, ""), ([], None, ""), *(([], 0, name) for name in CHECKS)],
    ids=["an-end", "an-end-of-a-flow", "no-assignment", "tables", "stopping"],
)
def test_lag_that_is_not_known_is_not_0(
    lags: list[int | None], flows: int | None, failing: str
) -> None:
    """A worker without an assignment, or that reads its tables or stops, knows of none."""
    worker = Worker()
    worker.lags, worker.flows_lag = lags, flows
    worker.checks = {name: name != failing for name in worker.checks}

    history = taken(worker, 1)

    assert history.seconds[-1]["lag"] is None


def test_calls_that_wait_are_told_while_they_do() -> None:
    """Not when their wait is over: a limit that holds all of them would show nothing until then."""
    worker = Worker()
    worker.waiting = 4

    history = taken(worker, 61)

    assert history.seconds[0]["waited"] == 5
    assert history.minutes[0]["waited"] == 5
