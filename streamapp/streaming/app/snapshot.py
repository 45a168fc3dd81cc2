"""The state of this worker as the dashboard shows it: numbers now, read from memory alone."""

import socket
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any

from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted
from faust.types import TP

from streamapp.llm.durable.progress import RecordsInProgress
from streamapp.settings import Settings
from streamapp.streaming.app.health import AppHealth
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.delivery.outcomes import OutcomeRecorder
from streamapp.telemetry.metrics import Metrics

#: Records of several steps in a snapshot.
SHOWN_RECORDS = 20

#: What a snapshot calls the metrics that it holds.
SERIES = {
    "streamapp_records_total": "records",
    "streamapp_dead_letters_total": "dead_letters",
    "streamapp_provider_calls_total": "calls",
    "streamapp_tokens_total": "tokens",
    "streamapp_cost_usd_total": "cost_usd",
    "streamapp_key_tokens_total": "key_tokens",
    "streamapp_key_cost_usd_total": "key_cost_usd",
    "streamapp_cache_lookups_total": "cache",
    "streamapp_rate_limit_wait_seconds_sum": "rate_limit_wait_s",
    "streamapp_rate_limit_waiting": "rate_limit_waiting",
    "streamapp_retries_total": "retries",
    "streamapp_breaker_state": "breakers",
}
#: Of these some stand at 0 from the start, for Prometheus alone.
EXPECTED = {
    "streamapp_records_total",
    "streamapp_dead_letters_total",
    "streamapp_provider_calls_total",
}


class WorkerSnapshots:
    """Takes snapshots of one worker.

    Args:
        types: The record types that it knows.
        open_targets: Targets whose breaker is open, as ``provider/model``.
        records: Those that run; none are shown where None.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        app: StreamApp,
        *,
        settings: Settings,
        metrics: Metrics,
        outcomes: OutcomeRecorder,
        health: AppHealth,
        types: Sequence[str],
        open_targets: Callable[[], Sequence[str]] = tuple,
        records: RecordsInProgress | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records or RecordsInProgress()
        self._app = app
        self._metrics = metrics
        self._outcomes = outcomes
        self._health = health
        self._types = types
        self._open_targets = open_targets
        self._requests = settings.topic("requests")
        self._settings = settings
        self._clock = clock
        self._started_at = clock()
        metrics.watch("in_flight", "Records running.", lambda: app.window.in_flight)
        metrics.watch("pending", "Records taken and waiting.", lambda: app.window.pending)
        metrics.watch(
            "oldest_uncommitted_seconds",
            "Since the oldest record was taken that is not finished, or not committed.",
            lambda: app.oldest_uncommitted_s,
        )

    @cached_property
    def _url(self) -> str:
        # Not known before the command line has been read.
        return str(self._app.conf.canonical_url)

    @cached_property
    def _static(self) -> dict[str, Any]:
        return {
            "url": self._url,
            "host": socket.gethostname(),
            "version": version("streamapp"),
            "app_id": self._settings.app_id,
            "max_in_flight": self._settings.max_in_flight,
            "types": list(self._types),
        }

    def own_url(self) -> str:
        """Return this worker's web address; not known before the command line has been read."""
        return self._url

    def now(self) -> dict[str, Any]:
        """Return the numbers now; counters count from the worker's start."""
        app, metrics = self._app, self._metrics
        readiness = self._health.readiness()
        p50, p95, p99 = metrics.percentiles()
        return {
            **self._static,
            "uptime_s": round(self._clock() - self._started_at, 1),
            "ready": not any(check.is_in_the_way for check in readiness.values()),
            "checks": {name: [c.ok, c.detail] for name, c in readiness.items()},
            "degraded": list(self._health.degraded()),
            "draining": app.is_draining,
            "in_flight": app.window.in_flight,
            "pending": app.window.pending,
            "oldest_uncommitted_s": round(app.oldest_uncommitted_s, 2),
            "ledger": {
                "ids": sum(map(len, app.ledgers)),
                "bytes": sum(ledger.size_bytes for ledger in app.ledgers),
            },
            "latency_s": {"p50": p50, "p95": p95, "p99": p99},
            **self._series(),
            "flow_cost_usd_day": {
                flow: format(usd, "f") for flow, usd in self._outcomes.costs.day().items()
            },
            "flow_unpriced_day": self._outcomes.costs.unpriced_day(),
            "open_breakers": list(self._open_targets()),
            "agents": self._records.of_several_steps(SHOWN_RECORDS),
            "partitions": self._partitions(),
            "flows_lag": self._flows_lag(),
        }

    def workers(self) -> dict[str, list[int]]:
        """Return the partitions of the requests of each of the group's workers, by address.

        This one is the first of them, also while it is no member.
        """
        return self._app.addresses.partitions(self._requests)

    def members(self, url: str) -> int:
        """Return how many workers have an address."""
        return self._app.addresses.members(url)

    def tail(self, after: int) -> tuple[int, list[dict[str, Any]]]:
        """Return the last number, and the kept outcomes after a number, oldest first."""
        kept = self._outcomes.tail
        last = kept[-1].number if kept else 0
        return last, [outcome.fields for outcome in kept if outcome.number > after]

    def _series(self) -> dict[str, list[list[Any]]]:
        """Return label values and value of each series that counted something, by what it is."""
        found: dict[str, list[list[Any]]] = {name: [] for name in SERIES.values()}
        for sample in self._metrics.samples(SERIES):
            if sample.value or sample.name not in EXPECTED:
                found[SERIES[sample.name]].append([list(sample.labels.values()), sample.value])
        return found

    def _partitions(self) -> list[dict[str, Any]]:
        """Return each of this worker's partitions of the requests with its lag, if known."""
        found = []
        for tp, partition in sorted(self._app.window.partitions.items()):
            if tp.topic != self._requests:
                continue
            taken = len(partition)
            found.append({"partition": tp.partition, "lag": self._lag(tp), "taken": taken})
        return found

    def _flows_lag(self) -> int | None:
        """Return the lag of this worker's partitions of the flows' inputs, if all are known."""
        own = [tp for tp in self._app.window.partitions if tp.topic != self._requests]
        known = [lag for lag in map(self._lag, own) if lag is not None]
        return sum(known) if len(known) == len(own) else None

    def _lag(self, tp: TP) -> int | None:
        try:
            end = self._app.consumer.highwater(tp)
        except (KafkaError, ConsumerNotStarted):
            return None
        return None if end is None else max(end - (self._app.committed(tp) or 0), 0)
