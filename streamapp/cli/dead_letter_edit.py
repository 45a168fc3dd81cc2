"""`streamapp dead-letters edit`: one failed record, corrected and sent in its own place."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from difflib import unified_diff
from typing import IO

import click

from streamapp.cli.dead_letter_access import newest_of, send_instead, source_of, stored_at
from streamapp.cli.dead_letter_options import WHY, PlaceOrIdParam, of_flow
from streamapp.cli.decoding import decoder, flow_check
from streamapp.cli.flow_letters import tell_of_flows
from streamapp.cli.group import EXIT_CONFIGURATION, EXIT_FAILED, Ended
from streamapp.cli.kafka import client_settings
from streamapp.cli.terminal import printable
from streamapp.errors import Failure, StreamappError
from streamapp.flows.source_record import SourceRecord
from streamapp.settings import Settings
from streamapp.settings.flows import REQUESTS
from streamapp.streaming.dead_letters.source import DeadLetterSource
from streamapp.streaming.dead_letters.stored import StoredDeadLetter

Decode = Callable[[bytes], object]
#: What reading and writing of JSON raise; the second of an exponent that no decimal has.
_NO_JSON = (ValueError, ArithmeticError, RecursionError)


@click.command()
@click.argument("place", metavar="PLACE|ID", type=PlaceOrIdParam(), required=False)
@click.option("--id", "id", metavar="ID", help="The id of the record, also one like a PLACE.")
@click.option(
    "--from",
    "file",
    type=click.File("rb"),
    metavar="FILE",
    help="Take the corrected record from a file, in place of an editor; - is stdin.",
)
@click.option("-y", "--yes", "is_sure", is_flag=True, help="Send it, and do not ask.")
@of_flow
def edit(
    place: tuple[int, int] | str | None,
    id: str | None,
    file: IO[bytes] | None,
    is_sure: bool,
    flow: str,
) -> None:
    """Correct the record of a dead letter, and send it.

    By its PLACE, or by the ID of the record: then it is the newest of that record.
    It is opened in $VISUAL or $EDITOR. What is wrong with its form is told before anything is sent,
    but not what its prompt lacks: `streamapp explain` shows what a worker would make of it. It goes
    to the topic and partition that it stood on, with its key and headers, and the dead
    letter counts as sent again.

    Exit codes: 0 sent; 1 not sent; 2 a usage error, or the corrected record is wrong.
    """
    wanted = id if place is None else place
    if wanted is None or (place is not None and id is not None):
        raise Ended("edit: give a PLACE, an ID or --id ID, one of them", EXIT_CONFIGURATION)
    settings = client_settings()
    source, dead_letter = asyncio.run(_found(settings, wanted, flow))
    if not (is_sure or sys.stdin.isatty()):
        raise Ended("edit: nobody can be asked here: give --yes", EXIT_CONFIGURATION)
    topic, partition, offset = dead_letter.origin
    if topic == settings.topic("prompts"):
        problem = "that is an event of a prompt: publish the prompt again"
        raise Ended(f"edit: {problem}", EXIT_FAILED)
    mend = "send it again from its source"
    decode = decoder(settings, topic, command="edit", mend=mend)
    if flow != REQUESTS:
        key, headers, now = dead_letter.key, list(dead_letter.own), time.time()
        stood = SourceRecord(topic, partition, offset, key, None, headers, timestamp_s=now)
        decode = flow_check(settings, flow, stood, decode)
    before = _shown(dead_letter)
    after = _corrected(before, file, decode)
    for line in difference(before, after):
        click.echo(printable(line), err=True)
    if not is_sure:
        target = f"{topic}, partition {partition}"
        click.confirm(f"Send it to {target}, with its key and headers?", abort=True, err=True)
    sent = asyncio.run(send_instead(settings, source, dead_letter, after.encode()))
    click.echo(f"sent as {sent.topic}-{sent.partition}@{sent.offset}", err=True)


async def _found(
    settings: Settings, place: tuple[int, int] | str, flow: str
) -> tuple[DeadLetterSource, StoredDeadLetter]:
    """Return the dead letter; raises `Ended` where its record cannot be sent."""
    source = await source_of(settings, flow)
    try:
        at = await newest_of(settings, source, place) if isinstance(place, str) else place
    except StreamappError:
        await tell_of_flows(settings, flow)
        raise
    dead_letter, result = await stored_at(settings, source, at)
    if dead_letter is None:
        await tell_of_flows(settings, flow)
    # One that failed again and again is what an editor is for.
    if dead_letter is None or result not in ("sent", "looping"):
        partition, offset = at
        raise Ended(f"{partition}@{offset} is not sent: {WHY[result]}", EXIT_FAILED)
    return source, dead_letter


def difference(before: str, after: str) -> Iterator[str]:
    """Give the lines in which two records differ, JSON by its indented lines."""
    old, new = (_indented(text).splitlines() for text in (before, after))
    return unified_diff(old, new, "failed", "sent", lineterm="")


def _shown(dead_letter: StoredDeadLetter) -> str:
    """Return the record as an editor shows it, without a last newline.

    Raises:
        Ended: It is no text.
    """
    try:
        text = (dead_letter.value or b"").decode("utf-8-sig")
    except UnicodeDecodeError:
        problem = "its bytes are no text: send it again from its source"
        raise Ended(f"{dead_letter.place} is not sent: {problem}", EXIT_FAILED) from None
    return _indented(text)


def _indented(text: str) -> str:
    """Return JSON by lines, unless that would change it: Python writes fewer digits than some."""
    with suppress(*_NO_JSON):
        indented = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        indented.encode()  # half of a surrogate pair is JSON only while it is escaped
        if _exact(indented) == _exact(text):
            return indented
    return text.removesuffix("\n")


def _corrected(before: str, file: IO[bytes] | None, decode: Decode) -> str:
    """Return the record as it is to be sent.

    Raises:
        Ended: It is as it was, or wrong and nobody corrects it further.
    """
    text = before
    while True:
        edited = _text_of(file) if file else _edited(text)
        text = (text if edited is None else edited).removesuffix("\n")
        if _is_same(text, before):
            message = "edit: nothing was changed, and nothing is sent; replay sends it as it was"
            raise Ended(message, EXIT_FAILED)
        problem = _problem(text, decode)
        if problem is None:
            return text
        click.echo(printable(problem), err=True)
        if (
            file
            or not sys.stdin.isatty()
            or not click.confirm("Edit again?", default=True, err=True)
        ):
            raise Ended("edit: the record is wrong, and nothing is sent", EXIT_CONFIGURATION)


def _is_same(text: str, before: str) -> bool:
    """Whether nothing but the white space of JSON differs."""
    try:
        return text == before or bool(_exact(text) == _exact(before))
    except _NO_JSON:
        return False


def _exact(text: str) -> object:
    """Return what JSON says, to compare: each digit and field of it, and 1 is not true."""
    return json.loads(
        text,
        parse_int=lambda digits: ("whole", digits),
        parse_float=lambda digits: ("number", Decimal(digits)),
        object_pairs_hook=lambda pairs: ("object", pairs),
    )


def _edited(text: str) -> str | None:
    try:
        return click.edit(text, extension=".json")
    except UnicodeDecodeError:
        raise Ended("edit: what the editor wrote is no text", EXIT_CONFIGURATION) from None


def _text_of(file: IO[bytes]) -> str:
    try:
        return file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Ended("edit: the file is no text", EXIT_CONFIGURATION) from None


def _problem(text: str, decode: Decode) -> str | None:
    """Return why the record would be a dead letter again, before anybody is asked."""
    try:
        decode(text.encode())
    except Failure as failure:
        return f"{failure.kind.value}: {failure}"
    return None
