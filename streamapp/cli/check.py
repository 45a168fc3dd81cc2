"""`streamapp check`: everything that is wrong, in one go, before anything starts."""

import asyncio
import json
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import click
from aiokafka.errors import KafkaError

from streamapp.cli.budget_findings import spent_budgets
from streamapp.cli.finding import Finding, outweighed
from streamapp.cli.findings import own_parts, topics
from streamapp.cli.flow_findings import flows
from streamapp.cli.group import EXIT_CONFIGURATION, Ended
from streamapp.cli.kafka import client_settings
from streamapp.cli.place_findings import places
from streamapp.cli.prompt_findings import published_prompts, read_prompts
from streamapp.cli.provider_findings import live, providers
from streamapp.cli.terminal import counted
from streamapp.cli.worker_findings import workers
from streamapp.errors import ConfigurationError, StreamappError
from streamapp.prompts.prompt import Prompt
from streamapp.settings.environment import CONFIG_FILE, ENV_FILE, env_places
from streamapp.settings.located import located


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option(
    "--live", "is_live", is_flag=True, help="Ask each target for one token, too; costs that."
)
def check(as_json: bool, is_live: bool) -> None:
    """Check settings, processors, prompts, providers and topics; change nothing.

    Exit code 2 where something is wrong; all of it is named.
    """
    findings = asyncio.run(_findings(is_live=is_live))
    wrong = [finding for finding in findings if not finding.ok]
    if as_json:
        click.echo(json.dumps({"ok": not wrong, "checks": [asdict(f) for f in findings]}))
    else:
        for finding in findings:
            mark, colour = finding.mark
            click.echo(f"{click.style(mark, colour)} {finding.name}: {finding.detail}")
    if wrong:
        raise Ended(f"{len(wrong)} of {counted(len(findings), 'check')} failed", EXIT_CONFIGURATION)


async def _findings(*, is_live: bool) -> list[Finding]:
    try:
        settings = client_settings(may_lack_secrets=False)
    except ConfigurationError as error:
        rest = "processors, prompts, providers and topics were not checked"
        return [Finding("settings", False, line) for line in f"{error}; {rest}".splitlines()]
    on_broker, published = await topics(settings), dict[str, Prompt]()
    if on_broker[0].ok:
        on_broker += await published_prompts(settings)
        with suppress(StreamappError, KafkaError):  # which that one has told
            published = await read_prompts(settings)
    answers = await live(settings) if is_live else []
    found = [
        Finding("settings", True, _sources(settings.config or CONFIG_FILE)),
        *own_parts(settings, published),
        *await places(settings),
        *outweighed(await providers(settings, is_live=is_live), answers),
        *answers,
        *on_broker,
        *await flows(settings, has_broker=on_broker[0].ok),
        *(await spent_budgets(settings) if on_broker[0].ok else ()),
        *(await workers(settings) if on_broker[0].ok else ()),
    ]
    details = located(settings, (finding.detail for finding in found))
    placed = [
        one if one.ok else replace(one, detail=detail)
        for one, detail in zip(found, details, strict=True)
    ]
    # What keeps a provider from being built keeps routes from it as well, and is said of them.
    said = {one.detail for one in placed if one.name == "models" and not one.ok}
    return [one for one in placed if not (one.name.startswith("provider ") and one.detail in said)]


def _sources(file: Path) -> str:
    """Return what the settings were read of; nobody is told of a file that is not there."""
    first = f"environment, {ENV_FILE}" if env_places() else "environment"
    return f"{first} and {file}" if file.exists() else f"{first}; there is no {file}"
