"""`streamapp flows`: each flow with its topics, lag, rate and dead letters."""

import asyncio
import json
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import click
from typing_extensions import TypedDict

from streamapp.cli.kafka import answered, client_settings
from streamapp.cli.terminal import counted, printable
from streamapp.cli.worker_access import WorkerAccess, of_worker
from streamapp.errors import StreamappError
from streamapp.flows.topics import flow_topics
from streamapp.processors.registry import Registry
from streamapp.settings import Settings
from streamapp.streaming.flows.state import flow_states, with_requests


class _Costs(TypedDict):
    cost_usd_day: Decimal | None
    unpriced_day: int | None
    cost_counted_s: float | None


_UNTOLD: _Costs = {"cost_usd_day": None, "unpriced_day": None, "cost_counted_s": None}
#: Uptimes of a worker that need not be told: it has counted the whole day.
_DAY_S = 86_400
#: A cost that does not stand beside the rest within so many has a line of its own.
_COLUMNS = 80


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(0, 60),
    default=1.0,
    show_default=True,
    help="How long to watch for the rate; 0 tells none.",
)
@of_worker
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def flows(seconds: float, url: str | None, as_json: bool) -> None:
    """List the flows with their topics, lag, rate and cost.

    Their dead letters are counted, too. The rate is that of committed offsets, in records a
    second, over all workers. What a flow has cost in the last 24 hours is asked of a running
    worker; each worker counts from its start, so that what was before is not in it. Without a
    worker of this app the cost is unknown.
    """
    rows = asyncio.run(_rows(client_settings(), seconds, url))
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    for row in rows:
        click.echo(line(row))


async def _rows(settings: Settings, seconds: float, url: str | None) -> list[dict[str, Any]]:
    known = with_requests(
        settings, flow_topics(settings, Registry.load(settings.processor_modules))
    )
    costs = await _costs(settings, url)
    first = await answered(settings, flow_states(settings, known))
    if not seconds:
        return [state.fields(rate_per_s=None, **costs.get(state.name, _UNTOLD)) for state in first]
    began = time.monotonic()
    await asyncio.sleep(seconds)
    second = await answered(settings, flow_states(settings, known))
    watched_s = time.monotonic() - began
    return [
        now.fields(
            rate_per_s=round((now.committed - before.committed) / watched_s, 2),
            **costs.get(now.name, _UNTOLD),
        )
        for before, now in zip(first, second, strict=True)
    ]


async def _costs(settings: Settings, url: str | None) -> dict[str, _Costs]:
    """Return what each flow cost in the last day; nothing where no worker answers."""
    async with WorkerAccess(settings, url) as worker:
        try:
            found = await worker.get("/v1/flows")
        except StreamappError as error:
            click.echo(f"costs are unknown: {error}", err=True)
            return {}
    flows = (found or {}).get("flows", [])
    if missing := (found or {}).get("missing"):
        told = f"no answer from {counted(missing, 'worker')}: their costs are missing"
        click.echo(f"{told} (`streamapp check` may say why)", err=True)
    return {
        flow["name"]: {
            "cost_usd_day": Decimal(flow["cost_usd_day"]) if flow["cost_usd_day"] else None,
            # Not told by an earlier version.
            "unpriced_day": flow.get("unpriced_day"),
            "cost_counted_s": flow.get("cost_counted_s"),
        }
        for flow in flows
    }


def line(row: Mapping[str, Any]) -> str:
    """Return two lines, no name cut: which flow with its topics, and how far it is."""
    rate = row["rate_per_s"]
    parts = (
        counted(row["partitions"], "partition") if row["partitions"] else "no topic yet",
        f"lag {row['lag']:,}",
        "" if rate is None else f"{rate:,.1f}/s",
        counted(row["dead_letters"], "dead letter"),
    )
    head = f"{row['name']}  {row['input']} -> {', '.join(row['outputs'])}"
    now = f"    {'  '.join(filter(None, parts))}"
    period = _period(row["cost_counted_s"])
    cost = _cost(row["cost_usd_day"], row["unpriced_day"], period)
    between = "  " if len(now) + 2 + len(cost) <= _COLUMNS else "\n    "
    return printable(f"{head}\n{now}{between}{cost}", keep="\n")


def _period(counted_s: float | None) -> str:
    """Return what time a cost is of: less than a day after a worker's start."""
    if counted_s is None or counted_s >= _DAY_S:
        return "24 h"
    minutes = int(counted_s // 60)
    time = f"{minutes // 60} h" if minutes >= 60 else f"{minutes} min"
    return f"24 h, as far as counted since a worker's start {time} ago"


def _cost(usd: str | None, unpriced: int | None, period: str) -> str:
    """Return the cost of a day; what has no known price is not taken for nothing."""
    known = f"${usd} in {period}" if usd is not None else ""
    unknown = f"{counted(unpriced, 'answer')} without a known price" if unpriced else ""
    if known:
        return f"{known}, and {unknown}" if unknown else known
    return f"cost unknown in {period} ({unknown})" if unknown else "cost unknown"
