"""`streamapp dead-letters`: what failed, why, and sending it again once the cause is gone."""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import click

from streamapp.cli.dead_letter_access import reading, source_of, would_replay
from streamapp.cli.dead_letter_access import replay as replay_
from streamapp.cli.dead_letter_edit import edit
from streamapp.cli.dead_letter_options import WHY, PlaceOrIdParam, PlaceParam, filters, of_flow
from streamapp.cli.dead_letter_text import (
    by_kind,
    detail_lines,
    foreign_words,
    json_line,
    summary_line,
    text_lines,
)
from streamapp.cli.flow_letters import tell_of_flows
from streamapp.cli.group import EXIT_CONFIGURATION, EXIT_FAILED, Commands, Ended
from streamapp.cli.kafka import client_settings
from streamapp.cli.terminal import counted, one_line, progress
from streamapp.errors import StreamappError
from streamapp.settings import Settings
from streamapp.streaming.dead_letters.service import Newest
from streamapp.streaming.dead_letters.stored import Filter, StoredDeadLetter

#: Dead letters that a list for people shows where no other number is asked for.
LISTED = 100
#: Records named one by one that are not sent; the rest is only counted.
SHOWN_REFUSALS = 20

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("dead-letters", cls=Commands)
def dead_letters() -> None:
    """Look at what failed, and send it again.

    PLACE is PARTITION@OFFSET on the dead-letter topic, as 'list' prints it.
    """


dead_letters.add_command(edit)


@dead_letters.command("list")
@filters
@click.option(
    "--limit",
    type=click.IntRange(0),
    help=f"Only so many of the newest; 0 is all. Default: {LISTED}, all with --json.",
)
@click.option("--unsent", "is_unsent", is_flag=True, help="Only those not sent again yet.")
@of_flow
@_json
def list_(limit: int | None, is_unsent: bool, flow: str, as_json: bool, **conditions: Any) -> None:
    """List dead letters, the newest first.

    With --limit 0, or --json without a limit, all of them in the order of the topic.
    With --json one object a line.
    """
    limit = (0 if as_json else LISTED) if limit is None else limit
    show = json_line if as_json else text_lines
    asyncio.run(_list(Filter(**conditions), limit, flow, show, is_unsent=is_unsent))


async def _list(
    wanted: Filter,
    limit: int,
    flow: str,
    show: Callable[[StoredDeadLetter, bool], str],
    *,
    is_unsent: bool,
) -> None:
    newest, kinds, sent, settings = Newest(limit), Counter[str](), 0, client_settings()
    async with reading(settings, await source_of(settings, flow)) as log:
        replayed = await log.replayed(since=wanted.since)
        # Lines and a bar on one terminal disturb each other.
        with progress(is_hidden=not limit and sys.stdout.isatty()) as bar:
            task = bar.add_task("reading dead letters", total=log.size)
            async for dead_letter in log.read(wanted):
                bar.update(task, completed=log.seen.records)
                if is_unsent and dead_letter.is_in(replayed):
                    continue
                kinds[dead_letter.headers["streamapp.error.kind"]] += 1
                sent += dead_letter.is_in(replayed)
                if limit:
                    newest.add(dead_letter)
                else:
                    click.echo(show(dead_letter, dead_letter.is_in(replayed)))
        for dead_letter in newest.dead_letters():
            click.echo(show(dead_letter, dead_letter.is_in(replayed)))
        click.echo(summary_line(kinds, sent, log.seen, limit), err=True)
    await tell_of_flows(settings, flow, since=wanted.since)


@dead_letters.command()
@click.argument("what", metavar="PLACE|ID...", nargs=-1)
@click.option("--id", "ids", multiple=True, help="The id of a record, also one like a PLACE.")
@of_flow
@_json
def show(what: tuple[str, ...], ids: tuple[str, ...], flow: str, as_json: bool) -> None:
    """Show all there is of single dead letters.

    By their PLACE, or by the ID of the record.
    """
    if not (what or ids):
        raise Ended("show: give PLACEs, IDs or --id ID", EXIT_CONFIGURATION)
    asyncio.run(_show(what, ids, flow, as_json))


async def _show(what: tuple[str, ...], named: tuple[str, ...], flow: str, as_json: bool) -> None:
    settings = client_settings()
    places = {text: PlaceParam().convert(text, None, None) for text in what if _is_place(text)}
    at, of = set[str](), set[str]()

    def print_one(dead_letter: StoredDeadLetter, replayed: set[bytes]) -> None:
        at.add(dead_letter.place)
        of.add(dead_letter.headers.get("streamapp.request.id", ""))
        detail = dead_letter.detail() | {"replayed": dead_letter.is_in(replayed)}
        click.echo(
            json.dumps(detail, ensure_ascii=False) if as_json else detail_lines(dead_letter, detail)
        )

    async with reading(settings, await source_of(settings, flow)) as log:
        replayed = await log.replayed()
        async for record in log.at(places.values()):
            dead_letter = StoredDeadLetter.of(record)
            if dead_letter:
                print_one(dead_letter, replayed)
        ids = [*named, *(text for text in what if text not in places)]
        if ids:
            async for dead_letter in log.read(Filter(ids=ids)):
                print_one(dead_letter, replayed)
    missing = [text for text in places if text not in at] + [id for id in ids if id not in of]
    if missing:
        await tell_of_flows(settings, flow)
        raise StreamappError(f"there is no dead letter of ours at {', '.join(missing)}")


