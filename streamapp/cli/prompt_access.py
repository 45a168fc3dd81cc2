"""The registry for commands: read from its topic, changed by an event on it."""

import getpass
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import click

from streamapp.cli.group import EXIT_CONFIGURATION, Ended
from streamapp.cli.kafka import answered, client_settings
from streamapp.cli.prompt_notes import not_here
from streamapp.cli.prompt_output import labels, print_json, said, stays
from streamapp.cli.terminal import printable
from streamapp.errors import PromptNotFound, StreamappError
from streamapp.prompts.change import write_change
from streamapp.prompts.events import Event, Labelled
from streamapp.prompts.history import History
from streamapp.prompts.prompt import Prompt, Version
from streamapp.prompts.reference import Reference
from streamapp.records.problems import near
from streamapp.streaming.broker.topics import ensure_topics, partition_counts
from streamapp.streaming.prompts.event_log import PromptLog


@asynccontextmanager
async def reading() -> AsyncIterator[PromptLog]:
    """Give the prompts as they are.

    Raises:
        StreamappError: There are none yet, or no broker answers.
    """
    settings = client_settings()
    topic = settings.topic("prompts")
    if not await answered(settings, partition_counts(settings, [topic])):
        raise StreamappError(f"there is no topic {topic} yet: a worker creates it at its start")
    async with PromptLog(settings, History({})) as log:
        yield log


async def change(name: str, event: Event, *, as_json: bool) -> None:
    """Append the event and print its result; creates the topics where they are missing.

    Raises:
        PromptError: It changes nothing; says why.
    """
    settings = client_settings()
    await answered(settings, ensure_topics(settings))
    async with PromptLog(settings, History({})) as log:
        await write(log, name, event, as_json=as_json)


async def write(log: PromptLog, name: str, event: Event, *, as_json: bool) -> None:
    """Append the event and print its result; raises as `change`."""
    before = log.history.prompts.get(name)
    outcome = await write_change(log.history, name, event, write=log.write)
    prompt = log.history.prompts[name]
    if told := stays(event, outcome, prompt):
        click.echo(told, err=True)
    number = event.version if isinstance(event, Labelled) else outcome.version
    if version := prompt.versions.get(number or 0):
        for note in not_here(client_settings(), version):
            click.echo(printable(note), err=True)
    if as_json:
        print_json({**prompt.summary(), "version": outcome.version})
    else:
        parts = (said(event, outcome, before), labels(prompt), prompt.note)
        click.echo(f"{name}: {'; '.join(filter(None, parts))}")


def reference_of(text: str) -> Reference:
    """Return what the text of an argument refers to.

    Raises:
        Ended: It is no reference.
    """
    try:
        return Reference.parse(text)
    except PromptNotFound:
        problem = f"{text!r}: write NAME, NAME@LABEL or NAME:VERSION"
        raise Ended(problem, EXIT_CONFIGURATION) from None


def prompt_of(log: PromptLog, name: str) -> Prompt:
    """Return the prompt; raises ``PromptNotFound``."""
    require_known(name, log.history.prompts)
    return log.history.prompts[name]


def require_known(name: str, names: Collection[str]) -> None:
    """Refuse the name of a prompt that is not there.

    Raises:
        PromptNotFound: It is none of ``names``; says which of them is like it.
    """
    if name not in names:
        guess = near(name, names)
        raise PromptNotFound(f"there is no prompt {name!r}{guess}; see 'streamapp prompts list'")


def version_of(log: PromptLog, text: str) -> Version:
    """Return the version that a reference means, the one in production by a name alone.

    Raises:
        PromptNotFound: There is none.
    """
    reference = reference_of(text)
    prompt = prompt_of(log, reference.name)
    try:
        return prompt.find(label=reference.label, version=reference.version)
    except PromptNotFound as error:
        raise PromptNotFound(f"{text!r}: {error}") from None


def account() -> str:
    """Return the name of this account, for the author of a change."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in many containers
        return "cli"
