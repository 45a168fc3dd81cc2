"""The commands of `streamapp prompts` that write events: publish, label, split and others."""

import asyncio
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from streamapp.cli.group import EXIT_CONFIGURATION, Ended
from streamapp.cli.kafka import client_settings
from streamapp.cli.prompt_access import account, change, prompt_of, reading, write
from streamapp.errors import StreamappError
from streamapp.llm.schemas.schema import Schemas
from streamapp.processors.registry import Registry
from streamapp.prompts.events import Labelled, Protected, Published, Retired, Split, now
from streamapp.prompts.files import parse_prompt
from streamapp.prompts.prompt import PRODUCTION
from streamapp.prompts.rollback import rollback
from streamapp.records.problems import describe
from streamapp.settings.syntax import encoding_problem

E = TypeVar("E", Published, Labelled, Protected, Retired, Split)

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_force = click.option("--force", is_flag=True, help="Also where the label is protected.")
_message = click.option("-m", "--message", default="", help="Why, for those who come later.")
_author = click.option("--author", default="", help="Default: the name of this account.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--name", help="The prompt's name; default: `name` of the front matter, else FILE without .md."
)
@click.option("--label", help="Point this label at the version.")
@_force
@_message
@_author
@_json
def publish(
    file: Path,
    name: str | None,
    label: str | None,
    force: bool,
    message: str,
    author: str,
    as_json: bool,
) -> None:
    """Publish FILE, Markdown with front matter, as the next version.

    A content that was published before stays the version it is. Only the label 'latest' moves,
    and 'production' with the first version, unless --label or the front matter says otherwise:
    nothing is published where --label may not move; that of the front matter moves to a new
    version alone, and stays where it is protected.
    """
    if force and not label:
        raise click.UsageError("--force is for --label")
    try:
        read = parse_prompt(file.read_text("utf-8"), name=name or file.name.removesuffix(".md"))
        Schemas().check(read.settings.output_schema or {})
    except UnicodeDecodeError as error:
        raise Ended(encoding_problem(str(file), error), EXIT_CONFIGURATION) from None
    except StreamappError as error:
        raise Ended(f"{file}, {error}", EXIT_CONFIGURATION) from None
    event = _event(
        Published,
        body=read.body,
        settings=read.settings.content(),
        label=label or read.label,
        labels="new" if not label else "by force" if force else "any",
        message=message,
        author=author,
    )
    click.echo(f"publishing {file} as the prompt '{read.name}'", err=True)
    asyncio.run(change(read.name, event, as_json=as_json))


@click.command()
@click.argument("name")
@click.argument("label")
@click.argument("version", type=click.IntRange(1))
@_force
@_message
@_author
@_json
def label(
    name: str, label: str, version: int, force: bool, message: str, author: str, as_json: bool
) -> None:
    """Point LABEL of the prompt NAME at VERSION."""
    event = _event(
        Labelled, label=label, version=version, force=force, message=message, author=author
    )
    asyncio.run(change(name, event, as_json=as_json))


@click.command("rollback")
@click.argument("name")
@click.argument("label", default=PRODUCTION)
@_force
@_message
@_author
@_json
def rollback_(name: str, label: str, force: bool, message: str, author: str, as_json: bool) -> None:
    """Point LABEL back at the version that it had before.

    Without LABEL it is production.
    """

    async def run() -> None:
        async with reading() as log:
            event = rollback(
                prompt_of(log, name),
                label,
                created_at=now(),
                author=author or account(),
                message=message,
                force=force,
            )
            await write(log, name, event, as_json=as_json)

    asyncio.run(run())


@click.command()
@click.argument("name")
@click.argument("shares", nargs=-1, metavar="LABEL=PERCENT...")
@click.option("--off", is_flag=True, help="End the split: the name alone is production again.")
@_force
@_message
@_author
@_json
def split(
    name: str,
    shares: tuple[str, ...],
    off: bool,
    force: bool,
    message: str,
    author: str,
    as_json: bool,
) -> None:
    """Share the records of the prompt NAME among labels.

    For example: streamapp prompts split summarize production=90 candidate=10

    It holds for records that name NAME alone, without label or version. Each key always gets the
    same label.
    """
    if off == bool(shares):
        raise click.UsageError("give either LABEL=PERCENT... or --off")
    percent = dict(_share(share) for share in shares) or None
    asyncio.run(
        change(
            name,
            _event(Split, shares=percent, force=force, message=message, author=author),
            as_json=as_json,
        )
    )


@click.command()
@click.argument("name")
@click.argument("label", default=PRODUCTION)
@click.option("--off", is_flag=True, help="Let it be moved again.")
@_author
@_json
def protect(name: str, label: str, off: bool, author: str, as_json: bool) -> None:
    """Let LABEL (default: production) move by --force alone."""
    asyncio.run(
        change(name, _event(Protected, label=label, on=not off, author=author), as_json=as_json)
    )


@click.command()
@click.argument("name")
@click.option("--off", is_flag=True, help="Let records name it again.")
@_message
@_author
@_json
def retire(name: str, off: bool, message: str, author: str, as_json: bool) -> None:
    """Take the prompt NAME out of use.

    A record that names it is a dead letter; its history stays. A new version brings it back into
    use.
    """
    settings = client_settings()
    for processor in Registry.load(settings.processor_modules).processors:
        if processor.prompt == name and not off:
            problem = f"records of type '{processor.type}' need the prompt '{name}'"
            raise Ended(f"{problem}: publish another version of it instead", EXIT_CONFIGURATION)
    for flow, table in settings.flows.items():
        named = (table.prompt or "").replace("@", ":").partition(":")[0]
        if named == name and not off:
            problem = f"[flows.{flow}] names the prompt '{name}'"
            mend = "publish another version of it instead, or give the flow another prompt first"
            raise Ended(f"{problem}: {mend}", EXIT_CONFIGURATION)
    event = _event(Retired, on=not off, message=message, author=author)
    asyncio.run(change(name, event, as_json=as_json))


def _event(kind: type[E], **fields: Any) -> E:
    """Return the event.

    Raises:
        Ended: A field is wrong.
    """
    author = fields.pop("author") or account()
    try:
        return kind(created_at=now(), author=author, **fields)
    except ValidationError as error:
        raise Ended(describe(error, kind), EXIT_CONFIGURATION) from None


def _share(text: str) -> tuple[str, int]:
    label, _, percent = text.partition("=")
    if not percent.isdecimal():
        raise click.UsageError(f"{text!r} is no LABEL=PERCENT with a whole number")
    return label, int(percent)
