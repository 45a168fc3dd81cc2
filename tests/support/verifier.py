"""The independent reader of a run: topics and committed offsets only, no Faust, no streamapp.

It follows the input, the responses and the dead letters from their first record on, and samples
the group's committed offsets. What it read goes to `judgement.judge`.
"""

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.support.judgement import Call, Crash, Input, Outcome, Report, Sample, judge
from tests.support.waiting import until

SAMPLE_S = 0.1
#: Where every input read so far is committed nothing can be committed too early: then the group is
#: asked in every so many turns only, as each costs the broker more than an idle worker does.
IDLE_TURNS = 5


class Verifier:
    """Follows one application's topics; an async context manager.

    Args:
        bootstrap: `HOST:PORT` of the broker.
        group: Consumer group whose committed offsets are sampled.
        requests: Input topic; like the other two it must exist.
        responses: Topic of the answers.
        dead_letters: Topic of the dead letters.

    Attributes:
        inputs: The request records read so far.
        outcomes: The responses and dead letters read so far, by request id.
        samples: The committed offsets each time that they were others than before.
        turns: How often it has looked, ten times a second while the broker answers.
    """

    def __init__(
        self, bootstrap: str, *, group: str, requests: str, responses: str, dead_letters: str
    ) -> None:
        self.inputs: list[Input] = []
        self.outcomes: dict[str, list[Outcome]] = defaultdict(list)
        self.samples: list[Sample] = []
        self.turns = 0
        self._bootstrap = bootstrap
        self._group = group
        self._requests, self._responses, self._dead_letters = requests, responses, dead_letters
        self._ends: dict[int, int] = {}
        self._ids: dict[tuple[str, str], str] = {}
        self._early: defaultdict[tuple[str, str], list[ConsumerRecord]] = defaultdict(list)
        self._wall_to_monotonic_s = time.monotonic() - time.time()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, request_timeout_ms=5000)
            await admin.start()
            stack.push_async_callback(admin.close)
            topics = [self._requests, self._responses, self._dead_letters]
            places = [
                TopicPartition(topic["topic"], partition["partition"])
                for topic in await admin.describe_topics(topics)
                for partition in topic["partitions"]
            ]
            reader = await stack.enter_async_context(_started(self._consumer()))
            reader.assign(places)
            sampler = await stack.enter_async_context(_started(self._consumer()))
            outcome_places = [place for place in places if place.topic != self._requests]
            for work in (self._follow(reader), self._sample(admin, sampler, outcome_places)):
                stack.push_async_callback(_end, asyncio.create_task(work))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def missing(self) -> list[Input]:
        """Inputs without a response or dead letter so far."""
        return [record for record in self.inputs if record.id not in self.outcomes]

    @property
    def committed(self) -> Mapping[int, int]:
        """The last sampled committed offsets, by partition."""
        return self.samples[-1].committed if self.samples else {}

    @property
    def lag(self) -> int:
        """Inputs at or above the last sampled committed offsets."""
        committed = self.committed
        return sum(record.offset >= committed.get(record.partition, 0) for record in self.inputs)

    def report(self, calls: Iterable[Call] = (), crashes: Iterable[Crash] = ()) -> Report:
        """Judge what was read so far."""
        return judge(self.inputs, self.outcomes, self.samples, calls=calls, crashes=crashes)

    async def until(self, condition: Callable[[], object], timeout_s: float) -> None:
        """Wait until the condition over what was read holds; the error shows the run."""
        await until(condition, timeout_s, state=lambda: f"lag {self.lag}, {self.report()}")

    async def all_answered(self, count: int, timeout_s: float) -> None:
        """Wait until `count` inputs are read and each has an outcome."""
        await self.until(lambda: len(self.inputs) >= count and not self.missing, timeout_s)

    async def all_committed(self, timeout_s: float) -> None:
        """Wait until the committed offsets have reached the end of the input."""
        await self.until(lambda: self.lag == 0, timeout_s)

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            request_timeout_ms=5000,
        )

    async def _follow(self, reader: AIOKafkaConsumer) -> None:
        while True:
            with contextlib.suppress(KafkaError):  # the broker is away: the next turn reads on
                for records in (await reader.getmany(timeout_ms=200)).values():
                    for record in records:
                        self._take(record)

    def _take(self, record: ConsumerRecord) -> None:
        if record.topic == self._requests:
            id_ = _id_in(record.value) or f"{record.topic}-{record.partition}-{record.offset}"
            self.inputs.append(Input(id_, record.key, record.partition, record.offset))
            self._ends[record.partition] = record.offset + 1
            place = str(record.partition), str(record.offset)
            self._ids[place] = id_
            for early in self._early.pop(place, ()):
                self._take(early)
            return
        headers = {name: (v or b"").decode(errors="replace") for name, v in record.headers}
        is_dead = record.topic == self._dead_letters
        if is_dead and headers.get("__streams.errors.topic") == self._requests:
            place = _place(headers)
            if place not in self._ids:  # read before its input
                self._early[place].append(record)
                return
        found = self._dead_id(headers) if is_dead else _id_in(record.value)
        outcome = Outcome(
            id=found or "without id",
            place=TopicPartition(record.topic, record.partition),
            offset=record.offset,
            key=record.key,
            value=record.value,
            at_s=record.timestamp / 1000 + self._wall_to_monotonic_s,
            kind=headers.get("streamapp.error.kind", "without kind") if is_dead else None,
            headers=tuple(record.headers),
        )
        self.outcomes[outcome.id].append(outcome)

    def _dead_id(self, headers: Mapping[str, str]) -> str | None:
        """Return the id of the input at the place that a dead letter names."""
        return self._ids.get(_place(headers), headers.get("streamapp.request.id"))

    async def _sample(
        self, admin: AIOKafkaAdminClient, sampler: AIOKafkaConsumer, places: list[TopicPartition]
    ) -> None:
        coordinator: int | None = None
        while True:
            await asyncio.sleep(SAMPLE_S)
            if self.turns % IDLE_TURNS and self._all_committed():
                self.turns += 1
                continue
            try:
                if coordinator is None:
                    coordinator = await admin.find_coordinator(self._group)
                group = await admin.list_consumer_group_offsets(self._group, coordinator)
                requests = {tp: at for tp, at in group.items() if tp.topic == self._requests}
                committed = {tp.partition: at.offset for tp, at in requests.items()}
                if not self.samples or committed != self.committed:  # else it would judge nothing
                    self.samples.append(Sample(committed, await sampler.end_offsets(places)))
                self.turns += 1
            except (KafkaError, TimeoutError):
                coordinator = None  # no broker, or it has just started

    def _all_committed(self) -> bool:
        return all(end <= self.committed.get(number, 0) for number, end in self._ends.items())


def _place(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return partition and offset of the input that a dead letter names."""
    partition = headers.get("__streams.errors.partition", "")
    return partition, headers.get("__streams.errors.offset", "")


def _id_in(value: bytes | None) -> str | None:
    """Return the `id` of a JSON object, or None where there is none."""
    try:
        data = json.loads(value or b"null")
    except (ValueError, RecursionError):
        return None
    id_ = data.get("id") if isinstance(data, dict) else None
    return id_ if isinstance(id_, str) else None


@contextlib.asynccontextmanager
async def _started(consumer: AIOKafkaConsumer) -> AsyncIterator[AIOKafkaConsumer]:
    """Start and stop a consumer, also where its last fetch failed."""
    await consumer.start()
    try:
        yield consumer
    finally:
        try:
            await consumer.stop()
        except asyncio.CancelledError:
            # aiokafka cancels a fetch that waits for its next try, and passes that on; judging
            # a long run keeps the loop longer than a fetch may take.
            await consumer._client.close()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
