"""The dead-letter topic for commands: read to its end, and replayed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace as replaced
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from streamapp.cli.kafka import answered, producing
from streamapp.cli.terminal import progress
from streamapp.errors import ConfigurationError, StreamappError
from streamapp.flows.topics import FlowTopics, flow_topics
from streamapp.processors.registry import Registry
from streamapp.records.dead_letter import Headers, pairs
from streamapp.settings import Settings
from streamapp.settings.flows import REQUESTS
from streamapp.streaming.broker.topics import ensure_topics, partition_counts
from streamapp.streaming.dead_letters.reader import DeadLetterReader, Seen
from streamapp.streaming.dead_letters.replay import Replay, verdict
from streamapp.streaming.dead_letters.source import (
    DeadLetterSource,
    flow_source,
    requests_source,
)
from streamapp.streaming.dead_letters.stored import Filter, StoredDeadLetter
from streamapp.streaming.delivery.emitter import Send

#: Which ones: by a filter, or by partitions and offsets.
Wanted = Filter | Sequence[tuple[int, int]]

#: Is told place, dead letter (None where none stands) and result.
OnResult = Callable[[str, StoredDeadLetter | None, str], object]


@asynccontextmanager
async def reading(settings: Settings, source: DeadLetterSource) -> AsyncIterator[DeadLetterReader]:
    """Give the dead letters as they are now; raises where no broker answers."""
    async with DeadLetterReader(settings, source) as log:
        yield log


async def source_of(settings: Settings, flow: str = REQUESTS) -> DeadLetterSource:
    """Return where the dead letters of a flow stand.

    Raises:
        ConfigurationError: There is no such flow.
        StreamappError: There is no such topic yet, or no broker answers.
    """
    own = requests_source(settings)
    wanted = [own.topic, own.notes, *own.targets]
    topics: FlowTopics | None = None
    if flow != REQUESTS:
        flows = flow_topics(settings, Registry.load(settings.processor_modules))
        if flow not in flows:
            known = ", ".join((REQUESTS, *flows))
            raise ConfigurationError(f"there is no flow '{flow}'; there are {known}")
        topics = flows[flow]
        wanted = [topics.dead_letters, own.notes, topics.input]
    counts = await answered(settings, partition_counts(settings, wanted))
    if wanted[0] not in counts:
        raise StreamappError(f"there is no topic {wanted[0]} yet: a worker creates it at its start")
    source = own if topics is None else flow_source(settings, topics, counts)
    return replaced(
        source,
        partitions=counts[source.topic],
        note_partitions=counts.get(source.notes, 0),
    )


async def would_replay(
    settings: Settings, wanted: Wanted, *, on_result: OnResult, flow: str = REQUESTS
) -> Seen:
    """Say what would become of each dead letter; nothing is sent."""
    source = await source_of(settings, flow)
    async with reading(settings, source) as log:
        await _plan(source, log, wanted, await _replayed(log, wanted), on_result)
        return log.seen


async def replay(
    settings: Settings,
    wanted: Wanted,
    *,
    rate_per_s: float,
    on_result: OnResult,
    flow: str = REQUESTS,
) -> Seen:
    """Send the records again.

    The topic is read twice, first for how many there are: nothing but counts is kept.
    """
    await answered(settings, ensure_topics(settings))
    total = 0

    def count(place: str, dead_letter: StoredDeadLetter | None, result: str) -> None:
        nonlocal total
        total += result == "sent"
        if dead_letter is None:
            on_result(place, dead_letter, result)

    source = await source_of(settings, flow)
    async with reading(settings, source) as log, producing(settings) as producer:
        replayed = await _replayed(log, wanted)
        await _plan(source, log, wanted, set(replayed), count)

        with progress() as bar:
            task = bar.add_task("sending again", total=total)

            def note(dead_letter: StoredDeadLetter, result: str) -> None:
                on_result(dead_letter.place, dead_letter, result)
                bar.advance(task, result == "sent")

            await Replay(source, _sender(producer))(
                _dead_letters(log, wanted), replayed, rate_per_s=rate_per_s, on_result=note
            )
        return log.seen


async def newest_of(settings: Settings, source: DeadLetterSource, id: str) -> tuple[int, int]:
    """Return the place of a record's newest dead letter.

    Raises:
        StreamappError: It has none.
    """
    async with reading(settings, source) as log:
        found = [(one.at, one.partition, one.offset) async for one in log.read(Filter(ids=[id]))]
    if not found:
        raise StreamappError(f"there is no dead letter of a record {id!r}")
    _, partition, offset = max(found)
    return partition, offset


async def stored_at(
    settings: Settings, source: DeadLetterSource, place: tuple[int, int]
) -> tuple[StoredDeadLetter | None, str]:
    """Return the dead letter at a place, and what would become of it; None where none stands."""
    async with reading(settings, source) as log:
        stored = [StoredDeadLetter.of(record) async for record in log.at([place])]
        replayed = await log.replayed()
    if not stored or stored[0] is None:
        return None, "missing"
    return stored[0], verdict(stored[0], source.targets, replayed)


async def send_instead(
    settings: Settings, source: DeadLetterSource, dead_letter: StoredDeadLetter, value: bytes
) -> RecordMetadata:
    """Send a corrected value in place of a dead letter's record; return where it stands."""
    await answered(settings, ensure_topics(settings))
    async with producing(settings) as producer:
        return await Replay(source, _sender(producer)).instead(dead_letter, value)


def _sender(producer: AIOKafkaProducer) -> Send:
    async def send(
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Headers,
    ) -> Awaitable[Any]:
        delivery: Awaitable[Any] = await producer.send(
            topic, value, key=key, partition=partition, headers=pairs(headers)
        )
        return delivery

    return send


async def _plan(
    source: DeadLetterSource,
    log: DeadLetterReader,
    wanted: Wanted,
    replayed: set[bytes],
    on_result: OnResult,
) -> None:
    missing = set(() if isinstance(wanted, Filter) else wanted)
    with progress() as bar:
        task = bar.add_task("reading dead letters", total=log.size)
        async for dead_letter in _dead_letters(log, wanted):
            missing.discard((dead_letter.partition, dead_letter.offset))
            result = verdict(dead_letter, source.targets, replayed)
            if result == "sent":
                replayed.add(dead_letter.mark)
            on_result(dead_letter.place, dead_letter, result)
            bar.update(task, completed=log.seen.records)
    for partition, offset in sorted(missing):
        on_result(f"{partition}@{offset}", None, "missing")


async def _replayed(log: DeadLetterReader, wanted: Wanted) -> set[bytes]:
    return await log.replayed(since=wanted.since if isinstance(wanted, Filter) else None)


def _dead_letters(log: DeadLetterReader, wanted: Wanted) -> AsyncIterator[StoredDeadLetter]:
    if isinstance(wanted, Filter):
        return log.read(wanted)
    return (dead_letter async for r in log.at(wanted) if (dead_letter := StoredDeadLetter.of(r)))
