"""What a worker counts: one Prometheus registry per app, by the names of the contract.

Labels never hold an id, a key or text.
"""

import time
from collections import Counter as Counts
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

#: Seconds: a cached answer takes milliseconds, a long one minutes.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)

#: Latencies kept for the percentiles of the last minute.
RECENT, RECENT_S = 4_000, 60.0


class Metrics:
    """Counts outcomes and provider calls; the window is read when somebody looks.

    Args:
        clock: Monotonic, seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._since: Counts[str] = Counts()
        self._recent: deque[tuple[float, float]] = deque(maxlen=RECENT)
        self._records = self._counter("records", "Records by their end.", "type", "outcome")
        self._duration = self._histogram("record_duration", "Active time of a record.", "type")
        self._calls = self._counter(
            "provider_calls", "Attempts at providers.", "provider", "model", "outcome"
        )
        self._call_duration = self._histogram(
            "provider_call_duration", "Time of an attempt.", "provider", "model"
        )
        self._tokens = self._counter(
            "tokens", "Tokens that providers counted.", "provider", "model", "direction"
        )
        self._cost = self._counter("cost_usd", "US dollars by known prices.", "provider", "model")
        self._lookups = self._counter("cache_lookups", "Cache look-ups.", "tier", "result")
        self._rate_limit_wait = self._histogram(
            "rate_limit_wait", "Time that calls waited for a limit.", "provider"
        )
        self._retries = self._counter("retries", "Further attempts.", "provider", "reason")
        self._breaker = Gauge(
            "streamapp_breaker_state",
            "0 closed, 1 half open, 2 open.",
            ["provider"],
            registry=self.registry,
        )
        self._dead_letters = self._counter("dead_letters", "Dead letters.", "kind")
        self._gaps = self._counter("offset_gaps", "Gaps seen in a partition's offsets.")

    # -- records

    def answered(self, *, type: str, duration_s: float) -> None:
        """A response was delivered."""
        self._since["answered"] += 1
        self._records.labels(type, "answered").inc()
        self._duration.labels(type).observe(duration_s)
        self._recent.append((self._clock(), duration_s))

    def replayed(self, *, type: str) -> None:
        """A stored outcome was delivered again."""
        self._since["replayed"] += 1
        self._records.labels(type, "replayed").inc()

    def buried(self, *, type: str | None, kind: str) -> None:
        """A dead letter was delivered."""
        self._since["dead_letters"] += 1
        self._records.labels(type or "unknown", "dead_letter").inc()
        self._dead_letters.labels(kind).inc()

    def failed(self, *, type: str) -> None:
        """A record over HTTP ended as an error."""
        self._since["failed"] += 1
        self._records.labels(type, "failed").inc()

    def gap(self, *_: object) -> None:
        """A gap in a partition's offsets was seen."""
        self._since["offset_gaps"] += 1
        self._gaps.inc()

    def take(self) -> dict[str, Any]:
        """Return the counts since the last call, for the log."""
        counts, self._since = dict(self._since), Counts()
        return counts

    # -- providers

    def called(self, provider: str, model: str, outcome: str, duration_s: float) -> None:
        """An attempt ended; ``outcome`` is ``ok`` or the name of what went wrong."""
        self._calls.labels(provider, model, outcome).inc()
        self._call_duration.labels(provider, model).observe(duration_s)

    def spent(
        self, provider: str, model: str, *, input_tokens: int, output_tokens: int, usd: float
    ) -> None:
        """An attempt was billed."""
        self._tokens.labels(provider, model, "input").inc(input_tokens)
        self._tokens.labels(provider, model, "output").inc(output_tokens)
        self._cost.labels(provider, model).inc(usd)

    def looked_up(self, tier: str, *, hit: bool) -> None:
        """A cache was asked."""
        self._lookups.labels(tier, "hit" if hit else "miss").inc()

    def waited(self, provider: str, wait_s: float) -> None:
        """A call waited for a limit."""
        self._rate_limit_wait.labels(provider).observe(wait_s)

    def retried(self, provider: str, reason: str) -> None:
        """A call is tried again."""
        self._retries.labels(provider, reason).inc()

    def breaker(self, provider: str, state: int) -> None:
        """A breaker is closed (0), half open (1) or open (2)."""
        self._breaker.labels(provider).set(state)

    # -- reading

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when somebody looks."""
        Gauge(f"streamapp_{name}", text, registry=self.registry).set_function(read)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def percentiles(self, wanted: Sequence[float] = (0.5, 0.95, 0.99)) -> list[float | None]:
        """Return percentiles of the last minute's active times, seconds; None without any."""
        since = self._clock() - RECENT_S
        recent = sorted(value for at, value in self._recent if at >= since)
        if not recent:
            return [None for _ in wanted]
        return [recent[min(int(share * len(recent)), len(recent) - 1)] for share in wanted]

    def values(self, name: str) -> list[tuple[Mapping[str, str], float]]:
        """Return labels and value of each series of ``streamapp_NAME``."""
        full = f"streamapp_{name}"
        return [
            (sample.labels, sample.value)
            for family in self.registry.collect()
            if full.startswith(family.name)
            for sample in family.samples
            if sample.name == full
        ]

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"streamapp_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        full = f"streamapp_{name}_seconds"
        return Histogram(full, text, labels, buckets=BUCKETS, registry=self.registry)
