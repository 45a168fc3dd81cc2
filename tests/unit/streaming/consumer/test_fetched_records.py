"""What the client fetched: holes are told, and what cannot be read holds its partition alone."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher, FetchError, FetchResult, OffsetResetStrategy
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)
from faust.types import TP

from streamapp.streaming.consumer.fetched_records import (
    HOLD_S,
    FetchedRecords,
    keep_first_error,
)

T0, T1 = TP("llm.requests", 0), TP("llm.requests", 1)


class Batches:
    """What aiokafka makes of a response: an iterator that knows the next offset to fetch.

    Args:
        start: Offset that was asked for.
        offsets: Of the records; an exception in their place is raised there.
        end: The offset after the last batch.
    """

    def __init__(self, start: int, offsets: list[int | Exception], *, end: int) -> None:
        self.next_fetch_offset = start
        self._steps = iter(offsets)
        self._end = end

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        for step in self._steps:
            if isinstance(step, Exception):
                raise step
            self.next_fetch_offset = step + 1
            return SimpleNamespace(offset=step)
        self.next_fetch_offset = self._end
        raise StopIteration


class Client:
    """A client with some partitions; a test puts in what was fetched.

    Args:
        partitions: Assigned ones.
        backoff_s: For so long what was fetched and not taken keeps its broker unasked.
    """

    def __init__(self, *partitions: TP, backoff_s: float = 0) -> None:
        self.states = {tp: State() for tp in partitions or (T0, T1)}
        self.backoff_s = backoff_s
        self._assignment = SimpleNamespace(active=True, state_value=self.states.get)
        self._fetcher = Fetcher.__new__(Fetcher)  # without its task
        subscription = SimpleNamespace(assignment=self._assignment)
        fetcher: Any = self._fetcher
        fetcher._loop = asyncio.get_running_loop()
        fetcher._records = {}
        fetcher._closed = False
        fetcher._prefetch_backoff = 0
        self.fetching = asyncio.get_running_loop().create_future()
        fetcher._fetch_task = self.fetching
        fetcher._fetch_waiters = set()
        fetcher._wait_consume_future = None
        fetcher._subscriptions = SimpleNamespace(
            reassignment_in_progress=False,
            is_assigned=self.states.__contains__,
            subscription=subscription,
        )

    @property
    def held(self) -> set[TP]:
        """Partitions of which the client fetches nothing now."""
        return set(self._fetcher._records)

    def fetched(self, tp: TP, *offsets: int | Exception, start: int, end: int) -> None:
        self.states[tp].position = start
        self._fetcher._records[tp] = FetchResult(
            tp,
            assignment=self._assignment,
            partition_records=Batches(start, list(offsets), end=end),
            backoff=self.backoff_s,
        )

    def wake(self) -> None:
        """Let a fetch that waits look again."""
        for waiter in list(self._fetcher._fetch_waiters):
            waiter.set_result(None)

    def seek(self, tp: TP, offset: int) -> None:
        self.states[tp].position = offset
        self._fetcher._records.pop(tp, None)

    def failed(self, tp: TP, error: Exception) -> None:
        self._fetcher._records[tp] = FetchError(error=error, backoff=0)


class State:
    def __init__(self) -> None:
        self.position = 0
        self.paused = False
        self.has_valid_position = True
        self.reset = ""

    def consumed_to(self, offset: int) -> None:
        self.position = offset

    def await_reset(self, strategy: int) -> None:
        self.reset = OffsetResetStrategy.to_str(strategy)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def take(fetched: FetchedRecords, client: Client, limit: int | None = None) -> Any:
    taken = await fetched.take(client, None, timeout_s=0, limit=limit)
    return {tp: [record.offset for record in records] for tp, records in taken.items()}


async def test_what_others_read_keeps_no_broker_waiting() -> None:
    """What comes of the ledger's changelog is the last that is fetched of it; others go on."""
    changelog = TP("llm.answers-changelog", 0)
    client = Client(T0, T1, changelog, backoff_s=60)
    fetched = FetchedRecords(lambda: {changelog.topic})
    client.fetched(changelog, 5, start=5, end=6)
    client.fetched(T1, 0, start=0, end=1)
    waiting: Any = asyncio.get_running_loop().create_future()
    client._fetcher._wait_consume_future = waiting

    assert await fetched.take(client, {T0}, timeout_s=0, limit=None) == {}

    left = client._fetcher._records
    assert client.held == {changelog, T1}
    assert left[changelog].calculate_backoff() == 0
    assert left[T1].calculate_backoff() > 0  # paused: somebody takes it later
    assert waiting.done()


