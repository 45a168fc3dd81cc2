"""The client's fetched records, partition by partition: with their holes, and what cannot be read.

It stands in for aiokafka's ``Fetcher.fetched_records``, with four differences. An error there
(a codec that is not installed, a wrong checksum) ends the worker and forgets what other
partitions had handed out in the same turn; here it holds its partition alone, which is asked for
again after a while. And the client knows where the log holds no record (transaction markers,
aborted records, compacted ones), while its records do not tell; here each record after such a
hole does. And aiokafka takes an empty set of partitions for all of them, while a rebalance of Faust
empties the set under a fetch that waits: what that took, also of a changelog that the recovery had
sought back a moment before, Faust dropped, since its flow was stopped. Nothing fetched it again,
and the worker waited for its tables for good. Here nothing is taken of a paused partition. And
what was fetched and nobody takes keeps the other partitions of its broker waiting for 0.1 s, each
time: as the first answer of each partition did in its ledger's changelog, which the ledger reads
itself. Here that is fetched no further.

All of it runs in the client's thread; other threads only read ``unreadable`` and ``tail``.
"""

import asyncio
import math
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher, FetchError, FetchResult, OffsetResetStrategy
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.types import TP

log = structlog.get_logger(__name__)

#: From the first to the longest wait before a batch that could not be read is fetched again,
#: seconds. A wrong checksum can come from the network, and then does not come back.
HOLD_S, LONGEST_HOLD_S = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class UnreadableBatch:
    """Why a partition stands still.

    Attributes:
        offset: First offset of what cannot be read.
        reason: Name of the error, and its text where that is the client's own.
        wait_s: Seconds until it is fetched again.
    """

    offset: int
    reason: str
    wait_s: float


def unreadable_lines(held: Mapping[TP, UnreadableBatch]) -> list[str]:
    """Return a line for each partition that is held, for the probes."""
    return [
        f"{tp.topic}-{tp.partition} cannot be read at offset {what.offset}: {what.reason}"
        for tp, what in sorted(dict(held).items())  # another thread writes it
    ]


