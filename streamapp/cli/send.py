"""`streamapp send`: produce the records of a file, in their order."""

import asyncio
import json
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Iterable
from typing import IO

import click
from aiokafka.errors import KafkaError

from streamapp.cli.group import EXIT_CONFIGURATION, Ended
from streamapp.cli.kafka import answered, client_settings, producing
from streamapp.cli.lines import Line, key_of, problem, read_lines
from streamapp.cli.terminal import progress
from streamapp.errors import InvalidRecord, StreamappError
from streamapp.processors.registry import Registry
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import ensure_topics

#: Problems shown before the rest is only counted.
SHOWN_PROBLEMS = 20
#: Records sent ahead of the oldest one that is not delivered yet.
AHEAD = 5_000


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--key", metavar="FIELD", help="Field whose value is the record's key: id, metadata.x"
)
@click.option("--topic", help="Default: STREAMAPP_TOPIC_PREFIX.requests")
@click.option("--check/--no-check", default=True, help="Check every record before any is sent.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
def send(file: IO[bytes], key: str | None, topic: str | None, check: bool, as_json: bool) -> None:
    """Send the request records of FILE, one JSON object a line; - is stdin.

    The order of the file is kept per partition, also over retries. Without --key records have
    no key: they are answered in any order, as fast as can be. With it, records of one key are
    answered one after the other.

    Exit codes: 0 all delivered; 1 not all delivered; 2 a line is wrong and nothing was sent.
    """
    settings = client_settings()
    lines = _seekable(file)
    total = _checked(lines, key, settings) if check else None
    started_at = time.monotonic()
    topic = topic or settings.topic("requests")
    sent = asyncio.run(_send(settings, read_lines(lines), topic=topic, key=key, total=total))
    duration_s = round(time.monotonic() - started_at, 2)
    if as_json:
        click.echo(json.dumps({"topic": topic, "sent": sent, "duration_s": duration_s}))
    else:
        click.echo(f"sent {sent:,} records to {topic} in {duration_s:g} s", err=True)


def _seekable(file: IO[bytes]) -> IO[bytes]:
    """Return the file, or a copy of a pipe, which can be read only once."""
    if file.seekable():
        return file
    copy = tempfile.SpooledTemporaryFile(max_size=64_000_000)  # noqa: SIM115 - lives on
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy


def _checked(file: IO[bytes], key: str | None, settings: Settings) -> int:
    """Return the number of records and rewind; end with exit 2 where one is wrong."""
    decode = Registry.load(settings.processor_modules).decode
    wrong, total = 0, 0
    for line in read_lines(file):
        total += 1
        found = problem(line, key, decode)
        if found:
            wrong += 1
            if wrong <= SHOWN_PROBLEMS:
                click.echo(found, err=True)
    if wrong:
        raise Ended(
            f"{wrong:,} of {total:,} records are wrong, nothing was sent:"
            " correct them, or use --no-check",
            EXIT_CONFIGURATION,
        )
    file.seek(0)
    return total


async def _send(
    settings: Settings, lines: Iterable[Line], *, topic: str, key: str | None, total: int | None
) -> int:
    """Send all lines and return their number once all are delivered.

    Raises:
        StreamappError: The broker did not take a record; names its line.
    """
    await answered(settings, ensure_topics(settings))
    waiting: deque[tuple[Line, Awaitable[object]]] = deque()
    sent = 0

    def refused(line: Line, error: KafkaError) -> StreamappError:
        return StreamappError(
            f"line {line.number} was not delivered: {type(error).__name__};"
            f" the {sent:,} records before it were"
        )

    async def deliver(ahead: int) -> None:
        nonlocal sent
        while len(waiting) > ahead:
            line, delivery = waiting.popleft()
            try:
                await delivery
            except KafkaError as error:
                raise refused(line, error) from error
            sent += 1
            bar.advance(task)

    with progress() as bar:
        task = bar.add_task(f"sending to {topic}", total=total)
        async with producing(settings) as producer:
            for line in lines:
                try:
                    delivery = await producer.send(topic, line.value, key=_key(line, key))
                except KafkaError as error:
                    await deliver(0)
                    raise refused(line, error) from error
                waiting.append((line, delivery))
                await deliver(AHEAD)
            await producer.flush()
            await deliver(0)
    return sent


def _key(line: Line, field: str | None) -> bytes | None:
    try:
        return key_of(line, field)
    except InvalidRecord:  # only with --no-check
        return None
