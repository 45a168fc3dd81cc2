"""Command-line options that select dead letters, and the words for what is not sent."""

import time
from collections.abc import Callable
from typing import Any

import click

from streamapp.errors import Kind
from streamapp.records.timestamps import parse_timestamp
from streamapp.settings.flows import REQUESTS
from streamapp.streaming.dead_letters.replay import MAX_REPLAYS

#: Why a record is not sent again, by its result.
WHY = {
    "replayed": "sent again before, or written twice around a crash",
    "looping": f"failed again {MAX_REPLAYS} times: remove the cause, then send it by edit",
    "omitted": "too large to stand in a dead letter: send it again from its source",
    "foreign": "of a topic that is not of this app",
    "missing": "there is no dead letter of ours",
    "undelivered": "the broker did not take it",
}

of_flow = click.option(
    "--flow", default=REQUESTS, metavar="NAME", help="Those of this flow; default: request records."
)


class PlaceParam(click.ParamType):
    """A place on the topic as ``list`` prints it: PARTITION@OFFSET."""

    name = "place"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Return partition and offset."""
        partition, _, offset = str(value).partition("@")
        if not all(n.isascii() and n.isdigit() and len(n) < 19 for n in (partition, offset)):
            self.fail(
                f"{value!r} is no place: write PARTITION@OFFSET as in 3@17; `dead-letters list --id"
                " ID` shows that of a record",
                param,
                ctx,
            )
        return int(partition), int(offset)


class PlaceOrIdParam(PlaceParam):
    """A place on the topic, or else the id of a record."""

    name = "place or id"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return partition and offset, or the id."""
        partition, _, offset = str(value).partition("@")
        if partition.isdigit() and offset.isdigit():
            return super().convert(value, param, ctx)
        return value


class TimestampParam(click.ParamType):
    """A point in time."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return seconds since the epoch."""
        try:
            return parse_timestamp(str(value), now=time.time())
        except ValueError as error:
            self.fail(str(error), param, ctx)


def filters(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which dead letters are meant."""
    for option in (
        click.option("--text", default="", help="Only what holds this text."),
        click.option("--until", type=TimestampParam(), help="Only what was written before."),
        click.option(
            "--since",
            type=TimestampParam(),
            help="Only what was written since: 30m, 2h, 7d, 2030-01-31.",
        ),
        click.option("--id", "ids", multiple=True, help="Only this record; may be repeated."),
        click.option(
            "--type", "types", multiple=True, help="Only this record type; may be repeated."
        ),
        click.option(
            "--kind",
            "kinds",
            multiple=True,
            type=click.Choice([kind.value for kind in Kind]),
            metavar="KIND",
            help=f"Only this kind; may be repeated. One of {', '.join(Kind)}.",
        ),
    ):
        command = option(command)
    return command
