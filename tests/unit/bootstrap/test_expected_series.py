"""What a worker shows in `/metrics` before its first record."""

from typing import Any

from streamapp.bootstrap import create_app
from streamapp.settings.loading import load_settings
from streamapp.telemetry.metrics import Metrics
from tests.fakes import FakeProvider

FLOW: dict[str, Any] = {
    "input": "shop.reviews",
    "output": "shop.labels",
    "type": "summarize",
    "fields": {"text": "{{ value.body }}"},
}


async def test_ends_of_records_and_calls_stand_at_0_from_the_start() -> None:
    """Prometheus sees no increase in a first number: a burst in a worker's first minute is one."""
    metrics = Metrics()
    settings = load_settings(
        providers={"fake": {"kind": "offline"}},
        models={"default": {"targets": ["fake/a/b"]}},
        flows={"labels": FLOW},
    )

    create_app(settings, providers={"fake": FakeProvider()}, metrics=metrics)

    text = metrics.text().decode()
    for series in (
        'records_total{flow="labels",outcome="answered",type="summarize"}',
        'records_total{flow="labels",outcome="dead_letter",type="summarize"}',
        'records_total{flow="labels",outcome="dead_letter",type="unknown"}',
        'records_total{flow="requests",outcome="dead_letter",type="chat"}',
        'dead_letters_total{flow="labels",kind="retries_exhausted"}',
        'dead_letters_total{flow="requests",kind="invalid"}',
        'provider_calls_total{model="a/b",outcome="ok",provider="fake"}',
        'provider_calls_total{model="a/b",outcome="ProviderTimeout",provider="fake"}',
    ):
        assert f"\nstreamapp_{series} 0.0\n" in text
