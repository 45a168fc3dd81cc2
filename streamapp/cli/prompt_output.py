"""Prompts as commands print them: tables for people, JSON for machines."""

import json
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamapp.cli.terminal import printable
from streamapp.prompts.events import Event, Labelled, Protected, Published, Retired, Split
from streamapp.prompts.fold import EventOutcome
from streamapp.prompts.prompt import PRODUCTION, Prompt, Version
from streamapp.records.timestamps import time_text


def said(event: Event, outcome: EventOutcome, before: Prompt | None) -> str:
    """Return the result of a change as a sentence."""
    if isinstance(event, Published):
        if before is not None and outcome.version in before.versions:
            return f"version {outcome.version} had this content already"
        back = ", in use again" if before is not None and before.is_retired else ""
        return f"version {outcome.version}{back}"
    if isinstance(event, Labelled):
        return f"{event.label} is version {event.version}"
    if isinstance(event, Split):
        return f"split {shares(event.shares)}" if event.shares else "no split"
    if isinstance(event, Retired):
        return "records may not name it" if event.on else "in use again"
    assert isinstance(event, Protected)
    return f"{event.label} is {'protected' if event.on else 'no longer protected'}"


def stays(event: Event, outcome: EventOutcome, prompt: Prompt) -> str | None:
    """Return why the label of a text does not point at its version, and what moves it there."""
    if not isinstance(event, Published) or event.label is None:
        return None
    if prompt.labels.get(event.label) == outcome.version:
        return None
    is_protected = event.label in prompt.protected
    why = "it is protected" if is_protected else "the front matter's counts for a new version alone"
    command = f"streamapp prompts label {prompt.name} {event.label} {outcome.version}"
    force = " --force" if is_protected else ""
    return f"{event.label} was not moved: {why}; {command}{force} moves it"


def labels(prompt: Prompt) -> str:
    """Return each label with its version."""
    return ", ".join(f"{label}={version}" for label, version in sorted(prompt.labels.items()))


def pointing(prompt: Prompt, version: Version) -> str:
    """Return the labels that point at the version."""
    return ", ".join(sorted(k for k, v in prompt.labels.items() if v == version.version))


def moves(prompt: Prompt) -> list[str]:
    """Return a line for each label that was moved: from where to where, when, by whom and why."""
    return [
        f"{label}: from {move.before} to {move.version} at {time_text(move.created_at)}"
        + (f" by {move.author}" if move.author else "")
        + (f": {move.message}" if move.message else "")
        for label, move in sorted(prompt.moved.items())
        if move.before is not None
    ]


def shares(shares: Any) -> str:
    """Return the shares of a split."""
    return ", ".join(f"{label}={percent}" for label, percent in (shares or {}).items())


def description(prompt: Prompt) -> str:
    """Return what the version in production says it is for."""
    version = prompt.versions.get(prompt.labels.get(PRODUCTION, 0))
    return version.settings.description if version else ""


def time(version: Version) -> str:
    """Return when the version was made."""
    return time_text(version.created_at) if version.created_at else ""


def print_json(value: Any) -> None:
    """Print one JSON value on one line."""
    click.echo(json.dumps(value, ensure_ascii=False))


def print_table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table without lines; what is too wide goes on in the next line, whole."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(table)
