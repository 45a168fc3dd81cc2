"""Outcomes of sent records: answers and dead letters, followed until each record has one."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable
from typing import TypeVar

import click
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.structs import RecordMetadata

from streamapp.cli.kafka import answered, reading
from streamapp.cli.tail import headers_of
from streamapp.cli.terminal import counted, progress
from streamapp.records.codec import recover_id
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import ensure_topics

T = TypeVar("T")

#: After so long without any outcome the reason may be that no worker runs, seconds.
SILENCE_S = 15.0


class Outcomes:
    """Counts what became of records, by their ids.

    Attributes:
        kinds: Number of answers, as ``ok``, and of dead letters by kind.
    """

    def __init__(self) -> None:
        self.kinds = Counter[str]()
        self._open = Counter[str]()

    @property
    def left(self) -> int:
        """Records that have no outcome yet."""
        return self._open.total()

    @property
    def dead(self) -> int:
        """Records that became dead letters."""
        return self.kinds.total() - self.kinds["ok"]

    def sent(self, value: bytes, place: RecordMetadata) -> None:
        """Note a record that was delivered; its id is its own, or that of its place."""
        id = recover_id(value) or f"{place.topic}-{place.partition}-{place.offset}"
        self._open[id] += 1

    def ended(self, id: str, kind: str) -> bool:
        """Note an outcome; return whether it is that of a record noted as sent."""
        if not self._open[id]:
            del self._open[id]
            return False
        self._open[id] -= 1
        self.kinds[kind] += 1
        return True

    def told(self) -> str:
        """Return the counts in words."""
        by_kind = ", ".join(f"{n:,} {kind}" for kind, n in sorted(self.kinds.items()))
        left = f"; {counted(self.left, 'record')} without an outcome yet" if self.left else ""
        return f"{counted(self.kinds.total(), 'outcome')}{': ' if by_kind else ''}{by_kind}{left}"


async def awaited(settings: Settings, sending: Awaitable[T], outcomes: Outcomes) -> T:
    """Return what ``sending`` gives, once every record that it noted has its outcome."""
    dead_letters = settings.topic("requests-dlt")
    await answered(settings, ensure_topics(settings))
    topics = [settings.topic("responses"), dead_letters]
    async with reading(settings, topics, from_beginning=False) as stream:
        result = await sending
        with progress() as bar:
            task = bar.add_task("waiting for the outcomes", total=outcomes.left)
            while outcomes.left:
                message = await _next(stream, is_first=not outcomes.kinds)
                if message.topic == dead_letters:
                    headers = headers_of(message)
                    id = headers.get("streamapp.request.id", "")
                    kind = headers.get("streamapp.error.kind", "")
                else:
                    id, kind = json.loads(message.value)["id"], "ok"
                bar.advance(task, outcomes.ended(id, kind))
    return result


async def _next(stream: AIOKafkaConsumer, *, is_first: bool) -> ConsumerRecord:
    """Return the next message; say what may be missing where none comes at first."""
    coming = asyncio.ensure_future(stream.getone())
    try:
        if is_first and not (await asyncio.wait([coming], timeout=SILENCE_S))[0]:
            click.echo(
                "no outcome yet: does a worker run for this topic ('streamapp worker')?"
                " Where its /readyz says 'degraded', records wait for a provider.",
                err=True,
            )
        return await coming
    finally:
        coming.cancel()
