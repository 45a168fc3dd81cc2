"""`streamapp flows`: each flow with its topics, lag, rate and dead letters."""

import asyncio
import json
import time
from typing import Any

import click

from streamapp.cli.kafka import answered, client_settings
from streamapp.cli.prompt_output import print_table
from streamapp.flows.topics import flow_topics
from streamapp.processors.registry import Registry
from streamapp.settings import Settings
from streamapp.streaming.flows.state import FlowState, flow_states, with_requests


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
    """List the flows: input, outputs, lag, rate and dead letters.

    The rate is that of committed offsets, in records a second, over all workers.
    """
    rows = asyncio.run(_rows(client_settings(), seconds))
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    names = ("flow", "input", "output", "partitions", "lag", "rate", "dead letters")
    print_table(names, [_cells(row) for row in rows])


async def _rows(settings: Settings, seconds: float) -> list[dict[str, Any]]:
    known = with_requests(
        settings, flow_topics(settings, Registry.load(settings.processor_modules))
    )
    first = await answered(settings, flow_states(settings, known))
    if not seconds:
        return [_row(state, None) for state in first]
    began = time.monotonic()
    await asyncio.sleep(seconds)
    second = await answered(settings, flow_states(settings, known))
    watched_s = time.monotonic() - began
    return [
        _row(now, (now.committed - before.committed) / watched_s)
        for before, now in zip(first, second, strict=True)
    ]


def _row(state: FlowState, rate: float | None) -> dict[str, Any]:
    return {
        "name": state.name,
        "input": state.topics.input,
        "outputs": list(state.topics.outputs),
        "dead_letter_topic": state.topics.dead_letters,
        "partitions": state.partitions,
        "lag": state.lag,
        "rate_per_s": None if rate is None else round(rate, 2),
        "dead_letters": state.dead_letters,
    }


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
    )
