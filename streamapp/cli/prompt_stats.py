"""`streamapp prompts stats`: the results of a prompt's versions, read from a running worker."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import click

from streamapp.cli.group import EXIT_CONFIGURATION, Ended
from streamapp.cli.kafka import client_settings
from streamapp.cli.prompt_access import require_known
from streamapp.cli.prompt_output import print_json, print_table
from streamapp.cli.terminal import counted
from streamapp.cli.worker_access import WorkerAccess, of_worker
from streamapp.errors import StreamappError
from streamapp.prompts.reference import NAME
from streamapp.settings import Settings


@click.command()
@click.argument("name")
@of_worker
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(name: str, url: str | None, as_json: bool) -> None:
    """Show the results of each version and label of the prompt NAME.

    Sums of the workers that run now, each since its start: what others did before is not in it.
    Tokens and dollars are those of failed records, too; the mean time is that of answers.
    The first API key is used.
    """
    if not NAME.fullmatch(name):
        problem = "write the name alone: all versions and labels are shown"
        raise Ended(f"{name!r}: {problem}", EXIT_CONFIGURATION)
    settings = client_settings()
    found = asyncio.run(_asked(settings, name, url))
    if found.get("missing"):
        told = f"no answer from {counted(found['missing'], 'worker')}: theirs is missing"
        click.echo(f"{told} (`streamapp check` may say why)", err=True)
    if as_json:
        return print_json(found)
    if not found["variants"]:
        told = f"no record has used the prompt {name!r} since the start of the workers that run now"
        return click.echo(told, err=True)
    print_table(
        ("version", "label", "records", "errors", "invalid", "tokens", "US dollars", "mean s"),
        (
            (
                str(variant["version"]),
                variant["label"] or "",
                str(variant["calls"]),
                str(variant["errors"]),
                str(variant["invalid_outputs"]),
                f"{variant['input_tokens']}+{variant['output_tokens']}",
                _cost(variant),
                "" if variant["mean_duration_s"] is None else f"{variant['mean_duration_s']:.3f}",
            )
            for variant in found["variants"]
        ),
    )


def _cost(variant: Mapping[str, Any]) -> str:
    """Return what the records cost, or that it is not known of some or all that cost anything."""
    unpriced = variant["unpriced"]
    if not unpriced:
        return str(variant["cost_usd"])
    is_known = Decimal(variant["cost_usd"]) > 0
    return f"{variant['cost_usd']} + {unpriced} unknown" if is_known else "unknown"


async def _asked(settings: Settings, name: str, url: str | None) -> dict[str, Any]:
    async with WorkerAccess(settings, url) as worker:
        found: dict[str, Any] | None = await worker.get(f"/v1/prompts/{quote(name, safe='')}/stats")
        if not (found and found["variants"]):
            listed = await worker.get("/v1/prompts") or {"prompts": []}
            require_known(name, [prompt["name"] for prompt in listed["prompts"]])
        if found is None:
            why = "knows no results of prompts: upgrade it"
            raise StreamappError(f"the worker at {worker.base} {why}")
    return found
