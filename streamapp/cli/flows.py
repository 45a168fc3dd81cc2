"""`streamapp flows`: each flow with its topics, lag, rate and dead letters."""

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import click

from streamapp.cli.kafka import answered, client_settings
from streamapp.cli.prompt_output import print_table
from streamapp.cli.worker_access import WorkerAccess
from streamapp.errors import StreamappError
from streamapp.flows.topics import flow_topics
from streamapp.processors.registry import Registry
from streamapp.settings import Settings
from streamapp.streaming.flows.state import flow_states, with_requests


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(0, 60),
    default=1.0,
    show_default=True,
    help="How long to watch for the rate; 0 tells none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def flows(seconds: float, as_json: bool) -> None:
    """List the flows: input, outputs, lag, rate, dead letters and cost of the last day.

    The rate is that of committed offsets, in records a second, over all workers. What a flow
    has cost in the last 24 hours is asked of a running worker.
    """
    rows = asyncio.run(_rows(client_settings(), seconds))
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    names = ("flow", "input", "output", "partitions", "lag", "rate", "dead letters", "cost a day")
    print_table(names, [_cells(row) for row in rows])


async def _rows(settings: Settings, seconds: float) -> list[dict[str, Any]]:
    known = with_requests(
        settings, flow_topics(settings, Registry.load(settings.processor_modules))
    )
    costs = await _costs(settings)
    first = await answered(settings, flow_states(settings, known))
    if not seconds:
        return [
            state.fields(rate_per_s=None, cost_usd_day=costs.get(state.name)) for state in first
        ]
    began = time.monotonic()
    await asyncio.sleep(seconds)
    second = await answered(settings, flow_states(settings, known))
    watched_s = time.monotonic() - began
    return [
        now.fields(
            rate_per_s=round((now.committed - before.committed) / watched_s, 2),
            cost_usd_day=costs.get(now.name),
        )
        for before, now in zip(first, second, strict=True)
    ]


async def _costs(settings: Settings) -> dict[str, Decimal]:
    """Return the cost of each flow in the last day; nothing where no worker answers."""
    async with WorkerAccess(settings) as worker:
        try:
            found = await worker.get("/v1/flows")
        except StreamappError:
            return {}
    flows = (found or {}).get("flows", [])
    return {flow["name"]: Decimal(flow["cost_usd_day"]) for flow in flows if flow["cost_usd_day"]}


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    rate = "-" if row["rate_per_s"] is None else f"{row['rate_per_s']:,.1f}/s"
    return (
        row["name"],
        row["input"],
        ", ".join(row["outputs"]),
        f"{row['partitions']:,}" if row["partitions"] else "none",
        f"{row['lag']:,}",
        rate,
        f"{row['dead_letters']:,}",
        "-" if row["cost_usd_day"] is None else f"${row['cost_usd_day']}",
    )
