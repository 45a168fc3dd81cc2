"""`streamapp prompts stats`: what versions came to, asked of a running worker."""

import asyncio
from typing import Any
from urllib.parse import quote

import aiohttp
import click
from yarl import URL

from streamapp.cli.kafka import client_settings
from streamapp.cli.prompt_output import print_json, print_table
from streamapp.errors import StreamappError
from streamapp.settings import Settings

TIMEOUT_S = 10.0


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
    host = f"[{settings.web_host}]" if ":" in settings.web_host else settings.web_host
    base = (url or settings.web_url or f"http://{host}:{settings.web_port}").rstrip("/")
    address = URL(f"{base}/v1/prompts/{quote(name, safe='')}/stats", encoded=True)
    headers = {"Authorization": f"Bearer {settings.keys[0]}"} if settings.keys else {}
    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(address, headers=headers, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise StreamappError(f"{base} answers {response.status}: is the worker ready?")
            found: dict[str, Any] = await response.json()
            return found
    except (aiohttp.ClientError, OSError, ValueError) as error:
        problem = f"no worker answers at {base} ({type(error).__name__}): start one, or use --url"
        raise StreamappError(problem) from None
