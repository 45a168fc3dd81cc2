"""`streamapp explain`: what a worker would do with each record of a file."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import IO, Any

import click
from aiokafka.errors import KafkaError

from streamapp.cli.asked_worker import AskedWorker
from streamapp.cli.budget_findings import spent_budgets
from streamapp.cli.dry_run import DryRun, Explanation
from streamapp.cli.group import EXIT_CONFIGURATION, Ended
from streamapp.cli.kafka import answered, client_settings
from streamapp.cli.kept_answers import SharedAnswers
from streamapp.cli.lines import id_key, key_of, read_lines
from streamapp.cli.prompt_access import reading
from streamapp.cli.prompt_findings import unpublished
from streamapp.cli.prompt_output import print_json
from streamapp.cli.terminal import counted, printable
from streamapp.cli.worker_access import WorkerAccess, of_worker
from streamapp.errors import InvalidRecord, StreamappError
from streamapp.prompts.example_sources import Sources
from streamapp.prompts.examples import ExamplesManager, in_use
from streamapp.prompts.files import load_files
from streamapp.prompts.prompt import Prompt
from streamapp.prompts.registry import PromptRegistry, prompts_of
from streamapp.records.codec import recover_id
from streamapp.settings import Settings
from streamapp.settings.flows import REQUESTS
from streamapp.streaming.broker.topics import partition_counts
from streamapp.streaming.prompts.example_topic import ExampleTopic


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--key", metavar="FIELD", help="Field whose value is the record's key, as in send.")
@click.option("--flow", metavar="NAME", help="The flow whose input the records stand on.")
@of_worker
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a record.")
def explain(
    file: IO[bytes], key: str | None, flow: str | None, url: str | None, as_json: bool
) -> None:
    """Show what a worker would make of each record of FILE.

    FILE has one JSON object a line; - is stdin. Nothing is sent, and no model is called.

    With --flow they are records of its input, and what it makes of each is shown as well: the
    request, or that it is skipped, and what is written, with an answer by rules in place of a
    model's. Framed formats are read as JSON.

    Shown are its processor, the prompt's version now, the targets of its calls, tokens and price by
    estimate, and whether its answer is there already: an earlier line of the file pays for it, or
    the worker keeps it (hit) that the record comes to, by its key as of send. Where that worker is
    not known it is `possible`, and priced as if it were paid. A processor is run as far as its
    first call or `llm.step`, or further where it takes an answer by rules. Tools of its prompt that
    no MCP server offers the worker that is asked are named. An id that an earlier line has with
    other content is that of a dead letter. Of a record that a worker runs at this moment its steps
    so far are shown, by its id. Prompts are those of the topic, and where no worker is ready those
    of files that the first one would publish; without a broker, the files.

    Exit codes: 0 all would be answered; 2 some would be dead letters, or too large to be sent.
    """
    found = asyncio.run(_explained(file, key, url, flow=flow, as_json=as_json))
    wrong = sum(bool(explanation.problem) for explanation in found)
    if wrong:
        what = "a dead letter" if wrong == 1 else "dead letters"
        problem = f"{wrong:,} of {counted(len(found), 'record')} would become {what}"
        raise Ended(problem, EXIT_CONFIGURATION)


async def _explained(
    file: IO[bytes], field: str | None, url: str | None, *, flow: str | None, as_json: bool
) -> list[Explanation]:
    settings = client_settings(may_lack_secrets=False)
    found = []
    async with WorkerAccess(settings, url) as worker:
        asked = AskedWorker(worker)
        await asked.begin()
        own = None if flow == REQUESTS else flow
        workers = await asked.workers(lambda: _partitions(settings, flow=own))
        answers = SharedAnswers(
            ttl_s=settings.cache_ttl_s,
            kept=asked.kept if asked.answers else None,
            workers=workers,
        )
        prompts = await _prompts(settings, has_worker=asked.answers)
        offered = await asked.offered() if settings.mcp else None
        dry_run = DryRun(settings, prompts, answers=answers, flow=own, offered=offered)
        if dry_run.samples is not None and dry_run.samples.is_framed:
            click.echo("values are read and written as JSON: no schema is looked at", err=True)
        for line in read_lines(file):
            try:
                key = key_of(line, field) if field or own else id_key(line)
            except InvalidRecord as error:
                id = (None if own else recover_id(line.value)) or f"line {line.number}"
                found.append(Explanation(line.number, id, problem=str(error)))
            else:
                explained = await dry_run.explain(line, key)
                if own is None:
                    explained = replace(explained, steps=await asked.steps(line.value))
                found.append(explained)
            if as_json:
                print_json(found[-1].to_json())
            else:
                click.echo(_text(found[-1]))
    if len(found) > 1:
        click.echo(_sum(found), err=True)
    for spent in await spent_budgets(settings):
        click.echo(spent.detail, err=True)
    return found


async def _partitions(settings: Settings, *, flow: str | None) -> int | None:
    """Return how many partitions the requests have; None of a flow, whose input others share."""
    if flow is not None:
        return None
    topic = settings.topic("requests")
    try:
        counts = await answered(settings, partition_counts(settings, [topic]))
    except StreamappError:
        return None
    return counts.get(topic)


async def _prompts(settings: Settings, *, has_worker: bool) -> PromptRegistry:
    """Return the prompts of the topic, or those of the files, with their examples.

    Args:
        settings: Say where both are.
        has_worker: Whether one is ready: it has published its files, so that what the topic does
            not have is no prompt for it.
    """
    topic = ExampleTopic(settings)
    sources = Sources(
        directory=settings.prompts_dir,
        hosts=settings.allowed_example_hosts,
        from_topic=topic.fetch,
    )
    examples = ExamplesManager(
        sources.fetch, clock=time.monotonic, embed=_no_vectors if settings.embed_model else None
    )
    files = load_files(settings.prompts_dir)
    prompts: Mapping[str, Prompt] = prompts_of(files)
    try:
        async with reading() as log:
            published = log.history.prompts
            for problem in unpublished(files, published) if has_worker else ():
                click.echo(problem, err=True)
            prompts = dict(published) if has_worker else {**prompts, **published}
    except (StreamappError, KafkaError):
        click.echo("the prompts are those of the files: no topic to read", err=True)
    try:
        await examples.refresh(in_use(prompts))
    finally:
        await topic.aclose()
    for problem in examples.impaired():
        click.echo(problem, err=True)
    return PromptRegistry(prompts, examples=examples)


async def _no_vectors(texts: Sequence[str]) -> list[list[float]]:
    raise StreamappError("no provider is called here")


def _sum(found: Sequence[Explanation]) -> str:
    """Return what all would cost together, as far as it is known."""
    made = [one for one in found if not (one.problem or one.skipped)]
    costs = [one.cost_usd for one in made if one.cost_usd is not None]
    tokens, more = sum(one.tokens for one in made), sum(one.more_calls for one in made)
    parts = (
        f"{counted(len(made), 'record')} together: about {counted(tokens, 'token')}",
        f"${sum(costs, Decimal(0)):f}" if costs else "",
        f"{len(made) - len(costs):,} of unknown price" if len(costs) < len(made) else "",
        f"then up to {counted(more, 'more call')}" if more else "",
    )
    return "  ".join(filter(None, parts))


def _text(found: Explanation) -> str:
    """Return two lines that fit 80 columns: which record, and what becomes of it."""
    id = printable(found.id, keep="")
    head = f"line {found.line}  {id}  " if id != f"line {found.line}" else f"{id}  "
    running = "".join(f"\n    running: {_step(one)}" for one in found.steps)
    if found.skipped:
        return f"{head}SKIPPED"
    if found.problem:
        return f"{head}DEAD LETTER\n    {printable(found.problem, keep='')}{running}"
    cost = "price unknown" if found.cost_usd is None else f"${found.cost_usd:f}"
    parts = (
        ", ".join(found.targets) or "no call",
        f"cache {found.cache}" if found.cache else "",
        f"about {counted(found.tokens, 'token')}",
        cost,
        f"then unknown: step {printable(found.unknown_from, keep='')} is not run here"
        if found.unknown_from
        else "",
    )
    record = f"{head}{found.type}  {found.prompt}".rstrip()
    missing = ", ".join(printable(name, keep="") for name in found.missing_tools)
    without = (
        f"\n    without {missing}: no MCP server has it at the worker asked" if missing else ""
    )
    note = f"\n    cache: {found.cache_note}" if found.cache_note else ""
    if found.more_calls:
        more = counted(found.more_calls, "more call")
        note += f"\n    then up to {more} by what tools give, not in the estimate"
    written = "".join(f"\n    to {printable(one['topic'], keep='')}" for one in found.writes)
    why = printable(found.unknown_why, keep="")
    refused = f"\n    then unknown: by rules, not by the model, {why}" if why else ""
    details = f"{note}{without}{refused}{written}{running}"
    return f"{record}\n    {'  '.join(filter(None, parts))}{details}"


def _step(step: Mapping[str, Any]) -> str:
    name = printable(f"{step['kind']} {step['name']}".rstrip(), keep="")
    return f"step {step['number']}  {name}  {step['outcome']}  {step['duration_s']:.1f} s"
