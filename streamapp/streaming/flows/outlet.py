"""The outlet of an input topic: how its records are read, and where their answers go."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Protocol

from faust.types import TopicT

from streamapp.errors import InvalidRecord, TooLarge
from streamapp.flows.flow import Bounds, Flow
from streamapp.flows.headers import chained_id
from streamapp.flows.source_record import SourceRecord
from streamapp.processors.request_handler import RequestHandler
from streamapp.records.codec import recover_id
from streamapp.records.dead_letter import Headers
from streamapp.records.request import Request
from streamapp.records.response import Response
from streamapp.streaming.broker.topics import RECORD_LIMIT
from streamapp.streaming.delivery.ledger_entry import input_hash
from streamapp.streaming.delivery.record_size import is_oversize, size_of
from streamapp.streaming.flows.partition_counts import PartitionCounts
from streamapp.streaming.window.taken_record import Message
from streamapp.telemetry.trace_headers import carried


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """A record to deliver; without a partition the key decides."""

    topic: TopicT
    key: bytes | None
    value: bytes | None
    partition: int | None
    headers: Headers


class Outlet(Protocol):
    """One flow, between its topics."""

    @property
    def name(self) -> str:
        """The flow's name."""
        ...

    @property
    def bounds(self) -> Bounds:
        """What it may use of the worker."""
        ...

    @property
    def input_hash(self) -> str | None:
        """Tells its input from that of a flow which had its name; None where nobody may have."""
        ...

    @property
    def dead_letters(self) -> TopicT:
        """The topic of its dead letters."""
        ...

    def is_loaded(self, message: Message) -> bool:
        """Whether `decode` may be called at once; else after `load`."""
        ...

    async def load(self, message: Message) -> None:
        """Have the schemas of a record; waits for a registry, raises a `Failure`."""
        ...

    def id_of(self, message: Message) -> str:
        """Return the id of a record whose request has none of its own."""
        ...

    def decode(self, message: Message) -> Request | None:
        """Return the request of a record, or None where it is skipped; raises a `Failure`."""
        ...

    def own_id(self, message: Message) -> str | None:
        """Return the id that a record which is wrong gives all the same; None without one."""
        ...

    def records(self, message: Message, answer: bytes) -> list[OutgoingRecord]:
        """Return what is delivered for an encoded response, in order; raises a `Failure`."""
        ...

    def dead_letter_partition(self, partition: int) -> int | None:
        """Return the partition of the dead letter of a record."""
        ...


class RequestsOutlet:
    """The built-in flow: request records, answered as they are."""

    name = "requests"
    bounds = Bounds()
    input_hash: str | None = None

    def __init__(self, router: RequestHandler, *, responses: TopicT, dead_letters: TopicT) -> None:
        self._router = router
        self._responses = responses
        self.dead_letters = dead_letters

    def is_loaded(self, message: Message) -> bool:
        """Nothing is needed."""
        return True

    async def load(self, message: Message) -> None:
        """Nothing is needed."""

    def id_of(self, message: Message) -> str:
        """Return topic, partition and offset."""
        return place_of(message)

    def decode(self, message: Message) -> Request:
        """Return the request that the record holds."""
        return self._router.decode(message.value)

    def own_id(self, message: Message) -> str | None:
        """Return the field `id`."""
        return recover_id(message.value)

    def records(self, message: Message, answer: bytes) -> list[OutgoingRecord]:
        """Return the response record."""
        partition, headers = message.tp.partition, carried(message.headers)
        return [OutgoingRecord(self._responses, message.key, answer, partition, headers)]

    def dead_letter_partition(self, partition: int) -> int:
        """Return the same one: both topics have as many."""
        return partition


class FlowOutlet:
    """A flow of the user's.

    Args:
        flow: Reads records and shapes answers.
        topics: Its outputs and dead letters, by name.
        counts: Known when records are taken.
        compacted: Topics that take no record without a key; likewise.
        is_chained: Whether another flow writes its input: a record may then stand there twice,
            and is known by what that one says of it.
    """

    def __init__(
        self,
        flow: Flow,
        *,
        topics: Mapping[str, TopicT],
        counts: PartitionCounts,
        compacted: Container[str] = (),
        is_chained: bool = False,
    ) -> None:
        self.name = flow.name
        self.bounds = flow.bounds
        self.input_hash = input_hash(flow.input)
        self.dead_letters = topics[flow.dead_letters]
        self._flow = flow
        self._topics = topics
        self._counts = counts
        self._compacted = compacted
        self._is_chained = is_chained

    def is_loaded(self, message: Message) -> bool:
        """Whether the flow has its schemas."""
        return self._flow.is_loaded(_source(message))

    async def load(self, message: Message) -> None:
        """Have them."""
        await self._flow.load(_source(message))

    def id_of(self, message: Message) -> str:
        """Return that of the record it was made of, or topic, partition and offset."""
        id = chained_id(_source(message)) if self._is_chained else None
        return id or place_of(message)

    def decode(self, message: Message) -> Request | None:
        """Return what the flow makes of the record."""
        request = self._flow.read(_source(message))
        if request is not None and message.key is None and self._flow.keeps_keys:
            # Before the call; of several topics only the answer says which one it is for.
            topics = (*self._flow.outputs, *self._flow.reply_topics)
            if len(topics) == 1:
                self._check_key(topics[0], None)
        return request

    def own_id(self, message: Message) -> str | None:
        """Return what the flow's template `id` gives."""
        try:
            return self._flow.own_id(_source(message))
        except Exception:  # what the record failed by may fail again
            return None

    def records(self, message: Message, answer: bytes) -> list[OutgoingRecord]:
        """Return the flow's records for the answer; equal ones however often it is asked."""
        response = Response.model_validate_json(answer)
        tp, found = message.tp, []
        for emission in self._flow.write(_source(message), response):
            self._check_key(emission.topic, emission.key)
            size = len(emission.value or b"") + size_of(emission.headers)
            if is_oversize(emission.key, size):
                raise TooLarge(
                    f"[flows.{self.name}] the record for {emission.topic} has {size:,} bytes,"
                    f" more than a record of {RECORD_LIMIT:,} bytes can carry"
                )
            partition = None
            if emission.keeps_key:
                partition = self._counts.same(tp.topic, emission.topic, tp.partition)
                if partition is None and emission.key is None:
                    partition = self._counts.any(emission.topic, response.id)
            topic = self._topics[emission.topic]
            found.append(
                OutgoingRecord(topic, emission.key, emission.value, partition, emission.headers)
            )
        return found

    def _check_key(self, topic: str, key: bytes | None) -> None:
        """Refuse what the topic never takes: it would hold up all that comes after it."""
        if key is None and topic in self._compacted:
            raise InvalidRecord(
                f"[flows.{self.name}] {topic} is compacted and takes no record without a key"
            )

    def dead_letter_partition(self, partition: int) -> int | None:
        """Return the same one, as long as the input has not grown past it."""
        name = self._flow.dead_letters
        return self._counts.same(self._flow.input, name, partition)


def place_of(message: Message) -> str:
    """Return topic, partition and offset, joined by ``-``."""
    return f"{message.tp.topic}-{message.tp.partition}-{message.offset}"


def _source(message: Message) -> SourceRecord:
    tp = message.tp
    return SourceRecord(
        tp.topic,
        tp.partition,
        message.offset,
        message.key,
        message.value,
        message.headers,
        getattr(message, "timestamp", None),
    )