class FetchedRecords:
    """Takes what was fetched.

    Args:
        unread: Returns the topics that are assigned and read by others.
        clock: Monotonic seconds.

    Attributes:
        unreadable: Partitions that stand still, by what cannot be read of them.
        tail: Of each partition the hole at the end of what was handed out: first offset without
            a record, and the offset from which on the client reads next.
        out_of_range: Partitions whose position the broker does not have, by that; they stand
            still until `go_on_at`.
    """

    def __init__(
        self,
        unread: Callable[[], Container[str]] = tuple,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._unread = unread
        self._clock = clock
        self.unreadable: dict[TP, UnreadableBatch] = {}
        self.tail: dict[TP, tuple[int, int]] = {}
        self.out_of_range: dict[TP, int] = {}

    async def take(
        self,
        consumer: AIOKafkaConsumer,
        partitions: set[TP] | None,
        *,
        timeout_s: float,
        limit: int | None,
    ) -> Mapping[TP, list[Any]]:
        """Return fetched records, waiting up to ``timeout_s`` for any.

        Args:
            consumer: The client; its position moves behind what is returned.
            partitions: Those that are wanted, asked again at each look; all where None.
            timeout_s: Longest wait, seconds.
            limit: Most records; None is unbounded.

        Raises:
            KafkaError: The group refuses this client, or it fetches no more.
        """
        fetcher = consumer._fetcher
        end = self._clock() + timeout_s
        while True:
            if fetcher._fetch_task.done() and not fetcher._closed:
                fetcher._fetch_task.result()  # it has ended by an error: nothing comes any more
            if fetcher._subscriptions.reassignment_in_progress:
                await fetcher._subscriptions.wait_for_assignment()
            taken = self._take_there_is(fetcher, partitions, limit)
            left_s = end - self._clock()
            if taken or left_s <= 0 or fetcher._closed:
                return taken
            waiter = fetcher._create_fetch_waiter()
            done, _ = await asyncio.wait([waiter], timeout=min(left_s, self._hold_left_s(fetcher)))
            if done:
                waiter.result()  # raises what the group's coordinator refuses
            else:
                waiter.cancel()

    def _take_there_is(
        self, fetcher: Fetcher, partitions: set[TP] | None, limit: int | None
    ) -> dict[TP, list[Any]]:
        taken: dict[TP, list[Any]] = {}
        left = limit
        for tp, result in list(fetcher._records.items()):
            if partitions is not None and tp not in partitions:
                if not fetcher._subscriptions.is_assigned(tp):
                    del fetcher._records[tp]
                elif type(result) is FetchResult and tp.topic in self._unread():
                    # Nothing of it is fetched any more, nor waits for it what else there is.
                    fetcher._records[tp] = _Held(math.inf)
                    fetcher._notify(fetcher._wait_consume_future)
                continue
            if left == 0:
                break
            if type(result) is FetchResult:
                records = self._take_of(fetcher, tp, result, left)
                if records:
                    taken[tp] = records
                    left = None if left is None else left - len(records)
            elif type(result) is FetchError:
                self._take_error(fetcher, tp, result._error)
            elif result.until <= self._clock():
                _let_go(fetcher, tp)
        return taken

    def _take_error(self, fetcher: Fetcher, tp: TP, error: Exception) -> None:
        """Hold the partition; where only its position is wrong, until somebody says a better one.

        Kafka's clients take the log's start then, and nobody learns that records are gone.
        """
        if isinstance(error, NoOffsetForPartitionError):
            _state(fetcher, tp).await_reset(OffsetResetStrategy.EARLIEST)
            _let_go(fetcher, tp)
        elif isinstance(error, OffsetOutOfRangeError):
            self.out_of_range[tp] = _position(fetcher, tp)
            fetcher._records[tp] = _Held(math.inf)
        else:
            self._hold(fetcher, tp, _position(fetcher, tp), error)

    def go_on_at(self, client: AIOKafkaConsumer, tp: TP, offset: int, behind: int | None) -> None:
        """Fetch from ``offset`` on; what lies from ``behind`` to there is gone."""
        self.out_of_range.pop(tp, None)
        hole, hole_end = self.tail.pop(tp, (behind, behind))
        if behind is not None:
            # Known as any other hole at the end: perhaps no record comes behind it for long.
            self.tail[tp] = (hole if hole is not None and hole_end == behind else behind, offset)
        client.seek(tp, offset)

    def _take_of(
        self, fetcher: Fetcher, tp: TP, result: FetchResult, limit: int | None
    ) -> list[Any]:
        if not result.has_more() or not result.check_assignment(tp):
            _let_go(fetcher, tp)
            return []
        batches = result._partition_records
        start = batches.next_fetch_offset
        # A fetch often ends with a marker: the hole is then before the next one's first record.
        hole, hole_end = self.tail.get(tp, (start, start))
        behind = hole if hole_end == start else start
        records: list[Any] = []
        error: Exception | None = None
        try:
            records.extend(islice(batches, limit))
        except Exception as unreadable:  # of the codec's library, too
            error = unreadable
        place = batches.next_fetch_offset
        result._assignment.state_value(tp).consumed_to(place)
        end = records[-1].offset + 1 if records else start
        if end - behind != len(records):
            _mark_holes(records, behind)
        self._note_tail(tp, start, end, place)
        if error is not None:
            self._hold(fetcher, tp, place, error)
        else:
            if limit is None or len(records) < limit:
                _let_go(fetcher, tp)
            if records and self.unreadable.pop(tp, None) is not None:
                log.info("partition.readable_again", topic=tp.topic, partition=tp.partition)
        return records

    def _note_tail(self, tp: TP, start: int, end: int, place: int) -> None:
        known = self.tail.get(tp)
        has_gone_on = end == start and known is not None and known[1] == start
        self.tail[tp] = (known[0] if known and has_gone_on else end, place)

    def _hold(self, fetcher: Fetcher, tp: TP, offset: int, error: Exception) -> None:
        """Leave the partition alone for a while: the client fetches nothing that is held here."""
        known = self.unreadable.get(tp)
        reason = _reason(error)
        is_known = known is not None and known.offset == offset
        wait_s = min(2 * known.wait_s, LONGEST_HOLD_S) if known and is_known else HOLD_S
        fetcher._records[tp] = _Held(self._clock() + wait_s)
        self.unreadable[tp] = UnreadableBatch(offset, reason, wait_s)
        if not is_known:
            log.critical(
                "partition.unreadable",
                topic=tp.topic,
                partition=tp.partition,
                offset=offset,
                reason=reason,
                hint="this partition is held, others go on; see docs/runbook/unreadable.md",
            )

    def _hold_left_s(self, fetcher: Fetcher) -> float:
        ends = [held.until for held in fetcher._records.values() if type(held) is _Held]
        return max(0.01, min(ends) - self._clock()) if ends else LONGEST_HOLD_S

    def forget_others(self, assigned: set[TP]) -> None:
        """Forget what was noted of other partitions, and holes of all: topics may be made anew."""
        self.tail.clear()
        noted: tuple[dict[TP, Any], ...] = (self.unreadable, self.out_of_range)
        for one in noted:
            for tp in one.keys() - assigned:
                del one[tp]


def keep_first_error(fetcher: Fetcher) -> None:
    """Have a partition's error kept that was not taken yet, where another one comes.

    A partition is asked for side by side where its leader moves meanwhile, and each answer may be
    an error: aiokafka 0.14.0 then fails an assertion, and fetches nothing any more. What lies there
    is taken first; after that the partition is asked for again.
    """
    set_error = fetcher._set_error

    def set_first_error(tp: TP, error: Exception) -> None:
        if tp not in fetcher._records:
            set_error(tp, error)

    fetcher._set_error = set_first_error


@dataclass(frozen=True, slots=True)
class _Held:
    """Stands among the fetched results, so that the client fetches nothing of its partition."""

    until: float

    def calculate_backoff(self) -> float:
        """Keep no other partition of the broker waiting."""
        return 0


def _let_go(fetcher: Fetcher, tp: TP) -> None:
    """Let the client fetch what comes next."""
    del fetcher._records[tp]
    fetcher._notify(fetcher._wait_consume_future)


def _state(fetcher: Fetcher, tp: TP) -> Any:
    return fetcher._subscriptions.subscription.assignment.state_value(tp)


def _position(fetcher: Fetcher, tp: TP) -> int:
    state = _state(fetcher, tp)
    return state.position if state.has_valid_position else -1


def _mark_holes(records: list[Any], start: int) -> None:
    """Tell each record after a hole, as ``follows``, where that begins."""
    expected = start
    for record in records:
        if record.offset != expected:
            record.follows = expected
        expected = record.offset + 1


def _reason(error: Exception) -> str:
    """Return what an operator may read; the text of a codec's error could hold a record's."""
    name = type(error).__name__
    return f"{name}: {error}"[:200] if isinstance(error, KafkaError) else name
