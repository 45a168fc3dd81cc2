"""`streamapp send`: produce the records of a file, in their order."""

import asyncio
import json
import re
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import IO

import click
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from aiokafka.structs import RecordMetadata

from streamapp.cli.decoding import decoder
from streamapp.cli.file_ids import FileIds
from streamapp.cli.group import EXIT_CONFIGURATION, EXIT_FAILED, Ended
from streamapp.cli.kafka import answered, client_settings, producing
from streamapp.cli.lines import Line, id_key, key_of, mend_of, problem, read_lines
from streamapp.cli.outcomes import Outcomes, awaited
from streamapp.cli.terminal import counted, progress
from streamapp.errors import InvalidRecord, StreamappError
from streamapp.records.request import Request
from streamapp.settings import Settings
from streamapp.settings.flows import TOPIC_NAME
from streamapp.streaming.broker.topics import ensure_topics, partition_counts, topic_specs

#: Problems shown before the rest is only counted.
SHOWN_PROBLEMS = 20
#: Records sent ahead of the oldest one that is not delivered yet.
AHEAD = 5_000


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--key",
    metavar="FIELD",
    help="Field whose value is the record's key, as metadata.x; without it a request's id is.",
)
@click.option(
    "--topic", metavar="NAME", help="Another topic than that of the requests (llm.requests)."
)
@click.option(
    "--check/--no-check",
    default=True,
    help="Check every record by the settings here before any is sent.",
)
@click.option("--wait", "is_waiting", is_flag=True, help="End when every record has its outcome.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="With --wait: longest wait behind the last record sent; no limit without it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
def send(
    file: IO[bytes],
    key: str | None,
    topic: str | None,
    check: bool,
    is_waiting: bool,
    timeout_s: float | None,
    as_json: bool,
) -> None:
    """Send the request records of FILE, one JSON object a line; - is stdin.

    The order of the file is kept per partition, also over retries. With --key, records of one key
    are answered one after the other. Without it a request's key is its id, and one without an id
    has none: they are answered in any order, as fast as can be. An id that is sent again gets the
    stored answer where it has the same key again; a request whose id an earlier line has with
    other content is wrong. With --topic they are the records of another topic, as the input of a
    flow, in its own shape, and have no key but that of --key.

    With --wait the summary counts the outcomes by kind, and the answers that are repeated since
    their id was answered before; the wait has a time of its own beside that of sending. What has
    none when --timeout is over stays on the topic.

    Exit codes: 0 all delivered, and with --wait answered; 1 some were not; 2 a line is wrong and
    nothing was sent.
    """
    if timeout_s and not is_waiting:
        raise Ended("send: --timeout belongs to --wait", EXIT_CONFIGURATION)
    settings = client_settings()
    if is_waiting and topic:
        raise Ended("send: --wait follows the requests' topic: leave out --topic", 2)
    lines = _seekable(file)
    topic = _checked_topic(settings, topic)
    mend = "use a producer with a serializer, or --no-check"
    decode = decoder(settings, topic, command="send", mend=mend) if check else None
    total = _checked(lines, key, decode) if decode else None
    outcomes = Outcomes(time.time())
    keyed = partial(_key, field=key, is_request=topic == settings.topic("requests"))
    send_all = partial(
        _send, settings, read_lines(lines), topic=topic, key=keyed, total=total, on=outcomes
    )
    timed = partial(_timed, send_all, topic=topic, is_quiet=as_json)
    try:
        sent = asyncio.run(
            awaited(settings, timed, outcomes, timeout_s=timeout_s) if is_waiting else timed()
        )
    except KeyboardInterrupt:
        if not is_waiting:
            raise
        raise Ended(f"interrupted: {outcomes.told()}", EXIT_FAILED) from None
    waited_s = round(time.monotonic() - sent.at, 2)
    if as_json:
        summary = {"topic": topic, "sent": sent.count, "duration_s": sent.duration_s}
        waited = {"outcomes": outcomes.kinds, "repeated": outcomes.repeated, "left": outcomes.left}
        waited["waited_s"] = waited_s
        click.echo(json.dumps(summary | (waited if is_waiting else {})))
    elif is_waiting:
        click.echo(f"after {waited_s:g} s more: {outcomes.told()}", err=True)
    if outcomes.left and is_waiting:
        raise Ended(
            f"{counted(outcomes.left, 'record')} without an outcome after {timeout_s:g} s: on the"
            " topic all the same, for a worker to answer ('streamapp flows' shows the lag; a"
            " worker's /readyz names under 'degraded' what records wait for, and its log says"
            " `waiting_for_limits`)",
            EXIT_FAILED,
        )
    if is_waiting and outcomes.dead:
        raise Ended(f"{counted(outcomes.dead, 'record')} not answered: see dead-letters list", 1)


@dataclass(frozen=True, slots=True)
class _Sent:
    """How many records were delivered, how long that took, and when it ended, monotonic."""

    count: int
    duration_s: float
    at: float


async def _timed(sending: Callable[[], Awaitable[int]], *, topic: str, is_quiet: bool) -> _Sent:
    """Return what ``sending`` took, and say so at once: outcomes may be long in coming."""
    started_at = time.monotonic()
    count = await sending()
    ended_at = time.monotonic()
    sent = _Sent(count, round(ended_at - started_at, 2), ended_at)
    if not count:
        click.echo("the file has no records", err=True)
    if not is_quiet:
        click.echo(f"sent {counted(count, 'record')} to {topic} in {sent.duration_s:g} s", err=True)
    return sent


def _checked_topic(settings: Settings, topic: str | None) -> str:
    """Return the topic to send to; end with exit 2 where it cannot be one."""
    requests = settings.topic("requests")
    if topic is None or topic == requests:
        return requests
    if not re.fullmatch(TOPIC_NAME, topic):
        problem = "no topic: letters, digits, '.', '_' and '-', 249 at most"
        raise Ended(f"send: {topic!r} is {problem}", EXIT_CONFIGURATION)
    if topic in {spec.name for spec in topic_specs(settings)}:
        click.echo(
            f"note: {topic} is what workers write: its readers take these for theirs", err=True
        )
    return topic


def _seekable(file: IO[bytes]) -> IO[bytes]:
    """Return the file, or a copy of a pipe, which can be read only once."""
    if file.seekable():
        return file
    copy = tempfile.SpooledTemporaryFile(max_size=64_000_000)  # noqa: SIM115 - lives on
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy


def _checked(file: IO[bytes], key: str | None, decode: Callable[[bytes], object]) -> int:
    """Return the number of records and rewind; end with exit 2 where one is wrong."""
    wrong, total, ids = 0, 0, FileIds()
    for line in read_lines(file):
        total += 1
        found = problem(line, key, partial(_decoded, line, decode, ids))
        if found:
            wrong += 1
            if wrong <= SHOWN_PROBLEMS:
                click.echo(found, err=True)
    if wrong:
        raise Ended(
            f"{wrong:,} of {counted(total, 'record')} {'is' if wrong == 1 else 'are'} wrong,"
            f" nothing was sent: {mend_of(file)}, or use --no-check",
            EXIT_CONFIGURATION,
        )
    file.seek(0)
    return total


def _decoded(line: Line, decode: Callable[[bytes], object], ids: FileIds, value: bytes) -> object:
    """Return what ``decode`` does; where that is a request, its id stands for one content."""
    decoded = decode(value)
    if isinstance(decoded, Request):
        ids.check(decoded.id, line)
        ids.keep(decoded.id, line)
    return decoded


async def _send(
    settings: Settings,
    lines: Iterable[Line],
    *,
    topic: str,
    key: Callable[[Line], bytes | None],
    total: int | None,
    on: Outcomes,
) -> int:
    """Send all lines and return their number once all are delivered; ``on`` hears of each.

    Raises:
        StreamappError: The broker did not take a record; names its line.
    """
    await answered(settings, ensure_topics(settings))
    if topic not in await answered(settings, partition_counts(settings, [topic])):
        click.echo(f"there is no topic {topic}: some brokers create it now", err=True)
    waiting: deque[tuple[Line, Awaitable[RecordMetadata]]] = deque()
    sent = 0

    def refused(line: Line, error: KafkaError) -> StreamappError:
        if isinstance(error, UnknownTopicOrPartitionError) and not sent:
            return StreamappError(f"there is no topic {topic}: create it, or mend the name")
        return StreamappError(
            f"line {line.number} was not delivered: {type(error).__name__};"
            f" the {sent:,} records before it were"
        )

    async def deliver(ahead: int) -> None:
        nonlocal sent
        while len(waiting) > ahead:
            line, delivery = waiting.popleft()
            try:
                place = await delivery
            except KafkaError as error:
                raise refused(line, error) from error
            sent += 1
            on.sent(line.value, place)
            bar.advance(task)

    with progress() as bar:
        task = bar.add_task(f"sending to {topic}", total=total)
        async with producing(settings) as producer:
            for line in lines:
                try:
                    delivery = await producer.send(topic, line.value, key=key(line))
                except KafkaError as error:
                    await deliver(0)
                    raise refused(line, error) from error
                waiting.append((line, delivery))
                await deliver(AHEAD)
            await producer.flush()
            await deliver(0)
    return sent


def _key(line: Line, *, field: str | None, is_request: bool) -> bytes | None:
    if field is None:
        return id_key(line) if is_request else None
    try:
        return key_of(line, field)
    except InvalidRecord:  # only with --no-check
        return None
