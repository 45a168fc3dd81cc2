"""`streamapp examples`: sets of examples on the topic that prompts can name."""

import asyncio
from pathlib import Path

import click

from streamapp.cli.group import EXIT_CONFIGURATION, Commands, Ended
from streamapp.cli.kafka import answered, client_settings, producing
from streamapp.cli.prompt_output import print_json, print_table
from streamapp.cli.terminal import counted
from streamapp.errors import PromptError
from streamapp.prompts.example_set import parse_examples
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
    """List the sets on the topic with the number of their examples."""
    found = asyncio.run(_sets(client_settings()))
    counts = [(name, _count(data)) for name, data in sorted(found.items())]
    if as_json:
        return print_json([{"set": name, "examples": count} for name, count in counts])
    print_table(
        ("set", "examples"),
        ((name, "not readable" if count is None else str(count)) for name, count in counts),
    )


@examples.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--set", "name", help="Its name; default: the file's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def publish(file: Path, name: str | None, as_json: bool) -> None:
    """Publish FILE as a set: a JSON array, or one example a line.

    An example is {"variables": {...}, "output": ...}: what fills the prompt's last part, and the
    good answer. Workers take it at their next refresh.
    """
    name = name or file.stem
    try:
        if not NAME.fullmatch(name):
            raise PromptError("a set's name is letters, digits, '.', '_' and '-', at most 100")
        count = len(parse_examples(file.read_bytes()))
    except PromptError as error:
        raise Ended(f"{file}: {error}", EXIT_CONFIGURATION) from None
    asyncio.run(_publish(client_settings(), name, file.read_bytes()))
    if as_json:
        return print_json({"set": name, "examples": count})
    click.echo(f"{name}: {counted(count, 'example')}")


async def _sets(settings: Settings) -> dict[str, bytes]:
    await answered(settings, ensure_topics(settings))
    topic = ExampleTopic(settings)
    try:
        await topic.catch_up()
    finally:
        await topic.aclose()
    return topic.sets


async def _publish(settings: Settings, name: str, data: bytes) -> None:
    await answered(settings, ensure_topics(settings))
    async with producing(settings) as producer:
        topic = settings.topic("examples")
        await producer.send_and_wait(topic, data, key=name.encode(), partition=PARTITION)


def _count(data: bytes) -> int | None:
    try:
        return len(parse_examples(data))
    except PromptError:
        return None
