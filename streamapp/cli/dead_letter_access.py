"""The dead-letter topic for commands: read as far as it goes, and sent again from."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from streamapp.cli.kafka import answered, producing
from streamapp.cli.terminal import progress
from streamapp.errors import StreamappError
from streamapp.records.dead_letter import Headers, pairs
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import ensure_topics, partition_counts
from streamapp.streaming.dead_letters.reader import DeadLetterReader, Seen
from streamapp.streaming.dead_letters.replay import Replay, targets, verdict
from streamapp.streaming.dead_letters.stored import Filter, StoredDeadLetter

#: Which ones: by a filter, or by partitions and offsets.
Wanted = Filter | Sequence[tuple[int, int]]

#: Is told place, dead letter (None where none stands) and result.
OnResult = Callable[[str, StoredDeadLetter | None, str], object]


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[DeadLetterReader]:
    """Give the dead letters as they are now.

    Raises:
        StreamappError: There is no such topic yet, or no broker answers.
    """
    topic = settings.topic("requests-dlt")
    topics = [topic, settings.topic("requests-dlt-replays")]
    counts = await answered(settings, partition_counts(settings, topics))
    if topic not in counts:
        raise StreamappError(f"there is no topic {topic} yet: a worker creates it at its start")
    async with DeadLetterReader(settings, counts) as log:
        yield log


async def would_replay(settings: Settings, wanted: Wanted, *, on_result: OnResult) -> Seen:
    """Say what would become of each dead letter; nothing is sent."""
    async with reading(settings) as log:
        await _plan(settings, log, wanted, await _replayed(log, wanted), on_result)
        return log.seen


async def replay(
    settings: Settings, wanted: Wanted, *, rate_per_s: float, on_result: OnResult
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

    async with reading(settings) as log, producing(settings) as producer:
        replayed = await _replayed(log, wanted)
        await _plan(settings, log, wanted, set(replayed), count)

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

        with progress() as bar:
            task = bar.add_task("sending again", total=total)

            def note(dead_letter: StoredDeadLetter, result: str) -> None:
                on_result(dead_letter.place, dead_letter, result)
                bar.advance(task, result == "sent")

            await Replay(settings, send)(
                _dead_letters(log, wanted), replayed, rate_per_s=rate_per_s, on_result=note
            )
        return log.seen


async def _plan(
    settings: Settings,
    log: DeadLetterReader,
    wanted: Wanted,
    replayed: set[bytes],
    on_result: OnResult,
) -> None:
    missing = set(() if isinstance(wanted, Filter) else wanted)
    topics = targets(settings)
    with progress() as bar:
        task = bar.add_task("reading dead letters", total=log.size)
        async for dead_letter in _dead_letters(log, wanted):
            missing.discard((dead_letter.partition, dead_letter.offset))
            result = verdict(dead_letter, topics, replayed)
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
