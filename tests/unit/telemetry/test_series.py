"""Labelled metrics that count in dictionaries, beside Prometheus' own."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from streamapp.telemetry.series import LabelledCounter, LabelledHistogram


def text_of(registry: CollectorRegistry) -> list[str]:
    """Return the lines of a registry but for the times at which series began."""
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if "_created{" not in line]


@pytest.fixture
def registries() -> tuple[CollectorRegistry, CollectorRegistry]:
    """Ours, and one with Prometheus' own metrics."""
    return CollectorRegistry(), CollectorRegistry()


def test_counter_reads_as_prometheus_own(
    registries: tuple[CollectorRegistry, CollectorRegistry],
) -> None:
    """Whoever scrapes sees the same text: names, help, labels and values."""
    ours, theirs = registries
    counter = LabelledCounter("a_records", "Records.", ("type", "end"))
    ours.register(counter)
    own = Counter("a_records", "Records.", ("type", "end"), registry=theirs)
    assert text_of(ours) == text_of(theirs)

    for labels, amount in ((("chat", "ok"), 1.0), (("chat", "ok"), 2.5), (("x", 'q"\n'), 0.0)):
        counter.add(labels, amount)
        own.labels(*labels).inc(amount)

    assert text_of(ours) == text_of(theirs)
    assert ours.get_sample_value("a_records_total", {"type": "chat", "end": "ok"}) == 3.5


def test_histogram_reads_as_prometheus_own(
    registries: tuple[CollectorRegistry, CollectorRegistry],
) -> None:
    """A value on a bound belongs to its bucket, one above all to the last."""
    ours, theirs = registries
    histogram = LabelledHistogram("a_seconds", "Time.", ("type",), bounds=(0.005, 1, 2.5))
    ours.register(histogram)
    own = Histogram("a_seconds", "Time.", ("type",), buckets=(0.005, 1, 2.5), registry=theirs)

    for value in (0.0, 0.005, 0.0051, 1.0, 2.5, 7.0):
        histogram.observe(("chat",), value)
        own.labels("chat").observe(value)
    histogram.observe(("embed",), 1)
    own.labels("embed").observe(1)

    assert text_of(ours) == text_of(theirs)


def test_series_tells_when_it_began() -> None:
    """Prometheus takes a rate from there on."""
    registry = CollectorRegistry()
    counter = LabelledCounter("a", "A.", ("b",), now=lambda: 5.0)
    histogram = LabelledHistogram("h", "H.", ("b",), bounds=(1,), now=lambda: 7.0)
    registry.register(counter)
    registry.register(histogram)
    counter.add(("c",))
    histogram.observe(("c",), 2)

    assert registry.get_sample_value("a_created", {"b": "c"}) == 5.0
    assert registry.get_sample_value("h_created", {"b": "c"}) == 7.0