@dead_letters.command()
@click.argument("what", metavar="[PLACE...|ID...]", type=PlaceOrIdParam(), nargs=-1)
@filters
@click.option(
    "--rate",
    type=click.FloatRange(0, 10_000, min_open=True),
    default=50.0,
    show_default=True,
    help="Records a second.",
)
@click.option("--all", "-y", "--yes", "is_all", is_flag=True, help="Send all, and do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@of_flow
@_json
def replay(
    what: tuple[tuple[int, int] | str, ...],
    flow: str,
    rate: float,
    is_all: bool,
    dry_run: bool,
    as_json: bool,
    **conditions: Any,
) -> None:
    """Send records of dead letters again, as they were.

    They go to the topic that they stood on. All that fit the options are sent, or those at the
    PLACEs, or those of the records with the IDs. Each is sent once: a command that was
    interrupted can be given again. What fails again is a new dead letter, and is sent again up to
    5 times. Without PLACEs, IDs and options it asks first; --all does not.

    Exit codes: 0 all sent, or sent before; 1 some were not; 2 a usage error.
    """
    places = [one for one in what if not isinstance(one, str)]
    ids = [one for one in what if isinstance(one, str)]
    if (what and any(conditions.values())) or (places and ids):
        raise Ended("replay: give PLACEs alone, IDs alone or options alone", EXIT_CONFIGURATION)
    conditions["ids"] = (*conditions["ids"], *ids)
    started_at = time.monotonic()
    settings, wanted = client_settings(), places or Filter(**conditions)
    if not (places or any(conditions.values()) or is_all or dry_run):
        # What comes after an answer to nothing is not sent unasked.
        dry_run = not _asked(settings, flow, rate)
    tally = _Tally(is_shown=dry_run and not as_json, ids=ids)
    work = (
        would_replay(settings, wanted, on_result=tally.add, flow=flow)
        if dry_run
        else replay_(settings, wanted, rate_per_s=rate, on_result=tally.add, flow=flow)
    )
    try:
        seen = asyncio.run(work)
    except KeyboardInterrupt:
        message = (
            f"interrupted: sent {counted(tally.sent, 'record')} again; the same command goes on"
        )
        raise Ended(message, EXIT_FAILED) from None
    tally.end()
    seconds = round(time.monotonic() - started_at, 2)
    sent, refused = tally.sent, tally.refused
    flows = None
    if not what or refused["missing"]:  # else all that was named is told of
        flows = asyncio.run(tell_of_flows(settings, flow, since=conditions["since"]))
    if as_json:
        summary = {"would_send" if dry_run else "sent": sent, "not_sent": refused}
        summary |= {"foreign_records": seen.foreign, "duration_s": seconds, "flows": flows}
        click.echo(json.dumps(summary))
    else:
        done = "would send" if dry_run else "sent"
        told = f"{done} {counted(sent, 'record')} again in {seconds:g} s"
        reasons = "".join(f"; not sent: {n:,} {WHY[name]}" for name, n in refused.items())
        nothing = "" if sent or refused else "; no dead letter fits"
        click.echo(f"{told}{reasons}{nothing}{foreign_words(seen)}", err=True)
    failed = sum(refused.values()) - refused["replayed"]
    if failed and not dry_run:
        were = "was" if failed == 1 else "were"
        raise Ended(f"{counted(failed, 'record')} {were} not sent again", EXIT_FAILED)


def _asked(settings: Settings, flow: str, rate_per_s: float) -> bool:
    """Say what would be sent, and ask whether all are meant; return False where there is nothing.

    Raises:
        Ended: Nobody can be asked.
        click.Abort: They are not.
    """
    if not sys.stdin.isatty():
        problem = "this would send every dead letter again: name PLACEs, give options, or --all"
        raise Ended(f"replay: {problem}", EXIT_CONFIGURATION)
    kinds = Counter[str]()

    def count(place: str, dead_letter: StoredDeadLetter | None, result: str) -> None:
        if dead_letter and result == "sent":
            kinds[dead_letter.headers["streamapp.error.kind"]] += 1

    asyncio.run(would_replay(settings, Filter(), on_result=count, flow=flow))
    if not kinds:
        return False
    of = f"Dead letters that were not sent again: {by_kind(kinds)}."
    what = f"Their records go to the topics they stood on, {rate_per_s:g} a second at most"
    click.echo(f"{of} {what}; each may be a paid call.", err=True)
    click.confirm(f"Send {counted(kinds.total(), 'record')} again?", abort=True, err=True)
    return True


class _Tally:
    """Counts results, and names the first that are not sent.

    Args:
        is_shown: Whether to print each that is sent, too.
        ids: Of records that are asked for by name.
    """

    def __init__(self, *, is_shown: bool, ids: Iterable[str] = ()) -> None:
        self._awaited = set(ids)
        self.sent = 0
        self.refused = Counter[str]()
        self._is_shown = is_shown
        self._named = 0

    def add(self, place: str, dead_letter: StoredDeadLetter | None, result: str) -> None:
        """Take one result."""
        if dead_letter:
            self._awaited.discard(dead_letter.headers.get("streamapp.request.id", ""))
        if result == "sent":
            self.sent += 1
            if self._is_shown and dead_letter:
                click.echo(text_lines(dead_letter, False))
            return
        self.refused[result] += 1
        # One that was sent before is nothing to act on.
        if result != "replayed" and self._named < SHOWN_REFUSALS:
            self._named += 1
            click.echo(one_line(f"{place} is not sent: {WHY[result]}"), err=True)

    def end(self) -> None:
        """Count the records that were asked for by name and have no dead letter."""
        for id in sorted(self._awaited):
            self.add(f"record {id}", None, "missing")


def _is_place(text: str) -> bool:
    partition, _, offset = text.partition("@")
    return partition.isdigit() and offset.isdigit()
