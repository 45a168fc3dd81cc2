"""`streamapp prompts stats`: what versions came to, asked of a running worker."""

import asyncio
from typing import Any
from urllib.parse import quote

import click

from streamapp.cli.kafka import client_settings
from streamapp.cli.prompt_output import print_json, print_table
from streamapp.cli.worker_access import WorkerAccess
from streamapp.errors import StreamappError
from streamapp.settings import Settings


@click.command()
@click.argument("name")
@click.option("--url", help="Of any worker; default: STREAMAPP_WEB_URL, or its host and port.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(name: str, url: str | None, as_json: bool) -> None:
    """Show what each version and label of the prompt NAME came to.

    Sums of all workers, each since its start; the first API key is used.
    """
    settings = client_settings()
    found = asyncio.run(_asked(settings, name, url))
    if found.get("missing"):
        click.echo(f"{found['missing']} of the workers did not answer: theirs is missing", err=True)
    if as_json:
        return print_json(found)
    print_table(
        ("version", "label", "calls", "errors", "invalid", "tokens", "US dollars", "mean s"),
        (
            (
                str(variant["version"]),
                variant["label"] or "",
                str(variant["calls"]),
                str(variant["errors"]),
                str(variant["invalid_outputs"]),
                f"{variant['input_tokens']}+{variant['output_tokens']}",
                variant["cost_usd"],
                "" if variant["mean_duration_s"] is None else f"{variant['mean_duration_s']:.3f}",
            )
            for variant in found["variants"]
        ),
    )


async def _asked(settings: Settings, name: str, url: str | None) -> dict[str, Any]:
    async with WorkerAccess(settings, url) as worker:
        found: dict[str, Any] | None = await worker.get(f"/v1/prompts/{quote(name, safe='')}/stats")
    if found is None:
        raise StreamappError(f"{worker.base} is no worker of streamapp: use --url")
    return found
