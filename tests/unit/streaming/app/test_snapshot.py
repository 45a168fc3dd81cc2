"""What the dashboard is told: every number that it draws is really counted."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from streamapp.settings import Settings
from streamapp.streaming.addresses import GroupAddresses
from streamapp.streaming.app.snapshot import WorkerSnapshots
from streamapp.streaming.delivery.outcomes import OutcomeRecorder
from streamapp.telemetry.metrics import Metrics
from tests.fakes import FakeClock

OWN, OTHER = "http://here:6066/", "http://there:6066/"


class Ledger:
    """One of two ids."""

    size_bytes = 300

    def __len__(self) -> int:
        return 2


class Healthy:
    """Nothing is wrong."""

    def liveness(self) -> dict[str, Any]:
        return {}

    readiness = liveness

    def degraded(self) -> list[str]:
        return []


@pytest.fixture
def metrics() -> Metrics:
    """Counts of nothing yet."""
    return Metrics()


@pytest.fixture
def app() -> Any:
    """A worker of a group of two, as far as a snapshot looks at it."""
    topics = {"llm.requests": [1, 0], "llm.usage": [7]}
    return SimpleNamespace(
        conf=SimpleNamespace(canonical_url=OWN),
        window=SimpleNamespace(in_flight=3, pending=1, partitions={}),
        ledgers=[Ledger(), Ledger()],
        addresses=GroupAddresses(lambda: {OTHER: topics, OWN: {}}, lambda: OWN, patience_s=20),
        is_draining=False,
        oldest_uncommitted_s=0.0,
    )


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves by hand."""
    return FakeClock()


@pytest.fixture
def snapshots(app: Any, metrics: Metrics, clock: FakeClock) -> WorkerSnapshots:
    """The snapshots of that worker."""
    return WorkerSnapshots(
        app,
        settings=Settings(_env_file=None),
        metrics=metrics,
        outcomes=OutcomeRecorder(metrics),
        health=cast(Any, Healthy()),
        types=("chat", "ticket"),
        clock=clock,
    )


def test_types_of_the_worker_are_told(snapshots: WorkerSnapshots) -> None:
    """`streamapp check` compares them with those of the others."""
    assert snapshots.now()["types"] == ["chat", "ticket"]


def test_each_series_is_fed(snapshots: WorkerSnapshots, metrics: Metrics) -> None:
    """Whatever is counted arrives under the name that the page draws it by, with its labels.

    What has not been counted yet is for Prometheus alone: a page would list each kind with a 0.
    """
    metrics.expect_records("requests", ["chat", "embed"])
    metrics.expect_calls("p", "m")
    metrics.answered(type="chat", duration_s=1)
    metrics.dead_lettered(type="chat", kind="expired")
    metrics.called("p", "m", "ok", 0.1)
    metrics.spent("p", "m", input_tokens=1, output_tokens=2, usd=0.5)
    metrics.spent_by_key("shop", input_tokens=1, output_tokens=2, usd=0.5)
    metrics.looked_up("memory", hit=True)
    metrics.waited("p", 2.0)
    metrics.retried("p", "timeout")
    metrics.watch_each("rate_limit_waiting", "Now.", label="provider", read=lambda: {"p": 3})
    metrics.watch_each("breaker_state", "State.", label="provider", read=lambda: {"p": 1})

    now = snapshots.now()

    assert now["records"] == [
        [["chat", "answered", "requests"], 1],
        [["chat", "dead_letter", "requests"], 1],
    ]
    assert now["dead_letters"] == [[["expired", "requests"], 1]]
    assert now["calls"] == [[["p", "m", "ok"], 1]]
    assert now["tokens"] == [[["p", "m", "input"], 1], [["p", "m", "output"], 2]]
    assert now["cost_usd"] == [[["p", "m"], 0.5]]
    assert now["key_tokens"] == [[["shop", "input"], 1], [["shop", "output"], 2]]
    assert now["key_cost_usd"] == [[["shop"], 0.5]]
    assert now["cache"] == [[["memory", "hit"], 1]]
    assert now["rate_limit_wait_s"] == [[["p"], 2.0]]
    assert now["rate_limit_waiting"] == [[["p"], 3]]
    assert now["retries"] == [[["p", "timeout"], 1]]
    assert now["breakers"] == [[["p"], 1]]


@pytest.mark.parametrize(("end", "told"), [(9, 4), (None, None)], ids=["known", "unknown"])
def test_lag_of_flows_is_told(
    snapshots: WorkerSnapshots, app: Any, end: int | None, told: int | None
) -> None:
    """Who runs flows alone has no requests, of whose partitions the lag is always 0."""
    ends = {TP("llm.requests", 0): 7, TP("shop.reviews", 0): 8, TP("shop.reviews", 1): end}
    app.window.partitions = {tp: [] for tp in ends}
    app.consumer = SimpleNamespace(highwater=ends.get)
    app.committed = {TP("shop.reviews", 0): 6, TP("shop.reviews", 1): 7}.get

    now = snapshots.now()

    assert now["partitions"] == [{"partition": 0, "lag": 7, "taken": 0}]
    assert now["flows_lag"] == told


def test_workers_are_told_with_their_requests_partitions(snapshots: WorkerSnapshots) -> None:
    """This worker is the first, whether or not it has any."""
    assert list(snapshots.workers().items()) == [(OWN, []), (OTHER, [0, 1])]


def test_ledgers_of_all_flows_are_told_as_one(snapshots: WorkerSnapshots) -> None:
    """Each flow has one; people ask what the worker remembers."""
    assert snapshots.now()["ledger"] == {"ids": 4, "bytes": 600}


def test_uptime_counts_from_the_start(snapshots: WorkerSnapshots, clock: FakeClock) -> None:
    """A worker that was restarted shows by it."""
    clock.advance(90)

    assert snapshots.now()["uptime_s"] == 90
