"""What the probes say of a worker, and what a rebalance excuses."""

import asyncio
from collections.abc import Callable
from math import inf
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streamapp.streaming.app.health import (
    COMMIT_AGE_S,
    LOOP_LAG_S,
    REBALANCE_S,
    AppHealth,
    Check,
    last_heartbeat,
)
from streamapp.telemetry.outage import BROKER_SILENCE_S


@pytest.mark.parametrize(
    ("age_s", "told"),
    [(1.26, "last heartbeat 1.3 s ago"), (inf, "no heartbeat since the join")],
    ids=["some", "none"],
)
def test_heartbeat_is_told_by_its_age(age_s: float, told: str) -> None:
    """A worker that has left, or has just joined, has none, and no infinite age."""
    assert last_heartbeat(age_s) == told


class Worker:
    """An app in a group, as far as its health is asked for; ``clock`` counts its seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.refusals: list[str] = []
        self.app = SimpleNamespace(
            rebalancing=False,
            rebalancing_count=0,
            in_recovery=False,
            is_draining=False,
            commit_age_s=0.0,
            ledgers=(),
            held=SimpleNamespace(gone=list),
            tables=SimpleNamespace(recovery=SimpleNamespace(completed=asyncio.Event())),
            watchdog=SimpleNamespace(broker_silence_s=0.0, has_seen_broker=True, loop_lag_s=0.0),
            blocking=SimpleNamespace(last=str),
            membership=SimpleNamespace(is_current=True, age_s=0.5, refusal=""),
            window=SimpleNamespace(is_open=False, in_flight=0, oldest_age_s=0.0),
        )
        self.health = AppHealth(
            cast(Any, self.app),
            refused=lambda: self.refusals,
            impaired=lambda: ["a/b"],
            untried=lambda: ["c/d: failed 61 s ago, not asked since"],
            clock=lambda: self.now,
        )

    def take_part(self) -> None:
        """Have a rebalance end: the tables are read, and records taken."""
        self.app.tables.recovery.completed.set()
        self.app.rebalancing, self.app.in_recovery, self.app.window.is_open = False, False, True
        self.app.rebalancing_count += 1
        assert self.health.is_settled

    def rebalance(self) -> None:
        """Have the group take the partitions away."""
        self.app.rebalancing, self.app.in_recovery, self.app.window.is_open = True, True, False


@pytest.fixture
def worker() -> Worker:
    """One that has just started."""
    return Worker()


def test_worker_that_never_took_part_answers_nothing(worker: Worker) -> None:
    """A start is no rebalance: prompts and sums are not there yet."""
    worker.rebalance()

    assert not worker.health.is_ready
    assert list(worker.health.degraded()) == ["a/b"]


def test_worker_goes_on_with_http_in_a_rebalance(worker: Worker) -> None:
    """It needs no partitions; what fails meanwhile is told as it is, and for how long."""
    worker.take_part()
    worker.rebalance()
    worker.now = 6.0

    checks = worker.health.readiness()
    assert worker.health.is_ready
    assert not worker.health.is_settled
    assert {name for name, check in checks.items() if not check.ok} == {
        "assigned",
        "recovered",
        "taking",
    }
    assert worker.health.degraded()[0] == "rebalance: no records for 6.0 s, HTTP is answered"


def test_rebalance_without_an_end_makes_the_worker_unready(worker: Worker) -> None:
    """What it knows of prompts and of others' spending grows too old."""
    worker.take_part()
    worker.rebalance()
    worker.now = REBALANCE_S

    assert not worker.health.is_ready

    worker.take_part()
    assert worker.health.is_ready


@pytest.mark.parametrize(
    "lose",
    [
        lambda worker: setattr(worker.app.watchdog, "broker_silence_s", 60.0),
        lambda worker: setattr(worker.app.watchdog, "loop_lag_s", 60.0),
        lambda worker: setattr(worker.app.membership, "refusal", "a right is missing"),
        lambda worker: setattr(worker.app, "is_draining", True),
        lambda worker: setattr(worker.app, "held", SimpleNamespace(gone=lambda: ["t: is gone"])),
        lambda worker: worker.refusals.append("llm.usage takes nothing"),
    ],
    ids=["broker", "loop", "refused", "stopping", "gone", "delivering"],
)
def test_rebalance_excuses_nothing_else(worker: Worker, lose: Callable[[Worker], object]) -> None:
    """A worker without Kafka, or one that stops, sends callers elsewhere as ever."""
    worker.take_part()
    worker.rebalance()
    lose(worker)

    assert not worker.health.is_ready


