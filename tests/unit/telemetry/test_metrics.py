"""What a worker counts."""

import re

import pytest

from streamapp.telemetry.metrics import Metrics
from tests.fakes import FakeClock

#: The contract's names, as Prometheus sees them.
NAMES = (
    "records_total",
    "record_duration_seconds",
    "provider_calls_total",
    "provider_call_duration_seconds",
    "tokens_total",
    "cost_usd_total",
    "cache_lookups_total",
    "rate_limit_wait_seconds",
    "breaker_state",
    "retries_total",
    "dead_letters_total",
    "offset_gaps_total",
    "in_flight",
    "pending",
    "oldest_uncommitted_seconds",
)


@pytest.fixture
def metrics() -> Metrics:
    """A registry of its own."""
    return Metrics(clock=FakeClock())


def test_every_name_of_the_contract_is_there(metrics: Metrics) -> None:
    """Dashboards and alerts find each series under its fixed name."""
    metrics.answered(type="chat", duration_s=0.2)
    metrics.dead_lettered(type=None, kind="expired")
    metrics.gap()
    metrics.called("p", "m", "ok", 0.1)
    metrics.spent("p", "m", input_tokens=1, output_tokens=2, usd=0.5)
    metrics.looked_up("memory", hit=True)
    metrics.waited("p", 0.1)
    metrics.retried("p", "RateLimited")
    metrics.watch_each("breaker_state", "text", label="provider", read=lambda: {"p": 2})
    for name in NAMES[-3:]:
        metrics.watch(name, "text", lambda: 1.0)

    text = metrics.text().decode()

    assert [name for name in NAMES if f"\nstreamapp_{name}" not in f"\n{text}"] == []
    assert (
        'streamapp_records_total{flow="requests",outcome="dead_letter",type="unknown"} 1.0' in text
    )
    assert 'streamapp_breaker_state{provider="p"} 2.0' in text
    assert 'streamapp_tokens_total{direction="output",model="m",provider="p"} 2.0' in text


def test_changed_logs_stand_at_0_before_the_first(metrics: Metrics) -> None:
    """Prometheus takes a first 1 for no increase, and the alert would not come."""
    assert '\nstreamapp_log_changes_total{reason="shorter"} 0.0\n' in metrics.text().decode()


def test_counts_for_the_log_start_again(metrics: Metrics) -> None:
    """Each summary tells what happened since the one before."""
    metrics.answered(type="chat", duration_s=0.2)

    for outcome in ("ok", "RateLimited", "RateLimited"):
        metrics.called("p", "m", outcome, 0.1)

    assert metrics.take() == {"answered": 1, "rate_limited": 2}
    assert metrics.take() == {}


def test_percentiles_are_of_the_last_minute() -> None:
    """What is older does not count; without anything there is no number."""
    clock = FakeClock()
    metrics = Metrics(clock=clock)
    metrics.answered(type="chat", duration_s=99)
    clock.advance(61)
    assert metrics.percentiles() == [None, None, None]

    for hundredth in range(100):
        metrics.answered(type="chat", duration_s=hundredth / 100)

    assert metrics.percentiles() == [0.5, 0.95, 0.99]


def test_two_apps_count_apart() -> None:
    """Nothing is shared by the process."""
    one, other = Metrics(), Metrics()
    one.gap()

    assert one.registry.get_sample_value("streamapp_offset_gaps_total") == 1.0
    assert other.registry.get_sample_value("streamapp_offset_gaps_total") == 0.0


def test_unknown_price_is_no_cost_of_zero() -> None:
    """Who reads the metrics sees that a model costs nothing, or that nobody knows what."""
    metrics = Metrics()
    metrics.spent("free", "m", input_tokens=1, output_tokens=1, usd=0.0)
    metrics.spent("private", "m", input_tokens=1, output_tokens=1, usd=None)

    text = metrics.text().decode()

    assert 'streamapp_cost_usd_total{model="m",provider="free"} 0.0' in text
    assert 'provider="private"} ' in text
    assert not re.search(r"cost_usd_total\{[^}]*private", text)


def test_samples_of_some_names_leave_the_others_unread(metrics: Metrics) -> None:
    """What is looked at each second is a few of them, and some cost more than all those."""
    metrics.answered(type="chat", duration_s=0.2)
    metrics.waited("p", 0.25)
    metrics.watch_each("breaker_state", "text", label="provider", read=lambda: {"p": 2})
    metrics.watch_each("costly", "text", label="x", read=lambda: pytest.fail("was read"))

    names = (
        "streamapp_records_total",
        "streamapp_rate_limit_wait_seconds_sum",
        "streamapp_breaker_state",
    )
    found = {sample.name: sample.value for sample in metrics.samples(names)}

    assert found == dict(zip(names, (1.0, 0.25, 2.0), strict=True))
