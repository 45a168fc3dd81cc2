"""`streamapp prompts`: the group of its commands, and those that look at the registry."""

import asyncio

import click

from streamapp.cli.group import Commands
from streamapp.cli.prompt_access import prompt_of, reading, reference_of, version_of
from streamapp.cli.prompt_changes import label, protect, publish, retire, rollback_, split
from streamapp.cli.prompt_output import (
    description,
    labels,
    moves,
    pointing,
    print_json,
    print_table,
    shares,
    time,
)
from streamapp.cli.prompt_stats import stats
from streamapp.cli.terminal import printable
from streamapp.prompts.text import diff, file_text

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=Commands)
def prompts() -> None:
    """Look at prompts and change which version is used.

    PROMPT is NAME, NAME@LABEL or NAME:VERSION.
    """


@prompts.command("list")
@click.option("--all", "is_all", is_flag=True, help="Those that are retired, too.")
@_json
def list_(is_all: bool, as_json: bool) -> None:
    """List the prompts with their labels and split."""

    async def run() -> None:
        async with reading() as log:
            found = [log.history.prompts[name] for name in sorted(log.history.prompts)]
            found = [prompt for prompt in found if is_all or not prompt.is_retired]
        if as_json:
            return print_json([prompt.summary() for prompt in found])
        rows = (
            (
                p.name,
                str(len(p.versions)),
                "retired" if p.is_retired else labels(p),
                shares(p.split),
                description(p),
            )
            for p in found
        )
        print_table(("prompt", "versions", "labels", "split", "description"), rows)

    asyncio.run(run())


@prompts.command()
@click.argument("prompt")
@_json
def show(prompt: str, as_json: bool) -> None:
    """Show the versions and last moves of a prompt, or the text of one."""
    reference = reference_of(prompt)
    is_whole = reference.label is None and reference.version is None

    async def run() -> None:
        async with reading() as log:
            found = prompt_of(log, reference.name)
            version = None if is_whole else version_of(log, prompt)
        if as_json:
            return print_json(version.to_json() if version else found.to_json())
        if version:
            # Without a line more: what is published from it again is the same content.
            text = printable(file_text(version))
            return click.echo(text, nl=not text.endswith("\n"))
        print_table(
            ("version", "labels", "author", "created", "message"),
            (
                (str(v.version), pointing(found, v), v.author, time(v), v.message)
                for v in found.versions.values()
            ),
        )
        for line in (*moves(found), *filter(None, [found.note])):
            click.echo(printable(line, keep=""))
        extras = {"split": shares(found.split), "protected": ", ".join(sorted(found.protected))}
        for name, value in extras.items():
            if value:
                click.echo(f"{name}: {value}")

    asyncio.run(run())


@prompts.command("diff")
@click.argument("old")
@click.argument("new")
def diff_(old: str, new: str) -> None:
    """Show what differs between two versions.

    For example: streamapp prompts diff summarize:1 summarize@latest
    """

    async def run() -> None:
        async with reading() as log:
            before, after = version_of(log, old), version_of(log, new)
        name = reference_of(new).name
        for line in diff(before, after, name=name):
            color = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
            click.secho(printable(line), fg=color)

    asyncio.run(run())


for _command in (label, protect, publish, retire, rollback_, split, stats):
    prompts.add_command(_command)
