"""Outcomes of sent records: answers and dead letters, followed until each record has one."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

import click
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.structs import RecordMetadata

from streamapp.cli.kafka import answered, reading
from streamapp.cli.message_lines import headers_of
from streamapp.cli.terminal import counted, progress
from streamapp.records.codec import recover_id
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import ensure_topics

T = TypeVar("T")

#: After so long without any outcome the reason may be that no worker runs, seconds.
SILENCE_S = 15.0


class Outcomes:
    """Counts what became of records, by their ids.

    Args:
        began_at: When the first of them was sent, seconds since the epoch.

    Attributes:
        kinds: Number of answers, as ``ok``, and of dead letters by kind.
        repeated: Number of the answers that were there before: of an id that had been answered.
        left: Records that have no outcome yet.
    """

    def __init__(self, began_at: float) -> None:
        self.kinds = Counter[str]()
        self.repeated = self.left = 0
        self._began_at = began_at
        self._open = Counter[str]()
        self._answers = set[tuple[str, str]]()

    @property
    def dead(self) -> int:
        """Records that became dead letters."""
        return self.kinds.total() - self.kinds["ok"]

    def sent(self, value: bytes, place: RecordMetadata) -> None:
        """Note a record that was delivered; its id is its own, or that of its place."""
        id = recover_id(value) or f"{place.topic}-{place.partition}-{place.offset}"
        self._open[id] += 1
        self.left += 1

    def ended(self, id: str, kind: str) -> bool:
        """Note an outcome; return whether it is that of a record noted as sent."""
        if id not in self._open:
            return False
        self._open[id] -= 1
        if not self._open[id]:
            del self._open[id]
        self.left -= 1
        self.kinds[kind] += 1
        return True

    def answered(self, id: str, created_at: str, *, ahead_s: float = 0.0) -> bool:
        """Note an answer; return as `ended`.

        Args:
            id: Of the record.
            created_at: When the answer was made, ISO 8601, by the worker's clock.
            ahead_s: How far this clock is ahead of that one, or more, seconds.
        """
        if not self.ended(id, "ok"):
            return False
        is_known = (id, created_at) in self._answers
        self._answers.add((id, created_at))
        self.repeated += is_known or _is_before(created_at, self._began_at - ahead_s)
        return True

    def told(self) -> str:
        """Return the counts in words, repeated answers on a line of their own."""
        by_kind = ", ".join(f"{n:,} {kind}" for kind, n in sorted(self.kinds.items()))
        left = f"; {counted(self.left, 'record')} without an outcome yet" if self.left else ""
        told = f"{counted(self.kinds.total(), 'outcome')}{': ' if by_kind else ''}{by_kind}{left}"
        if not self.repeated:
            return told
        answers = counted(self.repeated, "repeated answer")
        return (
            f"{told}\n{answers}, at no cost: an equal record with the same id was answered before"
        )


def _is_before(created_at: str, seconds: float) -> bool:
    try:
        return datetime.fromisoformat(created_at).timestamp() < seconds
    except (ValueError, OverflowError):  # of another program
        return False


async def awaited(
    settings: Settings,
    sending: Callable[[], Awaitable[T]],
    outcomes: Outcomes,
    *,
    timeout_s: float | None = None,
) -> T:
    """Return what ``sending`` gives, once every record that it noted has its outcome.

    Args:
        settings: Name the topics.
        sending: Called once outcomes are listened for; notes each record in ``outcomes``.
        outcomes: Some are left where the time was up.
        timeout_s: Longest wait behind the last record that was sent, seconds; None for any.
    """
    dead_letters = settings.topic("requests-dlt")
    await answered(settings, ensure_topics(settings))
    topics = [settings.topic("responses"), dead_letters]
    async with reading(settings, topics, from_beginning=False) as stream:
        result = await sending()
        with progress() as bar:
            task = bar.add_task("waiting for the outcomes", total=outcomes.left)
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    while outcomes.left:
                        message = await next_of(stream, is_first=not outcomes.kinds)
                        is_dead = message.topic == dead_letters
                        bar.advance(task, noted(outcomes, message, is_dead=is_dead))
    return result


def noted(outcomes: Outcomes, message: ConsumerRecord, *, is_dead: bool) -> bool:
    """Note what a message says; return whether it is the outcome of one of the records."""
    if not is_dead:
        try:
            answer = json.loads(message.value)
            id, created_at = str(answer["id"]), str(answer.get("created_at"))
        except (ValueError, TypeError, LookupError):  # of another program, or a deletion
            return False
        # The worker wrote its time beside it a moment ago.
        ahead_s = time.time() - message.timestamp / 1000
        return outcomes.answered(id, created_at, ahead_s=ahead_s)
    headers = headers_of(message)
    return outcomes.ended(
        headers.get("streamapp.request.id", ""), headers.get("streamapp.error.kind", "")
    )


async def next_of(
    stream: AIOKafkaConsumer, *, is_first: bool, silence_s: float = SILENCE_S
) -> ConsumerRecord:
    """Return the next message; say what may be missing where none comes at first."""
    coming = asyncio.ensure_future(stream.getone())
    try:
        if is_first and not (await asyncio.wait([coming], timeout=silence_s))[0]:
            click.echo(
                "no outcome yet: does a worker run for this topic ('streamapp worker')? Its"
                " /readyz names under 'degraded' what records may wait for: a provider, a budget,"
                " an MCP server.",
                err=True,
            )
        return await coming
    finally:
        coming.cancel()
