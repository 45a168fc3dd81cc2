"""The costs of an app, put together."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from structlog.testing import capture_logs

from streamapp.bootstrap.costs import Costs
from streamapp.bootstrap.faust_app import faust_app
from streamapp.settings import Settings
from streamapp.telemetry.metrics import Metrics


async def test_budget_that_is_spent_is_told_once_the_sums_are_read() -> None:
    """A worker says at its start what would hold its records, before it takes one."""
    budget = {"limit_records": 20, "action": "hold", "period": "month"}
    settings = Settings(_env_file=None, budgets={"h": budget})
    app = faust_app(settings)
    costs = Costs(app, settings, metrics=Metrics(), ledgers=())
    table = app.tables["spend"]
    key = f'["{datetime.now(UTC):%Y-%m}","all","another worker"]'.encode()
    value = b'{"records":60,"tokens":0,"usd":"0"}'
    message = SimpleNamespace(key=key, value=value, offset=0)
    await table.on_changelog_event(cast(Any, SimpleNamespace(message=message)))

    with capture_logs() as logs:
        await table.on_recovery_completed(set(), set())

    assert [(line["event"], line["spent"]) for line in logs] == [
        ("budget.spent", "60 of 20 records")
    ]
    assert costs.impaired() == ["budget h"]
