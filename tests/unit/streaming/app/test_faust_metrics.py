"""Faust's own metrics in our registry."""

from collections.abc import Callable
from typing import Any

import faust
import pytest
from faust.types import TP
from prometheus_client import CollectorRegistry, generate_latest

from streamapp.streaming.app.faust_metrics import FaustMonitor, watch_faust

REQUESTS = TP("llm.requests", 3)
COMMITTED = "faust_topic_partition_offset_commited"


class Message:
    """What a sensor touches of Faust's."""

    time_in: float | None = None


class Stream:
    task_owner = None


@pytest.fixture
def app() -> faust.App:
    """An app that was not started."""
    return faust.App("metrics-test", broker="kafka://127.0.0.1:1", env={})


@pytest.fixture
def registry() -> CollectorRegistry:
    """An empty one."""
    return CollectorRegistry()


@pytest.fixture
def monitor(registry: CollectorRegistry) -> FaustMonitor:
    """Faust's monitor, which has seen nothing."""
    return FaustMonitor(registry)


@pytest.fixture
def scrape(app: faust.App, monitor: FaustMonitor, registry: CollectorRegistry) -> Callable[[], str]:
    """Return the text of a scrape."""
    watch_faust(app, monitor, registry)
    return lambda: generate_latest(registry).decode()


def take(app: faust.App, offset: int) -> Message:
    """Let a record pass the sensors as a stream does."""
    message: Any = Message()
    app.sensors.on_message_in(REQUESTS, offset, message)
    app.sensors.on_stream_event_in(REQUESTS, offset, Stream(), message)  # type: ignore[arg-type]
    return message


def test_records_are_counted_under_fausts_names(app: faust.App, scrape: Callable[[], str]) -> None:
    """Dashboards for Faust find what flows, per topic and partition."""
    for offset in (7, 8):
        take(app, offset)
    app.monitor.track_tp_end_offset(REQUESTS, 20)
    app.monitor.on_tp_commit({REQUESTS: 8})

    text = scrape()

    place = '{partition="3",topic="llm.requests"}'
    assert "faust_messages_received_total 2.0" in text
    assert 'faust_messages_received_per_topic_total{topic="llm.requests"} 2.0' in text
    assert "faust_total_events_total 2.0" in text
    assert f"faust_messages_received_per_topics_partition{place} 8.0" in text
    assert f"faust_topic_partition_end_offset{place} 20.0" in text
    assert f"faust_topic_partition_offset_commited{place} 8.0" in text


def test_committed_offset_is_told_before_the_next_commit(
    app: faust.App, scrape: Callable[[], str]
) -> None:
    """In an outage there is none: whoever restarts workers then would see no lag at all."""
    other = TP("llm.requests", 4)
    app.monitor.on_tp_commit({other: 5})
    state = app.monitor.on_rebalance_start(app)
    app.monitor.on_tp_commit({REQUESTS: 8})
    app.monitor.on_rebalance_return(app, state)

    app.monitor.on_rebalance_end(app, state)

    shown = [line for line in scrape().splitlines() if line.startswith(COMMITTED)]
    assert shown == [COMMITTED + '{partition="3",topic="llm.requests"} 8.0']


def test_the_time_of_a_record_is_noted(app: faust.App, scrape: Callable[[], str]) -> None:
    """Faust looks for stalled streams by it, and traces begin with it."""
    message = take(app, 7)

    assert message.time_in is not None
    assert app.monitor.stream_inbound_time[REQUESTS] >= message.time_in


def test_rebalances_are_timed_from_their_start(app: faust.App, scrape: Callable[[], str]) -> None:
    """A rebalance of 3 s is in the bucket of 5 s, and leaves no offsets of others behind."""
    seconds = iter([100.0, 101.0, 103.0])
    app.monitor.time = lambda: next(seconds)
    app.monitor.track_tp_end_offset(REQUESTS, 20)

    state = app.monitor.on_rebalance_start(app)
    app.monitor.on_rebalance_return(app, state)
    app.monitor.on_rebalance_end(app, state)

    text = scrape()
    assert 'faust_rebalance_done_consumer_latency_bucket{le="1000.0"} 1.0' in text
    assert 'faust_rebalance_done_latency_bucket{le="2500.0"} 0.0' in text
    assert 'faust_rebalance_done_latency_bucket{le="5000.0"} 1.0' in text
    assert "end_offset{" not in text


def test_nothing_untrue_is_exported(scrape: Callable[[], str]) -> None:
    """What goes past Faust's sensors has no series that would stand at 0."""
    text = scrape()

    assert "topic_messages_sent" not in text
    assert "active" not in text
    assert "table_operations" not in text


def test_answers_over_http_are_counted_once(
    app: faust.App, monitor: FaustMonitor, scrape: Callable[[], str]
) -> None:
    """By whoever sees each of them; Faust's own hook takes what a view raises for a 500."""
    request: Any = None
    app.sensors.on_web_request_end(
        app, request, None, app.sensors.on_web_request_start(app, request)
    )
    monitor.answered(403, 0.2)

    text = scrape()

    assert 'faust_http_status_codes_total{status_code="403"} 1.0' in text
    assert "faust_http_latency_sum 200.0" in text
    assert 'status_code="500"' not in text
