"""`streamapp examples`: sets of examples on the topic that prompts can name."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import click

from streamapp.cli.group import EXIT_CONFIGURATION, Commands, Ended
from streamapp.cli.kafka import answered, client_settings, producing
from streamapp.cli.prompt_findings import named_examples, problem_of_set, read_prompts
from streamapp.cli.prompt_output import print_json, print_table
from streamapp.cli.terminal import counted, printable
from streamapp.errors import PromptError
from streamapp.prompts.example_set import parse_examples
from streamapp.prompts.prompt import Prompt
from streamapp.prompts.reference import NAME
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import ensure_topics
from streamapp.streaming.prompts.event_log import PARTITION
from streamapp.streaming.prompts.example_topic import ExampleTopic


@click.group(cls=Commands)
def examples() -> None:
    """Look at sets of few-shot examples and publish them."""


@examples.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the sets on the topic with the number of their examples.

    A problem names what a prompt in use leaves out of a set, since its text cannot take it.
    """
    sets, prompts = asyncio.run(_read(client_settings()))
    found = [(name, _count(data), _problems(name, data, prompts)) for name, data in sets]
    if as_json:
        return print_json([{"set": s, "examples": count, "problems": p} for s, count, p in found])
    print_table(
        ("set", "examples", "problems"),
        (
            (name, "not readable" if count is None else str(count), "\n".join(problems))
            for name, count, problems in found
        ),
    )


@examples.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--set", "name", help="Its name; default: the file's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def publish(file: Path, name: str | None, as_json: bool) -> None:
    """Publish FILE as a set: a JSON array, or one example a line.

    An example is {"variables": {...}, "output": ...}: what fills the prompt's last part, and the
    good answer. Workers take it at their next refresh. What prompts in use leave out of it, since
    their text cannot take it, is told.
    """
    name = name or file.stem
    try:
        if not NAME.fullmatch(name):
            raise PromptError("a set's name is letters, digits, '.', '_' and '-', at most 100")
        data = file.read_bytes()
        count = len(parse_examples(data))
    except PromptError as error:
        raise Ended(f"{file}: {error}", EXIT_CONFIGURATION) from None
    problems = _problems(name, data, asyncio.run(_publish(client_settings(), name, data)))
    if as_json:
        return print_json({"set": name, "examples": count, "problems": problems})
    click.echo(f"{name}: {counted(count, 'example')}")
    for problem in problems:
        click.echo(printable(f"prompt {problem}", keep=""), err=True)


async def _read(
    settings: Settings,
) -> tuple[list[tuple[str, bytes]], Mapping[str, Prompt]]:
    """Return the sets in their order, and the prompts that may name them."""
    await answered(settings, ensure_topics(settings))
    topic = ExampleTopic(settings)
    try:
        await topic.catch_up()
    finally:
        await topic.aclose()
    return sorted(topic.sets.items()), await read_prompts(settings)


async def _publish(settings: Settings, name: str, data: bytes) -> Mapping[str, Prompt]:
    """Write the set, and return the prompts that may name it."""
    await answered(settings, ensure_topics(settings))
    async with producing(settings) as producer:
        topic = settings.topic("examples")
        await producer.send_and_wait(topic, data, key=name.encode(), partition=PARTITION)
    return await read_prompts(settings)


def _problems(name: str, data: bytes, prompts: Mapping[str, Prompt]) -> list[str]:
    """Return what versions in use leave out of a set."""
    found = (
        problem_of_set(version, data, wants)
        for version, examples, wants in named_examples(prompts)
        if examples.topic_set == name
    )
    return [problem for problem in found if problem]


def _count(data: bytes) -> int | None:
    try:
        return len(parse_examples(data))
    except PromptError:
        return None
