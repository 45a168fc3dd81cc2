"""`streamapp explain`: what a worker would do with each record of a file."""

import asyncio
from typing import IO

import click
from aiokafka.errors import KafkaError

from streamapp.cli.dry_run import DryRun, Explanation
from streamapp.cli.group import EXIT_CONFIGURATION, Ended
from streamapp.cli.kafka import client_settings
from streamapp.cli.lines import key_of, read_lines
from streamapp.cli.prompt_access import reading
from streamapp.cli.prompt_output import print_json, print_table
from streamapp.errors import InvalidRecord, StreamappError
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings import Settings


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--key", metavar="FIELD", help="Field whose value is the record's key, as in send.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a record.")
def explain(file: IO[bytes], key: str | None, as_json: bool) -> None:
    r"""Explain the records of FILE, one JSON object a line; - is stdin. Nothing is sent.

    Each record goes its whole way but for the call: its processor, the prompt's version now,
    the targets of its calls, tokens and price by estimate, and whether an earlier line of the
    file pays for it already. Prompts are those of the topic; without a broker, the files.

    \b
    Exit codes: 0 all would be answered; 2 some would be dead letters.
    """
    found = asyncio.run(_explained(file, key, as_json=as_json))
    wrong = sum(bool(explanation.problem) for explanation in found)
    if wrong:
        problem = f"{wrong:,} of {len(found):,} records would become dead letters"
        raise Ended(problem, EXIT_CONFIGURATION)


async def _explained(file: IO[bytes], field: str | None, *, as_json: bool) -> list[Explanation]:
    settings = client_settings()
    dry_run = DryRun(settings, await _prompts(settings))
    found = []
    for line in read_lines(file):
        try:
            key = key_of(line, field)
        except InvalidRecord as error:
            found.append(Explanation(line.number, f"line {line.number}", problem=str(error)))
        else:
            found.append(await dry_run.explain(line, key))
        if as_json:
            print_json(found[-1].to_json())
    if not as_json:
        names = ("line", "id", "type", "prompt", "target", "cache", "tokens", "US dollars")
        print_table(names, map(_row, found))
    return found


async def _prompts(settings: Settings) -> PromptRegistry:
    try:
        async with reading() as log:
            return PromptRegistry(log.history.prompts)
    except (StreamappError, KafkaError):
        click.echo("the prompts are those of the files: no topic to read", err=True)
        return PromptRegistry.load(settings.prompts_dir)


def _row(found: Explanation) -> tuple[str, ...]:
    if found.problem:
        return (str(found.line), found.id, "DEAD", found.problem)
    cost = "unknown" if found.cost_usd is None else f"{found.cost_usd:f}"
    return (
        str(found.line),
        found.id,
        found.type,
        found.prompt,
        ", ".join(found.targets),
        found.cache,
        str(found.tokens),
        cost,
    )
