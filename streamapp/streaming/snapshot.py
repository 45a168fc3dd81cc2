"""The state of this worker as the dashboard shows it: numbers now, read from memory alone."""

import socket
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, cast

from faust.assignor.partition_assignor import PartitionAssignor
from faust.types import TP

from streamapp.settings import Settings
from streamapp.streaming.lifecycle import StreamApp
from streamapp.streaming.outcomes import Observed
from streamapp.telemetry.metrics import Metrics
from streamapp.web.health import Health


class Snapshots:
    """Takes snapshots of one worker.

    Args:
        open_targets: Targets whose breaker is open, as ``provider/model``.
    """

    def __init__(
        self,
        app: StreamApp,
        *,
        settings: Settings,
        metrics: Metrics,
        outcomes: Observed,
        health: Health,
        open_targets: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._outcomes = outcomes
        self._health = health
        self._open_targets = open_targets
        self._requests = settings.topic("requests")
        self._started_at = time.monotonic()
        metrics.watch("in_flight", "Records running.", lambda: app.window.in_flight)
        metrics.watch("pending", "Records taken and waiting.", lambda: app.window.pending)
        metrics.watch(
            "oldest_uncommitted_seconds",
            "How long finished records have waited for a commit.",
            lambda: app.commit_age_s,
        )

    def static(self) -> dict[str, Any]:
        """Return what does not change while the worker runs."""
        settings = self._settings
        return {
            "version": version("streamapp"),
            "host": socket.gethostname(),
            "app_id": settings.app_id,
            "topics": {name: settings.topic(name) for name in ("requests", "responses")},
            "max_in_flight": settings.max_in_flight,
            "models": {name: route.targets for name, route in settings.models.items()},
            "has_offline": any(p.kind == "offline" for p in settings.providers.values()),
        }

    def now(self) -> dict[str, Any]:
        """Return the numbers now; counters count from the worker's start."""
        app, metrics = self._app, self._metrics
        readiness = self._health.readiness()
        p50, p95, p99 = metrics.percentiles()
        return {
            "uptime_s": round(time.monotonic() - self._started_at, 1),
            "ready": all(check.ok for check in readiness.values()),
            "checks": {name: [c.ok, c.detail] for name, c in readiness.items()},
            "degraded": list(self._health.degraded()),
            "draining": app.is_draining,
            "in_flight": app.window.in_flight,
            "pending": app.window.pending,
            "oldest_uncommitted_s": round(app.commit_age_s, 2),
            "ledger": {"ids": len(app.ledger), "bytes": app.ledger.size_bytes},
            "latency_s": {"p50": p50, "p95": p95, "p99": p99},
            "records": self._series("records_total"),
            "dead_letters": self._series("dead_letters_total"),
            "calls": self._series("provider_calls_total"),
            "tokens": self._series("tokens_total"),
            "cost_usd": self._series("cost_usd_total"),
            "cache": self._series("cache_lookups_total"),
            "rate_limit_wait_s": self._series("rate_limit_wait_seconds_sum"),
            "retries": self._series("retries_total"),
            "open_breakers": list(self._open_targets()),
            "partitions": self._partitions(),
            "workers": self._workers(),
        }

    def tail(self, after: int) -> tuple[int, list[dict[str, Any]]]:
        """Return the kept outcomes after a number, oldest first, and the last number."""
        fresh = [outcome for outcome in self._outcomes.tail if outcome.number > after]
        return (fresh[-1].number if fresh else after), [outcome.fields for outcome in fresh]

    def _series(self, name: str) -> list[list[Any]]:
        return [[list(labels.values()), value] for labels, value in self._metrics.values(name)]

    def _partitions(self) -> list[dict[str, Any]]:
        """Return each of this worker's partitions with its lag, where that is known."""
        found = []
        for tp, lane in sorted(self._app.window.lanes.items()):
            committed = self._app.committed(tp)
            end = self._end(tp)
            behind = committed if committed is not None else 0
            lag = None if end is None else max(end - behind, 0)
            found.append({"partition": tp.partition, "lag": lag, "taken": len(lane)})
        return found

    def _end(self, tp: TP) -> int | None:
        try:
            return self._app.consumer.highwater(tp)
        except (KeyError, AssertionError, AttributeError):
            return None

    def _workers(self) -> list[dict[str, Any]]:
        """Return the group's workers by address, with their partitions of the requests."""
        assignor = cast(PartitionAssignor, self._app.assignor)
        own = str(self._app.conf.canonical_url)
        return [
            {"url": url, "partitions": sorted(topics.get(self._requests, ())), "own": url == own}
            for url, topics in sorted(assignor.external_topic_distribution.items())
        ]
