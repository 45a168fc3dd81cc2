"""What `streamapp check` says of budgets that are spent."""

from datetime import UTC, datetime
from typing import Any

from streamapp.cli.budget_findings import spent_notes
from streamapp.llm.costs.spend import Amounts, Spend
from streamapp.settings import Settings
from tests.fakes import FakeClock

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC).timestamp()


def notes(spend: Spend, **budgets: dict[str, Any]) -> list[str]:
    settings = Settings(_env_file=None, budgets=budgets)
    found = spent_notes(settings, spend, now=FakeClock(NOON))
    assert all(one.ok and one.is_note for one in found)
    return [one.detail for one in found]


def test_budget_that_is_spent_is_noted_with_what_was_counted() -> None:
    """A new one may have nothing left, since sums have no budget's name."""
    spend = Spend("w")
    spend.add(("2030-01-31", "all"), Amounts(records=60))

    said = notes(
        spend,
        h={"limit_records": 20, "action": "hold"},
        left={"limit_records": 61, "action": "hold"},
        monthly={"limit_records": 20, "action": "hold", "period": "month"},
    )

    assert said == [
        "budgets.h: in 2030-01-31 60 of 20 records are spent already. All calls of workers that"
        ' had a budget with period "day" and per "all" count, whatever its name'
    ]


def test_tenants_with_nothing_left_are_counted() -> None:
    """None is named."""
    spend = Spend("w")
    for tenant in ("a", "b"):
        spend.add(("2030-01", f"tenant/{tenant}"), Amounts(records=2))

    [said] = notes(
        spend, each={"limit_records": 2, "action": "warn", "per": "tenant", "period": "month"}
    )

    assert said.startswith("budgets.each: in 2030-01 nothing is left for 2 tenants already.")
