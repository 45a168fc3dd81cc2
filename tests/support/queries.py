"""The PromQL of alerts and dashboard, and what it needs of a worker's `/metrics`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml
from prometheus_client.parser import text_string_to_metric_families

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

#: What Prometheus itself adds to a scrape.
ITS_METRICS, ITS_LABELS = {"up"}, {"instance", "job", "le"}

#: The names of a metric's samples beyond its own, by its type.
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}


def alert_rules() -> list[dict[str, Any]]:
    """Return every alert."""
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> Iterator[tuple[str, str]]:
    """Yield a name and the query of every alert and panel; Grafana's variables are filled in."""
    for rule in alert_rules():
        yield rule["alert"], rule["expr"]
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "streamapp.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")


def needs(query: str) -> tuple[set[str], set[str]]:
    """Return the metrics and the labels that a query names.

    Raises:
        ValueError: It is no PromQL, or its types do not fit.
    """
    metrics: set[str] = set()
    labels: set[str] = set()

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            assert node.name is not None
            metrics.add(node.name)
            labels.update(matcher.name for matcher in node.matchers.matchers)
        elif isinstance(node, promql.AggregateExpr) and node.modifier:
            labels.update(node.modifier.labels)

    promql.walk(promql.parse(query), pre_visit=visit)
    return metrics, labels


def offered(*scrapes: str) -> dict[str, set[str]]:
    """Return the labels of each sample name in the scrapes, none where it has no sample yet."""
    labels: dict[str, set[str]] = {}
    for scrape in scrapes:
        for family in text_string_to_metric_families(scrape):
            for suffix in SUFFIXES.get(family.type, [""]):
                labels.setdefault(f"{family.name}{suffix}", set())
            for sample in family.samples:
                labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def unmet(query: str, offer: Mapping[str, set[str]]) -> set[str]:
    """Return what a query names and no scrape offers."""
    metrics, labels = needs(query)
    known = ITS_LABELS.union(*(offer.get(metric, set()) for metric in metrics))
    return (metrics - offer.keys() - ITS_METRICS) | (labels - known)
