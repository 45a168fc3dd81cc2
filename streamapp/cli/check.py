"""`streamapp check`: everything that is wrong, in one go, before anything starts."""

import asyncio
import json
from dataclasses import asdict

import click

from streamapp.cli.findings import Finding, own_parts, providers, topics
from streamapp.cli.group import EXIT_CONFIGURATION, Ended
from streamapp.cli.kafka import client_settings
from streamapp.errors import ConfigurationError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check(as_json: bool) -> None:
    """Check settings, processors, prompts, providers and topics; change nothing.

    Exit code 2 where something is wrong; all of it is named.
    """
    findings = asyncio.run(_findings())
    wrong = [finding for finding in findings if not finding.ok]
    if as_json:
        click.echo(json.dumps({"ok": not wrong, "checks": [asdict(f) for f in findings]}))
    else:
        for finding in findings:
            mark = click.style("ok   ", "green") if finding.ok else click.style("WRONG", "red")
            click.echo(f"{mark} {finding.name}: {finding.detail}")
    if wrong:
        raise Ended(f"{len(wrong)} of {len(findings)} checks failed", EXIT_CONFIGURATION)


async def _findings() -> list[Finding]:
    try:
        settings = client_settings()
    except ConfigurationError as error:
        rest = "processors, prompts, providers and topics were not checked"
        return [Finding("settings", False, line) for line in f"{error}; {rest}".splitlines()]
    source = f"environment and {settings.config or 'streamapp.toml'}"
    return [
        Finding("settings", True, source),
        *own_parts(settings),
        *await providers(settings),
        *await topics(settings),
    ]
