"""Faust's own metrics, by the names of its Prometheus sensor, at a tenth of that one's CPU.

Faust 0.15.3's sensor looks labels up six times per record, and some of what it then says is not
so: latencies of rebalances and requests are measured from their end, and events that are acked
later, as ours are, stay active for ever. Here plain numbers are kept and read when somebody
looks. What Faust cannot know is left out: tables and sends that go past its sensors.
"""

from collections.abc import Iterable
from http import HTTPStatus
from time import monotonic
from typing import Any

import faust
from faust.sensors.monitor import Monitor
from faust.types import TP
from faust.types.tuples import Message
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

#: Milliseconds, as in Faust's sensor.
BUCKETS_MS = (5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)


class FaustMonitor(Monitor):
    """Faust's monitor without what a record does not need."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._commit = _histogram(registry, "consumer_commit_latency", "Commits, ms.")
        self._assign = _histogram(registry, "assign_latency", "Assignments by the leader, ms.")
        self._replied = _histogram(
            registry, "rebalance_done_consumer_latency", "From revoke to assignment, ms."
        )
        self._rebalance = _histogram(
            registry, "rebalance_done_latency", "Rebalances, recovery included, ms."
        )
        self._http = _histogram(registry, "http_latency", "Requests over HTTP, ms.")

    # -- per record

    def on_message_in(self, tp: TP, offset: int, message: Message) -> None:
        """A record came to the stream."""
        self.messages_received_by_topic[tp.topic] += 1
        self.tp_read_offsets[tp] = offset
        message.time_in = monotonic()

    def on_stream_event_in(self, tp: TP, offset: int, stream: Any, event: Any) -> None:
        """A record goes to the agent; Faust asks for the time when it looks for a stall."""
        self.events_total += 1
        self.stream_inbound_time[tp] = monotonic()

    # -- seldom

    def on_commit_completed(self, consumer: Any, state: Any) -> None:
        """Offsets were committed."""
        super().on_commit_completed(consumer, state)
        self._commit.observe(self.commit_latency[-1] * 1000)

    def on_assignment_completed(self, assignor: Any, state: Any) -> None:
        """This worker leads the group, and gave partitions out."""
        super().on_assignment_completed(assignor, state)
        self._assign.observe(self.assignment_latency[-1] * 1000)

    def on_rebalance_return(self, app: Any, state: Any) -> None:
        """This worker has its partitions."""
        super().on_rebalance_return(app, state)
        self._replied.observe(self.rebalance_return_latency[-1] * 1000)

    def on_rebalance_end(self, app: Any, state: Any) -> None:
        """The tables are recovered."""
        committed = dict(self.tp_committed_offsets)  # read since the rebalance began
        super().on_rebalance_end(app, state)
        self.tp_committed_offsets.update(committed)  # Faust forgets them until the next commit
        self._rebalance.observe(self.rebalance_end_latency[-1] * 1000)

    def answered(self, status: int, duration_s: float) -> None:
        """Count an answer over HTTP; the sensor's own hook, which sees fewer, counts none."""
        self.http_response_codes[HTTPStatus(status)] += 1
        self._http.observe(duration_s * 1000)

    def on_web_request_end(self, *_: Any, **__: Any) -> None:
        """Leave it to `answered`."""


class FaustCollector(Collector):
    """Reads the monitor of an app at each scrape."""

    def __init__(self, app: faust.App, monitor: Monitor) -> None:
        self._app = app
        self._monitor = monitor

    def describe(self) -> Iterable[Metric]:
        """Yield one of its metrics: what reads others by their names passes it by."""
        yield CounterMetricFamily("faust_messages_received", "Records received.")

    def collect(self) -> Iterable[Metric]:
        """Yield what Faust counts now."""
        monitor = self._monitor
        by_topic = dict(monitor.messages_received_by_topic)
        yield CounterMetricFamily(
            "faust_messages_received", "Records received.", sum(by_topic.values())
        )
        received = CounterMetricFamily(
            "faust_messages_received_per_topic", "Records received.", labels=["topic"]
        )
        for topic, count in by_topic.items():
            received.add_metric([topic], count)
        yield received
        yield CounterMetricFamily("faust_total_events", "Events of streams.", monitor.events_total)
        yield GaugeMetricFamily(
            "faust_total_rebalances", "Rebalances.", self._app.rebalancing_count
        )
        yield GaugeMetricFamily(
            "faust_total_rebalances_recovering",
            "Whether tables are recovered now.",
            int(self._app.in_recovery),
        )
        done = CounterMetricFamily(
            "faust_assignment_operations", "Assignments by the leader.", labels=["operation"]
        )
        done.add_metric(["completed"], monitor.assignments_completed)
        done.add_metric(["error"], monitor.assignments_failed)
        yield done
        codes = CounterMetricFamily(
            "faust_http_status_codes", "Answers over HTTP.", labels=["status_code"]
        )
        for code, count in monitor.http_response_codes.items():
            codes.add_metric([str(int(code))], count)
        yield codes
        yield _offsets(
            "messages_received_per_topics_partition", "Last offset read.", monitor.tp_read_offsets
        )
        yield _offsets("topic_partition_end_offset", "End of the log.", monitor.tp_end_offsets)
        yield _offsets(
            "topic_partition_offset_commited", "Committed offset.", monitor.tp_committed_offsets
        )


def watch_faust(app: faust.App, monitor: FaustMonitor, registry: CollectorRegistry) -> None:
    """Put Faust's metrics into the registry; called before anything is defined on ``app``."""
    app.monitor = monitor
    # Around its sensors Faust builds a dictionary per record: with one of them there is no need.
    app.sensors.on_message_in = monitor.on_message_in  # type: ignore[method-assign]
    app.sensors.on_stream_event_in = monitor.on_stream_event_in  # type: ignore[method-assign]
    registry.register(FaustCollector(app, monitor))


def _histogram(registry: CollectorRegistry, name: str, text: str) -> Histogram:
    return Histogram(f"faust_{name}", text, registry=registry, buckets=BUCKETS_MS)


def _offsets(name: str, text: str, offsets: Any) -> Metric:
    family = GaugeMetricFamily(f"faust_{name}", text, labels=["topic", "partition"])
    for tp, offset in offsets.items():
        if offset is not None:
            family.add_metric([tp.topic, str(tp.partition)], offset)
    return family
