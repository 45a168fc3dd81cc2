"""The dead-letter topic, read in bounded memory whatever its size and whoever wrote to it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from streamapp.settings import Settings
from streamapp.streaming.broker.log_ends import STALL_S, log_ends
from streamapp.streaming.broker.security import log_reader_options
from streamapp.streaming.dead_letters.source import DeadLetterSource
from streamapp.streaming.dead_letters.stored import Filter, StoredDeadLetter

#: Places that are nearer to one another are read in one go, offsets.
NEAR = 1_000
#: Offsets of a partition that are read in one go where a log is read backwards.
LARGEST_PAGE = 2_000
#: Clocks of those who write dead letters and notes may differ by so much, milliseconds.
SKEW_MS = 3_600_000

_SILENT = "the broker hands out no more records"

Spans = Mapping[TopicPartition, tuple[int, int]]


@dataclass(slots=True)
class Seen:
    """What was looked at.

    Attributes:
        records: How many, foreign ones included.
        foreign: How many were no dead letters of ours.
        first_foreign: The place of the first of those.
        is_whole: Whether nothing was left out because it is too old.
    """

    records: int = 0
    foreign: int = 0
    first_foreign: str = ""
    is_whole: bool = True


class DeadLetterReader:
    """The topic as it is when the block is entered; what comes later is not read.

    Args:
        settings: How to reach the broker.
        source: Which dead letters.

    Raises:
        KafkaError: Of every method: no broker answered.
    """

    def __init__(self, settings: Settings, source: DeadLetterSource) -> None:
        self._topic = source.topic
        self._notes = source.notes
        self._counts = source.counts
        self._consumer = AIOKafkaConsumer(
            **log_reader_options(settings),
            # A fetch at the end would hold up the next look.
            fetch_max_wait_ms=50,
        )
        self.seen = Seen()

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
            self._spans = await self._whole(self._topic)
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._consumer.stop()

    @property
    def size(self) -> int:
        """Offsets from the oldest record to the newest, over all partitions."""
        return _size(self._spans)

    async def held(self, *, since: float | None) -> int:
        """Return the `size` of what was written at a time or later, seconds since the epoch."""
        spans: Spans = self._spans
        if since is not None:
            spans = await self._from(spans, int(since * 1000))
        return _size(spans)

    async def read(
        self, wanted: Filter, *, newest: int | None = None
    ) -> AsyncIterator[StoredDeadLetter]:
        """Yield the dead letters that are meant, in each partition's order.

        Args:
            wanted: Which ones; ``seen`` tells of all that were looked at.
            newest: Look at so many of each partition only.
        """
        self.seen = Seen()
        spans = dict(self._spans)
        if wanted.since is not None:
            spans = await self._from(spans, int(wanted.since * 1000))
        if newest is not None:
            cut = {tp: (max(start, end - newest), end) for tp, (start, end) in spans.items()}
            self.seen.is_whole, spans = cut == spans, cut
        async for record in self._records(spans):
            self.seen.records += 1
            dead_letter = StoredDeadLetter.of(record)
            if dead_letter is None:
                self.seen.foreign += 1
                place = f"{record.partition}@{record.offset}"
                self.seen.first_foreign = self.seen.first_foreign or place
            elif wanted.fits(dead_letter):
                yield dead_letter

    async def read_own(
        self, wanted: Filter, *, newest: int, enough: int, within_s: float
    ) -> AsyncIterator[StoredDeadLetter]:
        """Yield as `read` does, of one tenant's newest: what others have takes no place in them.

        The log is read backwards, a page of each partition after the other.

        Args:
            wanted: Which ones, of its ``tenant``.
            newest: Look at so many of the tenant's in each partition, a page more at most.
            enough: Look no further in a partition that had so many of those that are meant.
            within_s: Begin no page after so many seconds.
        """
        self.seen = Seen()
        loop = asyncio.get_running_loop()
        began_at, size = loop.time(), newest
        own, meant = Counter[int](), Counter[int]()
        spans = dict(self._spans)
        if wanted.since is not None:
            spans = await self._from(spans, int(wanted.since * 1000))
        while spans and loop.time() - began_at <= within_s:
            page = {tp: (max(start, end - size), end) for tp, (start, end) in spans.items()}
            async for record in self._records(page):
                self.seen.records += 1
                dead_letter = StoredDeadLetter.of(record)
                if dead_letter is None or dead_letter.tenant != wanted.tenant:
                    continue
                own[record.partition] += 1
                if wanted.fits(dead_letter):
                    meant[record.partition] += 1
                    yield dead_letter
            spans = {
                tp: (start, page[tp][0])
                for tp, (start, _) in spans.items()
                if start < page[tp][0]
                and own[tp.partition] < newest
                and meant[tp.partition] < enough
            }
            size = min(2 * size, LARGEST_PAGE)
        self.seen.is_whole = not spans

    async def at(self, places: Iterable[tuple[int, int]]) -> AsyncIterator[ConsumerRecord]:
        """Yield what stands at those partitions and offsets, in each partition's order."""
        wanted: dict[int, set[int]] = {}
        for partition, offset in places:
            wanted.setdefault(partition, set()).add(offset)
        runs = {partition: list(_runs(offsets)) for partition, offsets in wanted.items()}
        while any(runs.values()):
            spans = {}
            for tp, (start, end) in self._spans.items():
                if runs.get(tp.partition):
                    first, last = runs[tp.partition].pop(0)
                    spans[tp] = (max(start, first), min(end, last + 1))
            if not spans:  # partitions that do not exist
                return
            async for record in self._records(spans):
                if record.offset in wanted[record.partition]:
                    yield record

    async def replayed(self, *, since: float | None = None) -> set[bytes]:
        """Return the marks of the records that were sent again.

        Args:
            since: Of dead letters written then or later, seconds since the epoch.
        """
        spans = await self._whole(self._notes)
        if since is not None:
            spans = await self._from(spans, int(since * 1000) - SKEW_MS)
        return {record.value async for record in self._records(spans) if record.value}

    async def _whole(self, topic: str) -> dict[TopicPartition, tuple[int, int]]:
        places = [TopicPartition(topic, number) for number in range(self._counts.get(topic, 0))]
        if not places:
            return {}
        begins = await self._consumer.beginning_offsets(places)
        ends = await log_ends(self._consumer, places)
        return {tp: (begins[tp], max(begins[tp], ends[tp])) for tp in places}

    async def _from(self, spans: Spans, time_ms: int) -> dict[TopicPartition, tuple[int, int]]:
        if not spans:
            return {}
        found = await self._consumer.offsets_for_times(dict.fromkeys(spans, max(0, time_ms)))
        return {
            tp: (max(start, found[tp].offset) if found[tp] else end, end)
            for tp, (start, end) in spans.items()
        }

    async def _records(self, spans: Spans) -> AsyncIterator[ConsumerRecord]:
        consumer, loop = self._consumer, asyncio.get_running_loop()
        ends = {tp: end for tp, (start, end) in spans.items() if start < end}
        if not ends:
            return
        consumer.assign(list(ends))
        for tp in ends:
            consumer.seek(tp, spans[tp][0])
        moved_at = loop.time()
        while ends:
            batches = await consumer.getmany(timeout_ms=200)
            for batch in batches.values():
                for record in batch:
                    place = TopicPartition(record.topic, record.partition)
                    if record.offset < ends.get(place, 0):
                        yield record
            if batches:
                moved_at = loop.time()
            elif loop.time() - moved_at > STALL_S:
                raise KafkaTimeoutError(_SILENT)
            # By position: what stands at the end may be a marker that is never handed out.
            for tp in list(ends):
                if await consumer.position(tp) >= ends[tp]:
                    del ends[tp]
                    consumer.pause(tp)


def _size(spans: Spans) -> int:
    return sum(end - start for start, end in spans.values())


def _runs(offsets: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last of the offsets that are near to one another."""
    first = last = None
    for offset in sorted(offsets):
        if first is not None and last is not None and offset - last > NEAR:
            yield first, last
            first = None
        first, last = (offset if first is None else first), offset
    if first is not None and last is not None:
        yield first, last
