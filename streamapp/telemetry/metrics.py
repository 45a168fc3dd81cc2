"""The metrics of a worker: one Prometheus registry per app, whose names users' alerts rely on.

Labels never hold an id, a key or text.
"""

import time
from collections import Counter as Counts
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from streamapp.errors import (
    GarbledAnswer,
    ProviderDenied,
    ProviderForbidden,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)
from streamapp.kinds import Kind
from streamapp.settings.flows import REQUESTS
from streamapp.telemetry.series import LabelledCounter, LabelledHistogram

#: Seconds: a cached answer takes milliseconds, a long one minutes.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)

#: Latencies kept for the percentiles of the last minute.
RECENT, RECENT_S = 4_000, 60.0

#: What an outage of a provider makes of its attempts, and what a wrong setting does.
FAILURES = (
    GarbledAnswer,
    ProviderDenied,
    ProviderForbidden,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)


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
        self._records = self._counter("records", "Records by their end.", "type", "outcome", "flow")
        self._duration = self._histogram(
            "record_duration", "Active time of a record; waits do not count.", "type", "flow"
        )
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
        self._key_cost = self._counter("key_cost_usd", "US dollars of a named HTTP key.", "key")
        self._key_tokens = self._counter(
            "key_tokens", "Tokens of a named HTTP key.", "key", "direction"
        )
        self._lookups = self._counter("cache_lookups", "Cache look-ups.", "tier", "result")
        self._rate_limit_wait = self._histogram(
            "rate_limit_wait", "Time that calls waited for a limit.", "provider"
        )
        self._retries = self._counter("retries", "Further attempts.", "provider", "reason")
        self._dead_letters = self._counter("dead_letters", "Dead letters.", "kind", "flow")
        self._log_changes = self._counter(
            "log_changes", "Partitions begun anew, since their log changed.", "reason"
        )
        for reason in ("made_anew", "shorter", "start_passed"):
            self._log_changes.add((reason,), 0)  # as `expect_records` does
        self._steps = self._counter("steps", "Steps of records by their end.", "kind", "outcome")
        self._tools = self._counter("tool_calls", "Calls of tools by models.", "tool", "outcome")
        self._tools_missing = self._counter(
            "tools_missing", "Records answered without a tool: no MCP server had it.", "tool"
        )
        self._tool_duration = self._histogram("tool_call_duration", "Time of a tool.", "tool")
        self._tools_wait = self._histogram(
            "tools_wait", "Time that records waited for an MCP server's first connection.", "server"
        )
        self._steps_diverged = Counter(
            "streamapp_steps_diverged",
            "Redelivered records that asked something else than before.",
            registry=self.registry,
        )
        self._registry_errors = Counter(
            "streamapp_schema_registry_errors",
            "Questions that the schema registry did not answer.",
            registry=self.registry,
        )
        self._gaps = Counter(
            "streamapp_offset_gaps", "Gaps seen in a partition's offsets.", registry=self.registry
        )

    # -- what is known to come: Prometheus takes a first number for no increase, unless it is 0

    def expect_records(self, flow: str, types: Iterable[str]) -> None:
        """Show how the records of a flow may end, before the first of them does."""
        lost = ("dead_letter", "failed") if flow == REQUESTS else ("dead_letter",)
        for type in types:
            for outcome in ("answered", "replayed", *lost):
                self._records.add((type, outcome, flow), 0)
        for outcome in lost:
            self._records.add(("unknown", outcome, flow), 0)
        for kind in Kind:
            self._dead_letters.add((kind.value, flow), 0)

    def expect_calls(self, provider: str, model: str) -> None:
        """Show how the attempts at a target may end that make an alert."""
        for outcome in ("ok", *(error.__name__ for error in FAILURES)):
            self._calls.add((provider, model, outcome), 0)

    # -- records

    def answered(self, *, type: str, duration_s: float, flow: str = REQUESTS) -> None:
        """A response was delivered."""
        self._since["answered"] += 1
        self._records.add((type, "answered", flow))
        self._duration.observe((type, flow), duration_s)
        self._recent.append((self._clock(), duration_s))

    def skipped(self, *, flow: str) -> None:
        """A flow had nothing to ask for a record."""
        self._since["skipped"] += 1
        self._records.add(("none", "skipped", flow))

    def replayed(self, *, type: str, flow: str = REQUESTS) -> None:
        """A stored outcome was delivered again."""
        self._since["replayed"] += 1
        self._records.add((type, "replayed", flow))

    def dead_lettered(self, *, type: str | None, kind: str, flow: str = REQUESTS) -> None:
        """A dead letter was delivered."""
        self._since["dead_letters"] += 1
        self._records.add((type or "unknown", "dead_letter", flow))
        self._dead_letters.add((kind, flow))

    def failed(self, *, type: str | None) -> None:
        """A record over HTTP ended as an error, or its request before it was read as one."""
        self._since["failed"] += 1
        self._records.add((type or "unknown", "failed", REQUESTS))

    def stepped(self, kind: str, outcome: str) -> None:
        """A step of a record is ``done``, ``replayed`` or ``failed``."""
        self._steps.add((kind, outcome))

    def tool_called(self, tool: str, outcome: str, duration_s: float) -> None:
        """A tool was called; ``outcome`` is ``ok`` or what the model was told in its place."""
        self._tools.add((tool, outcome))
        self._tool_duration.observe((tool,), duration_s)

    def server_awaited(self, server: str, wait_s: float) -> None:
        """A record waited for an MCP server that was not reached before."""
        self._tools_wait.observe((server,), wait_s)

    def tool_missed(self, tool: str) -> None:
        """A record was answered without a tool of that name or pattern."""
        self._tools_missing.add((tool,))

    def diverged(self) -> None:
        """A redelivered record asked something else than before."""
        self._steps_diverged.inc()

    def registry_failed(self) -> None:
        """The schema registry did not answer."""
        self._registry_errors.inc()

    def gap(self, *_: object) -> None:
        """A gap in a partition's offsets was seen."""
        self._since["offset_gaps"] += 1
        self._gaps.inc()

    def log_changed(self, reason: str) -> None:
        """A partition's log does not hold what was committed: it is begun anew."""
        self._log_changes.add((reason,))

    def take(self) -> dict[str, Any]:
        """Return the counts since the last call, for the log."""
        counts, self._since = dict(self._since), Counts()
        return counts

    # -- providers

    def called(self, provider: str, model: str, outcome: str, duration_s: float) -> None:
        """An attempt ended; ``outcome`` is ``ok`` or the name of what went wrong."""
        self._calls.add((provider, model, outcome))
        if outcome == RateLimited.__name__:  # what slows records down and fails none
            self._since["rate_limited"] += 1
        self._call_duration.observe((provider, model), duration_s)

    def spent(
        self, provider: str, model: str, *, input_tokens: int, output_tokens: int, usd: float | None
    ) -> None:
        """An attempt was billed; a model whose price is unknown (None) has no costs at all."""
        self._tokens.add((provider, model, "input"), input_tokens)
        self._tokens.add((provider, model, "output"), output_tokens)
        if usd is not None:
            self._cost.add((provider, model), usd)

    def spent_by_key(self, key: str, *, input_tokens: int, output_tokens: int, usd: float) -> None:
        """An attempt for a named key was billed; the names are those of the settings."""
        self._key_tokens.add((key, "input"), input_tokens)
        self._key_tokens.add((key, "output"), output_tokens)
        self._key_cost.add((key,), usd)

    def looked_up(self, tier: str, *, hit: bool) -> None:
        """A cache was asked."""
        self._lookups.add((tier, "hit" if hit else "miss"))

    def waited(self, provider: str, wait_s: float) -> None:
        """A call waited for a limit."""
        self._rate_limit_wait.observe((provider,), wait_s)

    def retried(self, provider: str, reason: str) -> None:
        """A call is tried again."""
        self._retries.add((provider, reason))

    # -- reading

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when somebody looks."""
        Gauge(f"streamapp_{name}", text, registry=self.registry).set_function(read)

    def watch_each(
        self, name: str, text: str, *, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """Add a gauge for each value of ``label`` that ``read`` returns when somebody looks."""
        self.registry.register(_Watched(f"streamapp_{name}", text, label, read))

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def samples(self, names: Iterable[str]) -> Iterator[Sample]:
        """Yield the samples of these names alone: each second is too often to read all of them."""
        for family in self.registry.restricted_registry(names).collect():
            yield from family.samples

    def percentiles(self, wanted: Sequence[float] = (0.5, 0.95, 0.99)) -> list[float | None]:
        """Return percentiles of the last minute's active times, seconds; None without any."""
        since = self._clock() - RECENT_S
        recent = sorted(value for at, value in self._recent if at >= since)
        if not recent:
            return [None for _ in wanted]
        return [recent[min(int(share * len(recent)), len(recent) - 1)] for share in wanted]

    def _counter(self, name: str, text: str, *labels: str) -> LabelledCounter:
        counter = LabelledCounter(f"streamapp_{name}", text, labels)
        self.registry.register(counter)
        return counter

    def _histogram(self, name: str, text: str, *labels: str) -> LabelledHistogram:
        full = f"streamapp_{name}_seconds"
        histogram = LabelledHistogram(full, text, labels, bounds=BUCKETS)
        self.registry.register(histogram)
        return histogram


class _Watched(Collector):
    def __init__(
        self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        self._name = name
        self._text = text
        self._label = label
        self._read = read

    def describe(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(self._name, self._text, labels=[self._label])

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(self._name, self._text, labels=[self._label])
        for value, number in self._read().items():
            family.add_metric([value], number)
        yield family