async def test_nothing_is_taken_of_a_partition_that_was_paused_meanwhile() -> None:
    """What arrives while all are paused stays for when they are resumed: Faust would drop it."""
    fetched, client, wanted = FetchedRecords(), Client(), {T0}

    async def fetch() -> Any:
        return await fetched.take(client, wanted, timeout_s=0.1, limit=None)

    fetching = asyncio.ensure_future(fetch())
    await asyncio.sleep(0)
    wanted.clear()
    client.fetched(T0, 0, 1, start=0, end=2)
    client.wake()

    assert await fetching == {}
    wanted.add(T0)
    assert [record.offset for record in (await fetch())[T0]] == [0, 1]


async def test_record_behind_a_hole_tells_where_that_begins() -> None:
    """Markers and aborted records leave holes that the client knows, and its records do not."""
    fetched, client = FetchedRecords(), Client()
    client.fetched(T0, 5, 6, 9, start=4, end=11)

    taken = await fetched.take(client, None, timeout_s=0, limit=None)

    assert [(r.offset, getattr(r, "follows", None)) for r in taken[T0]] == [
        (5, 4),
        (6, None),
        (9, 7),
    ]
    assert fetched.tail[T0] == (10, 11)
    assert client.states[T0].position == 11


async def test_hole_goes_on_over_several_fetches() -> None:
    """A fetch that holds markers alone moves the end of the hole, not its begin."""
    fetched, client = FetchedRecords(), Client()
    client.fetched(T0, 5, start=5, end=7)
    await take(fetched, client)
    client.fetched(T0, start=7, end=9)
    await take(fetched, client)

    assert fetched.tail[T0] == (6, 9)


async def test_holes_are_forgotten_with_each_assignment() -> None:
    """A topic may be made anew meanwhile: where the old one had a hole there are records now."""
    fetched, client = FetchedRecords(), Client()
    client.fetched(T0, start=0, end=3)
    await take(fetched, client)
    assert fetched.tail[T0] == (0, 3)

    fetched.forget_others({T0})

    assert fetched.tail == {}


async def test_client_that_fetches_no_more_ends_its_worker() -> None:
    """A task of the client that ended by an error would be waited for in silence, for good."""
    fetched, client = FetchedRecords(), Client()
    client.fetching.set_exception(KafkaError("Unexpected error during data retrieval"))

    with pytest.raises(KafkaError, match="data retrieval"):
        await take(fetched, client)


async def test_hole_at_the_end_of_a_fetch_is_told_by_the_next_record() -> None:
    """A transaction's marker ends most fetches: nothing is sought back for it."""
    fetched, client = FetchedRecords(), Client()
    client.fetched(T0, 0, start=0, end=2)
    await take(fetched, client)
    client.fetched(T0, 2, 3, start=2, end=4)

    taken = await fetched.take(client, None, timeout_s=0, limit=None)

    assert [getattr(record, "follows", None) for record in taken[T0]] == [1, None]


async def test_batch_that_cannot_be_read_holds_its_partition_alone() -> None:
    """What was read before it is handed out, and so is what other partitions have."""
    fetched, client = FetchedRecords(), Client()
    client.fetched(T0, 0, 1, CorruptRecordException("Invalid CRC"), start=0, end=9)
    client.fetched(T1, 0, 1, start=0, end=2)

    assert await take(fetched, client) == {T0: [0, 1], T1: [0, 1]}
    assert client.held == {T0}
    assert fetched.unreadable[T0].offset == 2
    assert "Invalid CRC" in fetched.unreadable[T0].reason