def test_worker_without_heartbeats_is_not_in_a_rebalance(worker: Worker) -> None:
    """It believes that it has partitions; the group may have given them to others."""
    worker.take_part()
    worker.app.membership.is_current = False

    assert not worker.health.is_ready


def test_time_without_heartbeats_counts_as_rebalance(worker: Worker) -> None:
    """Who was cut off for long, and only then hears of it, knows as little as the others."""
    worker.take_part()
    worker.app.membership.is_current = False
    worker.now = REBALANCE_S
    worker.health.readiness()
    worker.rebalance()

    assert not worker.health.is_ready


def test_target_that_is_untried_is_told_and_degrades_nothing(worker: Worker) -> None:
    """Nobody knows whether it is back."""
    worker.take_part()

    assert worker.health.readiness()["targets"] == Check(
        True, "c/d: failed 61 s ago, not asked since"
    )
    assert list(worker.health.degraded()) == ["a/b"]


CAUSES: dict[str, tuple[Callable[[Any], object], str, str]] = {
    "never assigned": (
        lambda app: setattr(app, "rebalancing_count", 0),
        "assigned",
        "waiting for the group",
    ),
    "in a rebalance": (lambda app: setattr(app, "rebalancing", True), "assigned", "waiting"),
    "cut off": (lambda app: setattr(app.membership, "is_current", False), "member", "0.5 s ago"),
    "in recovery": (lambda app: setattr(app, "in_recovery", True), "recovered", "0 ids"),
    "tables not read": (
        lambda app: setattr(app.tables.recovery, "completed", SimpleNamespace(is_set=bool)),
        "recovered",
        "0 ids",
    ),
    "closed window": (lambda app: setattr(app.window, "is_open", False), "taking", "0 in flight"),
    "input gone": (
        lambda app: setattr(app.held, "gone", lambda: ["topic a is gone"]),
        "taking",
        "topic a is gone",
    ),
    "silent broker": (
        lambda app: setattr(app.watchdog, "broker_silence_s", BROKER_SILENCE_S),
        "broker",
        "answered 6.0 s ago",
    ),
    "no broker yet": (
        lambda app: vars(app.watchdog).update(broker_silence_s=60.0, has_seen_broker=False),
        "broker",
        "none has answered, 60.0 s after the start",
    ),
    "nothing committed": (
        lambda app: setattr(app, "commit_age_s", COMMIT_AGE_S),
        "committing",
        "oldest finished and not committed 30.0 s",
    ),
    "blocked loop": (
        lambda app: setattr(app.watchdog, "loop_lag_s", LOOP_LAG_S),
        "loop",
        "ran 10.0 s ago",
    ),
    "stopping": (lambda app: setattr(app, "is_draining", True), "draining", "stopping"),
}


@pytest.mark.parametrize(("cause", "check", "detail"), CAUSES.values(), ids=CAUSES)
def test_each_cause_fails_its_own_check_alone(
    worker: Worker, cause: Callable[[Any], object], check: str, detail: str
) -> None:
    """An operator reads off the one check what to look at."""
    worker.take_part()
    cause(worker.app)

    failing = {name: one.detail for name, one in worker.health.readiness().items() if not one.ok}

    assert list(failing) == [check]
    assert detail in failing[check]


def test_worker_that_its_group_refuses_says_why(worker: Worker) -> None:
    """No heartbeat is expected of it."""
    worker.app.membership = SimpleNamespace(is_current=False, age_s=inf, refusal="a right")

    checks = worker.health.readiness()

    assert checks["assigned"].detail == "kept out of the group: a right"
    assert checks["member"].ok


def test_worker_that_finds_no_coordinator_says_why(worker: Worker) -> None:
    """It keeps its partitions meanwhile, and hears no answer to its heartbeats."""
    worker.take_part()
    worker.app.membership = SimpleNamespace(is_current=False, age_s=20, refusal="no coordinator")

    checks = worker.health.readiness()

    assert checks["member"].detail == "last heartbeat 20.0 s ago: no coordinator"


def test_topics_that_take_no_record_are_told_with_what_to_change(worker: Worker) -> None:
    """Each of them: the check is one, and the causes can be several."""
    worker.take_part()
    worker.refusals += ["topic a: grant Write", "topic b: full"]

    assert worker.health.readiness()["delivering"] == Check(
        False, "topic a: grant Write; topic b: full"
    )
