"""Metrics with labels that count in plain dictionaries and are read by Prometheus' collector.

A record adds to a dozen of them. Prometheus' own children take a lock, look for multiprocess
files and check their labels at each of these, which takes as long as to encode an answer. What
is counted here is counted in the loop's thread alone.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]


class LabelledCounter(Collector):
    """A counter with labels.

    Args:
        name: Without ``_total``.
        text: Its help.
        labels: Their names.
        now: Seconds since the epoch.
    """

    def __init__(
        self, name: str, text: str, labels: Sequence[str], *, now: Callable[[], float] = time.time
    ) -> None:
        self._name = name
        self._text = text
        self._labels = tuple(labels)
        self._now = now
        self._values: dict[Labels, float] = {}
        self._created: dict[Labels, float] = {}

    def add(self, labels: Labels, amount: float = 1.0) -> None:
        """Add ``amount``, at least 0, to the series of these labels' values."""
        try:
            self._values[labels] += amount
        except KeyError:
            self._created[labels] = self._now()
            self._values[labels] = amount

    def describe(self) -> Iterable[Metric]:
        """Yield the metric without values: by its names it can be read alone."""
        yield CounterMetricFamily(self._name, self._text, labels=self._labels)

    def collect(self) -> Iterable[Metric]:
        """Yield the metric with the values of now."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in list(self._values.items()):
            family.add_metric(labels, value, created=self._created[labels])
        yield family


class _Distribution:
    """The counts of one series of a histogram; the last is of what exceeds every bound."""

    __slots__ = ("counts", "created", "sum")

    def __init__(self, bounds: int, created: float) -> None:
        self.counts = [0] * (bounds + 1)
        self.sum = 0.0
        self.created = created


class LabelledHistogram(Collector):
    """A histogram with labels.

    Args:
        name: With its unit.
        text: Its help.
        labels: Their names.
        bounds: Upper bounds of the buckets, ascending, each of them included.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        *,
        bounds: Sequence[float],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._text = text
        self._labels = tuple(labels)
        self._bounds = tuple(bounds)
        self._now = now
        self._series: dict[Labels, _Distribution] = {}

    def observe(self, labels: Labels, value: float) -> None:
        """Count ``value`` in the series of these labels' values."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = _Distribution(len(self._bounds), self._now())
        series.counts[bisect_left(self._bounds, value)] += 1
        series.sum += value

    def describe(self) -> Iterable[Metric]:
        """Yield the metric without values: by its names it can be read alone."""
        yield HistogramMetricFamily(self._name, self._text, labels=self._labels)

    def collect(self) -> Iterable[Metric]:
        """Yield the metric with the values of now."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        for labels, series in list(self._series.items()):
            total, buckets = 0, []
            for bound, count in zip(bounds, series.counts, strict=True):
                total += count
                buckets.append((bound, float(total)))
            family.add_metric(labels, buckets, series.sum)
            names = dict(zip(self._labels, labels, strict=True))
            family.add_sample(f"{self._name}_created", names, series.created)
        yield family
