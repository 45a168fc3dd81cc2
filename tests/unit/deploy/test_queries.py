"""The queries of alerts and dashboard; tests/e2e/test_containers.py holds them to a worker."""

import pytest

from streamapp import errors
from streamapp.telemetry.metrics import Metrics
from tests.support.queries import DEPLOY, alert_rules, needs, offered, queries, unmet


@pytest.mark.parametrize(("where", "query"), list(queries()), ids=lambda value: value[:40])
def test_query_is_promql(where: str, query: str) -> None:
    """Every query parses, its types fit, and it asks for our metrics, Faust's or `up`."""
    metrics, _ = needs(query)

    assert metrics
    assert all(name.startswith(("streamapp_", "faust_")) or name == "up" for name in metrics), where


def test_every_alert_says_what_to_do() -> None:
    """An alert has a severity, a summary and a page of the runbook of its own."""
    rules = alert_rules()

    assert {rule["labels"]["severity"] for rule in rules} <= {"critical", "warning"}
    assert all(rule["annotations"]["summary"] for rule in rules)
    pages = [rule["annotations"]["runbook"] for rule in rules]
    assert len(set(pages)) == len(rules)


def test_no_query_leaves_flows_out() -> None:
    """Who runs flows alone has no request records: a panel of those would show nothing."""
    assert [where for where, query in queries() if "requests" in query] == []


@pytest.mark.parametrize("name", ["StreamappDeadLetters", "StreamappSlow"])
def test_alert_on_records_looks_at_each_flow_and_names_it(name: str) -> None:
    """A small flow of which all fails is not hidden by a busy one of which nothing does."""
    [rule] = [rule for rule in alert_rules() if rule["alert"] == name]

    assert "flow" in needs(rule["expr"])[1]
    assert "{{ $labels.flow }}" in rule["annotations"]["summary"]


def test_what_was_not_there_yesterday_cost_nothing() -> None:
    """Compared with no data no alert fires: a new installation would be watched a day later."""
    compared = [rule["expr"] for rule in alert_rules() if "offset" in rule["expr"].split()]

    assert compared
    assert [expr for expr in compared if "or vector(0)" not in expr] == []


def test_page_of_failed_calls_names_each_outcome() -> None:
    """Whoever reads a word in the metrics finds on its page what it means."""
    page = (DEPLOY.parent / "docs" / "runbook" / "provider-errors.md").read_text()
    # These are of no attempt: nobody was asked, or it is counted by what it ended with itself.
    kinds = {one for one in vars(errors).values() if isinstance(one, type)} - {
        errors.ProviderError,
        errors.TargetOpen,
        errors.TargetBusy,
        errors.PartSent,
    }
    outcomes = [kind.__name__ for kind in kinds if issubclass(kind, errors.ProviderError)]

    assert [name for name in (*outcomes, "error", "cancelled") if f"`{name}`" not in page] == []


def test_queries_fit_what_the_code_counts() -> None:
    """What is asked for has the names and labels of the metrics, also of rare events."""
    metrics = Metrics()
    metrics.answered(type="chat", duration_s=1)
    metrics.dead_lettered(type="chat", kind="invalid")
    metrics.called("openai", "m", "ok", 1)
    metrics.spent("openai", "m", input_tokens=1, output_tokens=1, usd=1)
    metrics.looked_up("memory", hit=True)
    metrics.waited("openai", 1)
    metrics.retried("openai", "rate_limited")
    offer = offered(metrics.text().decode())
    elsewhere = (
        "faust_",
        "streamapp_in_flight",
        "streamapp_pending",
        "streamapp_breaker",
        "streamapp_budget_spent",
        "streamapp_oldest",
        "streamapp_partitions_unreadable",
    )

    for where, query in queries():
        names, _ = needs(query)
        if not any(name.startswith(elsewhere) for name in names):
            assert not unmet(query, offer), where


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum by (kind) (rate(a_total{type='x'}[5m]))", set()),
        ("sum(b_total)", {"b_total"}),
        ("sum by (other) (a_total)", {"other"}),
        ("a_total{other='x'} > 1", {"other"}),
        ("up == 0", set()),
    ],
)
def test_what_no_worker_offers_is_found(query: str, expected: set[str]) -> None:
    """A metric or label that a scrape lacks is named: the check itself works."""
    offer = offered('# TYPE a_total counter\na_total{kind="k",type="t"} 1.0\n')

    assert unmet(query, offer) == expected
