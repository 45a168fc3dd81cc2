"""The reference of metrics: the registry of a whole app that was never started."""

import asyncio
from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import Metric

from reference.markdown import code, page, section, table, words
from streamapp.bootstrap import create_app
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from streamapp.telemetry.metrics import Metrics

INTRO = """`GET /metrics` has these for Prometheus, each worker its own; sum over workers. Units are
seconds, bytes and US dollars, but for what Faust gives in milliseconds. Labels never hold an id,
a key or text. [Grafana and alerts](../runbook/index.md) use these names."""

LABELS = """| label | holds |
| --- | --- |
| `type` | the record's type, `unknown` where it has none of ours |
| `outcome` of `records` | `answered`, `replayed` by the ledger, `dead_letter`, \
`failed` [over HTTP](../http.md#errors), `skipped` by a flow (type `none`) |
| `flow` | the flow as in `[flows.NAME]`; `requests` for request records and HTTP |
| `outcome` of `provider_calls` | `ok`, or the name of what went wrong, as in the logs |
| `provider`, `model` | as in `[providers.NAME]`; as sent, but for tokens and cost: as answered |
| `direction` | `input`, `output` |
| `tier`, `result` | `memory`, `table` or `redis`; `hit` or `miss` |
| `reason` | the error that is tried again |
| `kind` | [of the dead letter](records.md#dead-letter) |"""


async def _families() -> Sequence[tuple[Metric, Sequence[str]]]:
    """Return each metric with the names of its labels."""
    metrics = Metrics()
    create_app(
        Settings.model_construct(  # the defaults, whatever the environment says
            providers={"offline": ProviderSettings(kind="offline")},
            models={"default": ModelSettings(targets=["offline/offline"])},
        ),
        metrics=metrics,
    )
    # The client has no public way to ask for the labels of a metric without samples.
    labels = {
        name: getattr(collector, "_labelnames", ())
        for collector, names in metrics.registry._collector_to_names.items()
        for name in names
    }
    return [
        (family, getattr(family, "_labelnames", None) or labels.get(family.name, ()))
        for family in metrics.registry.collect()
    ]


def _rows(families: Sequence[tuple[Metric, Sequence[str]]], prefix: str) -> Iterator[list[str]]:
    for family, labels in sorted(families, key=lambda pair: pair[0].name):
        if family.name.startswith(prefix):
            total = "_total" if family.type == "counter" else ""
            shown = words(*map(code, labels))
            yield [code(family.name + total), family.type, shown, family.documentation]


def metrics_page() -> str:
    """Return the page."""
    families = asyncio.run(_families())
    heads = ("name", "kind", "labels", "meaning")
    ours, fausts = (list(_rows(families, prefix)) for prefix in ("streamapp_", "faust_"))
    rest = section("Of Faust", table(heads, fausts)) if fausts else ""
    return page("Metrics", INTRO, section("Of streamapp", table(heads, ours), LABELS), rest)
