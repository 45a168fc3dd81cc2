"""Dead letters over HTTP: the newest ones, and the replay of some."""

import asyncio
import heapq
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata
from faust.exceptions import ProducerSendError

from streamapp.flows.topics import FlowTopics
from streamapp.settings import Settings
from streamapp.settings.flows import REQUESTS
from streamapp.streaming.dead_letters.reader import DeadLetterReader, Seen
from streamapp.streaming.dead_letters.replay import Replay, Result, verdict
from streamapp.streaming.dead_letters.source import (
    DeadLetterSource,
    flow_source,
    requests_source,
)
from streamapp.streaming.dead_letters.stored import Filter, StoredDeadLetter
from streamapp.streaming.delivery.emitter import Send

#: How many of each partition's newest are looked at, and how long one look may take, seconds.
NEWEST, POLL_INTERVAL_S = 500, 10.0
#: How long one tenant's are looked for behind those of others, seconds.
LOOK_BACK_S = 4.0


@dataclass(frozen=True, slots=True)
class Found:
    """The newest dead letters that are meant, newest first, and what was looked at."""

    dead_letters: list[dict[str, Any]]
    seen: Seen


class DeadLetterService:
    """Reads the topic with a client of its own, and writes by the worker's producer.

    Args:
        send: Of the running producer.
        flows: The user's flows, by name.
        counts: Partitions of their topics, known once the worker has started.
        sleep: Paces replays, seconds.
    """

    def __init__(
        self,
        settings: Settings,
        send: Send,
        *,
        flows: Mapping[str, FlowTopics] = MappingProxyType({}),
        counts: Mapping[str, int] = MappingProxyType({}),
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._flows = flows
        self._counts = counts
        self._send = send
        self._sleep = sleep
        self._one_at_a_time = asyncio.Lock()

    @property
    def flows(self) -> Sequence[str]:
        """The flows whose dead letters there are, the built-in one first."""
        return [REQUESTS, *self._flows]

    def _source(self, flow: str) -> DeadLetterSource:
        if flow == REQUESTS:
            return requests_source(self._settings)
        return flow_source(self._settings, self._flows[flow], self._counts)

    async def newest(self, wanted: Filter, *, limit: int, flow: str = REQUESTS) -> Found:
        """Return the newest that are meant, of the last `NEWEST` of each partition.

        Args:
            wanted: Which ones; of one tenant, `NEWEST` of its own are looked at.
            limit: How many at most.
            flow: Whose, one of ``flows``.

        Raises:
            KafkaError: No broker answered.
            TimeoutError: It took longer than `POLL_INTERVAL_S`.
        """
        newest = Newest(limit)
        async with (
            asyncio.timeout(POLL_INTERVAL_S),
            DeadLetterReader(self._settings, self._source(flow)) as log,
        ):
            found = (
                log.read(wanted, newest=NEWEST)
                if wanted.tenant is None
                else log.read_own(wanted, newest=NEWEST, enough=limit, within_s=LOOK_BACK_S)
            )
            async for dead_letter in found:
                newest.add(dead_letter)
            seen, dead_letters = log.seen, newest.dead_letters()
            oldest = min((dead_letter.at for dead_letter in dead_letters), default=None)
            replayed = await log.replayed(since=oldest) if dead_letters else set()
        summaries = [
            dead_letter.summary() | {"replayed": dead_letter.is_in(replayed)}
            for dead_letter in dead_letters
        ]
        return Found(summaries, seen)

    async def replay(
        self,
        places: Sequence[tuple[int, int]],
        *,
        rate_per_s: float,
        tenant: str | None = None,
        flow: str = REQUESTS,
    ) -> dict[tuple[int, int], Result | str]:
        """Send records again; return what became of each place, ``missing`` where none stands.

        Args:
            places: Partition and offset of each.
            rate_per_s: How many a second at most.
            tenant: Whose alone: what stands at another place is ``missing``; None for all.
            flow: Whose dead letters they are, one of ``flows``.

        Raises:
            KafkaError: No broker answered.
            TimeoutError: Finding them took longer than `POLL_INTERVAL_S`.
        """
        wanted = Filter(tenant=tenant)
        results: dict[tuple[int, int], Result | str] = dict.fromkeys(places, "missing")
        oldest = math.inf

        def note(dead_letter: StoredDeadLetter, result: Result) -> None:
            results[dead_letter.partition, dead_letter.offset] = result

        async with (
            self._one_at_a_time,
            asyncio.timeout(POLL_INTERVAL_S) as limit,
            DeadLetterReader(self._settings, self._source(flow)) as log,
        ):
            async for record in log.at(places):
                dead_letter = StoredDeadLetter.of(record)
                if dead_letter and wanted.fits(dead_letter):
                    oldest = min(oldest, dead_letter.at)
                elif dead_letter is None and tenant is None:
                    results[record.partition, record.offset] = "foreign"
            if oldest < math.inf:
                replayed = await log.replayed(since=oldest)
                limit.reschedule(None)
                # Read again, one by one: together they could be a gigabyte.
                dead_letters = (
                    dead_letter
                    async for r in log.at(places)
                    if (dead_letter := StoredDeadLetter.of(r)) and wanted.fits(dead_letter)
                )
                again = Replay(self._source(flow), self._send, sleep=self._sleep)
                await again(dead_letters, replayed, rate_per_s=rate_per_s, on_result=note)
        return results

    async def instead(
        self, place: tuple[int, int], value: bytes, *, tenant: str | None = None
    ) -> tuple[Result | str, RecordMetadata | None]:
        """Send a corrected request in place of the one that failed, with its key and headers.

        Args:
            place: Partition and offset of its dead letter.
            value: What is sent; a valid request record.
            tenant: Whose alone, as in `replay`.

        Returns:
            What became of it, and where it stands if it was sent.

        Raises:
            KafkaError: No broker answered.
            TimeoutError: It took longer than `POLL_INTERVAL_S`.
        """
        source, requests = self._source(REQUESTS), self._settings.topic("requests")
        async with (
            self._one_at_a_time,
            asyncio.timeout(POLL_INTERVAL_S),
            DeadLetterReader(self._settings, source) as log,
        ):
            stored = [StoredDeadLetter.of(record) async for record in log.at([place])]
            if not stored or (tenant and not _is_of(tenant, stored[0])):
                return "missing", None
            if (dead_letter := stored[0]) is None or dead_letter.origin[0] != requests:
                return "foreign", None
            result = verdict(dead_letter, source.targets, await log.replayed(since=dead_letter.at))
            # One that failed again and again is what a correction is for.
            if result not in ("sent", "looping"):
                return result, None
            try:
                sent = await Replay(source, self._send).instead(dead_letter, value)
            except (KafkaError, ProducerSendError):
                return "undelivered", None
            return "sent", sent


def _is_of(tenant: str, dead_letter: StoredDeadLetter | None) -> bool:
    return dead_letter is not None and dead_letter.tenant == tenant


class Newest:
    """Keeps the newest ``limit`` of the dead letters it is given."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heap: list[tuple[float, int, int, StoredDeadLetter]] = []

    def add(self, dead_letter: StoredDeadLetter) -> None:
        """Take one, and let the oldest go where there are more than wanted."""
        entry = (dead_letter.at, dead_letter.partition, dead_letter.offset, dead_letter)
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def dead_letters(self) -> list[StoredDeadLetter]:
        """Return them, newest first."""
        return [entry[-1] for entry in sorted(self._heap, key=lambda e: e[:3], reverse=True)]