async def test_held_partition_is_fetched_again_later_and_later() -> None:
    """A wrong checksum may come from the network; a broken disk is not asked all the time."""
    clock = Clock()
    fetched, client = FetchedRecords(clock=clock), Client()
    client.fetched(T0, CorruptRecordException("Invalid CRC"), start=0, end=9)
    await take(fetched, client)

    clock.now = HOLD_S - 0.1
    await take(fetched, client)
    assert client.held == {T0}
    clock.now = HOLD_S
    await take(fetched, client)
    assert client.held == set()

    client.fetched(T0, CorruptRecordException("Invalid CRC"), start=0, end=9)
    await take(fetched, client)
    assert fetched.unreadable[T0].wait_s == 2 * HOLD_S

    client.fetched(T0, 0, start=0, end=1)
    assert await take(fetched, client) == {T0: [0]}
    assert not fetched.unreadable


async def test_refused_partition_is_held() -> None:
    """A right that is missing for one topic does not end the worker."""
    fetched, client = FetchedRecords(), Client()
    client.failed(T0, TopicAuthorizationFailedError("llm.requests"))
    client.fetched(T1, 0, start=0, end=1)

    assert await take(fetched, client) == {T1: [0]}
    assert "TopicAuthorizationFailed" in fetched.unreadable[T0].reason


async def test_error_of_a_codec_is_named_without_its_text() -> None:
    """A library's text could show what stands in a record."""
    fetched, client = FetchedRecords(), Client()
    client.fetched(T0, ValueError("canary-4711"), start=0, end=9)

    await take(fetched, client)

    assert fetched.unreadable[T0].reason == "ValueError"


async def test_limit_leaves_the_rest_for_the_next_turn() -> None:
    """Not more is handed out than is asked for, and nothing is fetched twice."""
    fetched, client = FetchedRecords(), Client()
    client.fetched(T0, 0, 1, 2, start=0, end=3)

    assert await take(fetched, client, limit=2) == {T0: [0, 1]}
    assert client.held == {T0}
    assert await take(fetched, client, limit=2) == {T0: [2]}


async def test_position_that_the_broker_does_not_have_waits_for_a_better_one() -> None:
    """Nobody goes on in silence where the log was cut or made anew."""
    fetched, client = FetchedRecords(), Client()
    client.states[T0].position = 30
    client.failed(T0, OffsetOutOfRangeError({T0: 30}))
    await take(fetched, client)

    assert fetched.out_of_range == {T0: 30}
    assert client.held == {T0}
    fetched.go_on_at(client, T0, 40, 30)
    assert fetched.tail[T0] == (30, 40)  # perhaps no record comes for long
    client.fetched(T0, 40, 41, start=40, end=42)
    taken = await fetched.take(client, None, timeout_s=0, limit=None)

    assert [getattr(record, "follows", None) for record in taken[T0]] == [30, None]
    assert not fetched.out_of_range


async def test_partition_without_a_commit_is_read_from_its_start() -> None:
    """That is no change of a log."""
    fetched, client = FetchedRecords(), Client()
    client.failed(T0, NoOffsetForPartitionError(T0))
    await take(fetched, client)

    assert client.states[T0].reset == "earliest"
    assert client.held == set()
    assert not fetched.out_of_range


@pytest.mark.parametrize("there", ["error", "records"])
async def test_second_error_of_a_partition_leaves_what_is_there(there: str) -> None:
    """The client goes on fetching, and asks for the partition again once that is taken."""
    client = Client()
    keep_first_error(client._fetcher)
    if there == "records":
        client.fetched(T0, 5, start=5, end=6)
    else:
        client._fetcher._set_error(T0, OffsetOutOfRangeError({T0: 0}))
    first = client._fetcher._records[T0]
    client._fetcher._set_error(T0, NoOffsetForPartitionError(T0))

    assert client._fetcher._records == {T0: first}


@pytest.mark.parametrize("change", ["assignment", "position", "pause"])
async def test_what_was_fetched_before_a_change_is_let_go(change: str) -> None:
    """It is taken neither now nor later, and the partition is fetched again."""
    client = Client()
    client.fetched(T0, 5, 6, start=5, end=7)
    if change == "assignment":
        client._assignment.active = False
    elif change == "position":
        client.states[T0].position = 9
    else:
        client.states[T0].paused = True

    assert await take(FetchedRecords(), client) == {}
    assert client.held == set()
