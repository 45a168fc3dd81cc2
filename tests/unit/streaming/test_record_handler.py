import asyncio
import gc
import json
import weakref
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from faust.types import TP

from streamapp.errors import InternalError, LeaseLost, ProviderRejected, UnknownType
from streamapp.flows.file_flow import FileFlow
from streamapp.llm.attempt import RIGHT
from streamapp.llm.caller import CALLER
from streamapp.processors.registry import Registry
from streamapp.processors.router import Answer
from streamapp.records.dead_letter import DeadLetter
from streamapp.records.request import Request
from streamapp.records.response import Response
from streamapp.settings.flows import FlowSettings
from streamapp.streaming.broker.topics import RECORD_LIMIT
from streamapp.streaming.delivery.chunks import ChunkStreams
from streamapp.streaming.delivery.emitter import Emitter
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.flows.outlet import FlowOutlet, Outlet, RequestsOutlet
from streamapp.streaming.flows.partition_counts import PartitionCounts
from streamapp.streaming.record_handler import RecordHandler
from streamapp.streaming.tables.entry_store import MemoryEntries
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.storing import is_storing
from streamapp.telemetry.subject import SUBJECT, Subject
from streamapp.telemetry.trace_headers import CARRIED_BYTES
from tests.fakes import FakeClock
from tests.unit.streaming.fake_broker import settle

T2 = TP("llm.requests", 2)
CANARY = "canary-7f3a"


@dataclass
class FakeMessage:
    value: bytes | None
    offset: int = 0
    key: bytes | None = b"k"
    tp: TP = T2
    generation_id: int = 1
    headers: Any = None


@dataclass
class FakeEvent:
    message: FakeMessage

    def ack(self) -> bool:
        raise AssertionError("only the window acks")


@dataclass
class FakeRouter:
    """Answers with what is enqueued, an output or an exception; else with the record's id."""

    answers: list[Any] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None

    def decode(self, value: bytes | None) -> Request:
        fields = json.loads(value or b"{}")
        if fields.get("type") != "chat":
            raise UnknownType("type: unknown; use one of: chat")
        return Request(**fields)

    async def answer(
        self,
        request: Request,
        *,
        id: str,
        key: bytes | None,
        deadline: Any = None,
        chunks: Any = None,
        store: Any = None,
    ) -> Answer:
        self.calls.append(id)
        self.callers.append(CALLER.get())
        if chunks:
            await chunks.begin()
            await chunks.add("answer ")
        if self.gate:
            await self.gate.wait()
        output = self.answers.pop(0) if self.answers else f"answer to {id}"
        if isinstance(output, Exception):
            raise output
        response = Response(
            id=id,
            type=request.type,
            output=output,
            model="m",
            provider="fake",
            created_at=datetime.now(UTC),
        )
        return Answer(response, None)


@dataclass
class FakeTopic:
    name: str

    def get_topic_name(self) -> str:
        return self.name


class Outcomes:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def answered(self, response: Response) -> None:
        self.seen.append("answered")

    def skipped(self) -> None:
        self.seen.append("skipped")

    def replayed(self, *, type: str) -> None:
        self.seen.append("replayed")

    def dead_lettered(self, dead_letter: DeadLetter, *, type: str | None) -> None:
        self.seen.append(f"dead-lettered {dead_letter.kind}")


def flow_outlet() -> FlowOutlet:
    """Return a flow of the file that names its records, and needs a text."""
    table = {"input": "in", "output": "out", "type": "summarize", "id": "{{ value.n }}"}
    flow = FileFlow("f", FlowSettings(**table, fields={"text": "{{ value.t }}"}), Registry.load())
    topics: Any = {name: FakeTopic(name) for name in ("out", "in-dlt")}
    return FlowOutlet(flow, topics=topics, counts=PartitionCounts({}))


class Fixture:
    def __init__(self, outlet: Outlet | None = None) -> None:
        self.log: list[tuple[str, dict[str, Any]]] = []
        self.router = FakeRouter()
        self.outcomes = Outcomes()
        self.lease = Lease(1)
        self.emitter = Emitter(self.send)
        changelog: Any = FakeTopic("changelog")
        responses: Any = FakeTopic("responses")
        dead_letters: Any = FakeTopic("dead-letters")

        async def append(key: bytes, value: bytes, partition: int, lease: Lease) -> None:
            await self.emitter.emit(changelog, lease, key=key, value=value, partition=partition)

        store = MemoryEntries()
        clock = FakeClock()
        self.outlet: Any = outlet or RequestsOutlet(
            self.router, responses=responses, dead_letters=dead_letters
        )
        self.answering = RecordHandler(
            router=self.router,
            ledger=Ledger(
                lambda: store,
                append,
                redeliverable=lambda partition, offset: True,
                now=clock,
                ttl_s=60,
                session_s=10,
                max_bytes=1e6,
            ),
            emitter=self.emitter,
            chunks=ChunkStreams(self.send, topic="chunks", clock=clock),
            outlet=self.outlet,
            outcomes=self.outcomes,
            accepting=self.emitter.accepting,
            now=clock,
            keys=["shop"],
        )

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
    ) -> asyncio.Future[Any]:
        """Collect the records of all topics in one list, so that their order shows."""
        self.log.append(
            (topic, {"key": key, "value": value, "partition": partition, "headers": headers})
        )
        delivery: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        delivery.set_result(None)
        return delivery

    async def run(self, value: bytes | None, **place: Any) -> None:
        await self.answering(FakeEvent(FakeMessage(value, **place)), self.lease)

    def topics(self) -> list[str]:
        return [name for name, _ in self.log]

    def last(self) -> dict[str, Any]:
        return self.log[-1][1]

    def headers(self) -> dict[str, str]:
        return {name: text.decode() for name, text in self.last()["headers"]}


def record(**fields: Any) -> bytes:
    return json.dumps({"type": "chat", "metadata": {"text": CANARY}, **fields}).encode()


async def test_record_of_a_key_is_billed_to_it() -> None:
    """A record that a named key has sent is that key's; a name that nobody configured is none."""
    fixture = Fixture()

    for id, name in {"r-1": b"shop", "r-2": b"nobody", "r-3": b"\xff"}.items():
        await fixture.run(record(id=id), headers=[("streamapp-api-key", name)])
    await fixture.run(record(id="r-4"))

    assert fixture.router.callers == ["shop", "", "", ""]


async def test_answer_is_remembered_before_it_is_emitted() -> None:
    """The ledger's entry is delivered first, on the record's partition, under its key."""
    fixture = Fixture()

    await fixture.run(record(id="r-1"))

    assert fixture.topics() == ["changelog", "responses"]
    assert json.loads(fixture.last()["value"])["id"] == "r-1"
    assert (fixture.last()["key"], fixture.last()["partition"]) == (b"k", 2)


async def test_calls_are_made_by_the_right_of_the_record() -> None:
    """Whoever makes an attempt for it, at any depth, can see whether it may."""
    fixture, context = Fixture(), copy_context()

    await asyncio.create_task(fixture.run(record(id="a")), context=context)

    assert context[RIGHT] is fixture.lease


async def test_answer_is_being_stored_until_kafka_has_it() -> None:
    """From the call's end to the last delivery a drain does not cut the record off."""
    fixture = Fixture()
    fixture.router.gate = asyncio.Event()
    seen: list[tuple[str, bool]] = []
    send = fixture.emitter._send
    context = copy_context()

    async def watched(topic: str, *fields: Any) -> Any:
        seen.append((topic, is_storing(context)))
        return await send(topic, *fields)

    fixture.emitter._send = watched
    task = asyncio.get_running_loop().create_task(fixture.run(record(id="r-1")), context=context)
    await settle()
    assert not is_storing(context), "it only asks"
    fixture.router.gate.set()
    await task

    assert seen == [("changelog", True), ("responses", True)]
    assert not is_storing(context)


async def test_record_without_id_is_named_by_its_place() -> None:
    """The default id is topic, partition and offset."""
    fixture = Fixture()

    await fixture.run(record(), offset=41)

    assert fixture.router.calls == ["llm.requests-2-41"]


async def test_redelivered_record_gets_the_stored_answer() -> None:
    """The second delivery emits the same bytes and makes no call."""
    fixture = Fixture()
    await fixture.run(record(id="r-1"))
    first = fixture.last()["value"]

    await fixture.run(record(id="r-1"))

    assert fixture.last()["value"] == first
    assert fixture.router.calls == ["r-1"]
    assert fixture.outcomes.seen == ["answered", "replayed"]


async def test_same_id_with_other_content_is_invalid() -> None:
    """An id names one content; the stored answer stays."""
    fixture = Fixture()
    await fixture.run(record(id="r-1"))
    answer = fixture.last()["value"]

    await fixture.run(record(id="r-1", cache=False), offset=1)

    assert fixture.headers()["streamapp.error.kind"] == "invalid"
    await fixture.run(record(id="r-1"), offset=2)
    assert fixture.last()["value"] == answer


@pytest.mark.parametrize("is_equal", [True, False], ids=["equal", "other"])
@pytest.mark.parametrize("fails", [False, True], ids=["answered", "dead"])
async def test_flow_with_anothers_name_is_given_none_of_its_outcomes(
    is_equal: bool, fails: bool
) -> None:
    """A flow finds the ledger of its name; what was written for another input is not its own."""
    fixture = Fixture()
    fixture.outlet.input_hash = "0123456789abcdef"
    fixture.router.answers = [ProviderRejected("no", provider="p")] if fails else []
    await fixture.run(record(id="r-1"))

    fixture.outlet.input_hash = "fedcba9876543210"
    await fixture.run(record(id="r-1") if is_equal else record(id="r-1", cache=False))
    await fixture.run(record(id="r-1") if is_equal else record(id="r-1", cache=False))

    assert fixture.router.calls == ["r-1", "r-1"]
    assert fixture.outcomes.seen[1:] == ["answered", "replayed"]


async def test_outcome_without_an_input_is_given_to_any_flow() -> None:
    """Older versions wrote none."""
    fixture = Fixture()
    await fixture.run(record(id="r-1"))

    fixture.outlet.input_hash = "0123456789abcdef"
    await fixture.run(record(id="r-1"))

    assert fixture.outcomes.seen == ["answered", "replayed"]


async def test_records_of_one_id_take_turns() -> None:
    """Two equal records in flight cost one call."""
    fixture = Fixture()
    fixture.router.gate = asyncio.Event()
    both = [
        asyncio.ensure_future(fixture.run(record(id="r-1"), offset=n, key=b"%d" % n))
        for n in range(2)
    ]
    await asyncio.sleep(0)

    fixture.router.gate.set()
    await asyncio.gather(*both)

    assert fixture.router.calls == ["r-1"]
    assert fixture.topics() == ["changelog", "responses", "responses"]


async def test_undecodable_record_is_dead_lettered_with_its_bytes() -> None:
    """The dead letter carries the original key and bytes, and says why in headers."""
    fixture = Fixture()
    value = b'{"type":"unheard","id":"r-9"}'

    await fixture.run(value, offset=5)

    assert fixture.topics() == ["dead-letters"]
    assert (fixture.last()["key"], fixture.last()["value"]) == (b"k", value)
    headers = fixture.headers()
    assert headers["streamapp.error.kind"] == "unknown_type"
    assert headers["streamapp.error.stage"] == "decode"
    assert headers["streamapp.request.id"] == "r-9"
    assert headers["__streams.errors.topic"] == "llm.requests"
    assert headers["__streams.errors.partition"] == "2"
    assert headers["__streams.errors.offset"] == "5"


@pytest.mark.parametrize("place", ["is_loaded", "decode", "records"])
async def test_bug_of_a_flow_is_a_dead_letter(place: str) -> None:
    """Nothing that a record brings out ends the worker, which would read it at each start."""
    fixture = Fixture()

    def fail(*_: Any) -> Any:
        raise ValueError(CANARY)

    setattr(fixture.outlet, place, fail)
    await fixture.run(record(id="a"))

    headers = fixture.headers()
    assert fixture.topics()[-1] == "dead-letters"
    assert headers["streamapp.error.kind"] == "internal"
    assert "flow 'requests' raised ValueError" in headers["__streams.errors.message"]
    assert CANARY not in str(headers)


async def test_failed_record_is_dead_lettered_with_its_attempts() -> None:
    """A failure of the call names its kind and what it cost."""
    fixture = Fixture()
    failure = ProviderRejected("HTTP 404", provider="fake", status=404)
    failure.attempts = 3
    fixture.router.answers.append(failure)

    await fixture.run(record(id="r-1"))

    assert fixture.headers()["streamapp.error.kind"] == "rejected"
    assert fixture.headers()["streamapp.attempts"] == "3"
    assert fixture.outcomes.seen == ["dead-lettered rejected"]


async def test_redelivered_failure_is_dead_lettered_again_without_a_call() -> None:
    """One record never gets a dead letter first and an answer after a crash."""
    fixture = Fixture()
    fixture.router.answers.append(InternalError("processor raised ValueError"))
    await fixture.run(record(id="r-1"), offset=3)
    first = fixture.last()

    await fixture.run(record(id="r-1"), offset=3)

    assert fixture.last() == first
    assert fixture.router.calls == ["r-1"]


async def test_later_record_with_a_dead_id_runs() -> None:
    """A dead-lettered id may be used again."""
    fixture = Fixture()
    fixture.router.answers.append(InternalError("processor raised ValueError"))
    await fixture.run(record(id="r-1"), offset=3)

    await fixture.run(record(id="r-1"), offset=4)

    assert fixture.topics()[-1] == "responses"


async def test_answer_too_large_for_the_topics_is_dead_lettered() -> None:
    """An answer no topic can carry ends as a dead letter before it reaches table or topic."""
    fixture = Fixture()
    fixture.router.answers.append("x" * RECORD_LIMIT)

    await fixture.run(record(id="r-1"))

    assert fixture.headers()["streamapp.error.kind"] == "too_large"
    assert all(len(sent["value"]) < RECORD_LIMIT for _, sent in fixture.log)


async def test_record_too_large_to_send_back_is_dead_lettered_by_reference() -> None:
    """Where the original does not fit, the headers name its place."""
    fixture = Fixture()

    await fixture.run(json.dumps({"type": "?", "text": "x" * RECORD_LIMIT}).encode())

    assert fixture.last()["value"] is None
    assert fixture.headers()["streamapp.value"] == "omitted"


async def test_record_whose_key_is_too_large_is_dead_lettered_by_reference() -> None:
    """A key that no record of ours can carry ends no worker."""
    fixture = Fixture()

    await fixture.run(record(id="r-1"), key=b"k" * RECORD_LIMIT)

    assert (fixture.last()["key"], fixture.last()["value"]) == (None, b"")
    assert fixture.headers()["streamapp.error.kind"] == "too_large"
    assert fixture.headers()["streamapp.key"] == "omitted"


@pytest.mark.parametrize("count", [1, 1_000])
async def test_answer_carries_no_more_trace_than_fits(count: int) -> None:
    """A producer's headers cannot make an answer too large for its topic."""
    fixture = Fixture()
    parent = ("traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")

    baggage = [("baggage", b"x" * (1_000_000 // count))] * count
    await fixture.run(record(id="r-1"), headers=[parent, *baggage])

    headers = fixture.last()["headers"]
    assert parent in headers
    assert sum(len(value) for _, value in headers) <= CARRIED_BYTES


async def test_lost_lease_writes_no_outcome() -> None:
    """A record that finishes after its generation leaves neither entry nor answer."""
    fixture = Fixture()
    fixture.lease.end()

    with pytest.raises(LeaseLost):
        await fixture.run(record(id="r-1"))

    assert fixture.log == []


async def test_record_sent_again_fails_with_its_history() -> None:
    """Attempts add up, the first failure stays the first, and the replays are told."""
    fixture = Fixture()
    failure = ProviderRejected("HTTP 404", provider="fake", status=404)
    failure.attempts = 3
    fixture.router.answers = [failure]
    first = "2030-01-01T00:00:00+00:00"
    history = {"replays": "2", "attempts": "4", "first-failure": first}

    await fixture.run(
        record(id="r-1"),
        headers=[(f"streamapp.{name}", text.encode()) for name, text in history.items()],
    )

    headers = fixture.headers()
    assert {name: headers[f"streamapp.{name}"] for name in history} == history | {"attempts": "7"}


@pytest.mark.parametrize("text", [b"-1", b"x", b"9" * 99, b"\xff", b"", "²".encode()])
async def test_history_that_makes_no_sense_counts_as_none(text: bytes) -> None:
    """Somebody else's bytes in our headers do no harm and are not passed on."""
    fixture = Fixture()
    names = ("replays", "attempts", "first-failure")

    await fixture.run(record(type="nope"), headers=[(f"streamapp.{name}", text) for name in names])

    headers = fixture.headers()
    assert "streamapp.replays" not in headers
    assert headers["streamapp.attempts"] == "0"
    assert datetime.fromisoformat(headers["streamapp.first-failure"])


async def test_dead_letter_keeps_the_records_own_headers() -> None:
    """Who sends the record again sends it whole; a name that came twice stays twice."""
    fixture = Fixture()
    own = [("traceparent", b"00-1"), ("tag", b"a"), ("tag", b"b")]

    await fixture.run(record(type="nope"), headers=own)

    assert fixture.last()["headers"][:3] == own


async def test_record_of_nothing_is_a_dead_letter_of_nothing() -> None:
    """Kafka's client refuses a record with neither key nor value: it stands as empty bytes."""
    fixture = Fixture()

    await fixture.run(None, key=None)

    assert (fixture.last()["key"], fixture.last()["value"]) == (None, b"")


async def test_headers_too_large_for_a_dead_letter_are_left_out() -> None:
    """The record goes before its headers, and the dead letter says that they are gone."""
    fixture = Fixture()

    value = record(type="nope", text="x" * 600_000)
    await fixture.run(value, headers=[("big", b"x" * 500_000)])

    assert fixture.last()["value"] == value
    assert "big" not in fixture.headers()
    assert fixture.headers()["streamapp.headers"] == "omitted"


@pytest.mark.parametrize(
    "failure",
    [
        ProviderRejected("HTTP 404", provider="fake", status=404),
        InternalError("processor raised ValueError"),
    ],
    ids=["provider", "processor"],
)
async def test_headers_and_log_hold_no_content(
    failure: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the dead letter's headers nor the log line show what the record said."""
    fixture = Fixture()
    fixture.router.answers.append(failure)

    await fixture.run(record(id="r-1"))

    output = capsys.readouterr()
    assert "record.dead_lettered" in output.out + output.err
    assert CANARY not in output.out + output.err + str(fixture.headers())


@pytest.mark.parametrize(
    ("value", "id"),
    [(b'{"n": "order-7"}', "order-7"), (b"{", "llm.requests-2-0"), (None, None)],
    ids=["wrong", "unreadable", "skipped"],
)
async def test_dead_letter_of_a_flow_has_the_records_own_id(
    value: bytes | None, id: str | None
) -> None:
    """It is found by the id that answers have, though its request could not be made."""
    fixture = Fixture(flow_outlet())

    await fixture.run(value)

    assert fixture.topics() == (["in-dlt"] if id else [])
    if id:
        assert fixture.headers()["streamapp.request.id"] == id


async def test_the_trace_of_a_record_goes_on_with_its_answer() -> None:
    """The answer carries what names the trace, also where it is a stored one; nothing else."""
    fixture, trace = Fixture(), [("traceparent", b"00-1-2-01"), ("tracestate", b"a=b")]
    for _ in range(2):
        await fixture.run(record(id="r-1"), headers=[("own", b"x"), *trace])

        assert fixture.last()["headers"] == trace


async def test_an_answer_without_a_trace_has_no_headers() -> None:
    """A record without headers costs its answer none."""
    fixture = Fixture()

    await fixture.run(record(id="r-1"), headers=())

    assert fixture.last()["headers"] is None


@pytest.mark.parametrize("value", [record(id="r-1"), b"{}", record(id="r-1", type="unknown")])
async def test_lines_of_the_log_know_their_record(value: bytes) -> None:
    """Whatever becomes of a record, its lines tell its id and its place."""
    fixture = Fixture()
    message = FakeMessage(value, offset=41)

    async def run() -> Subject | None:
        await fixture.answering(FakeEvent(message), fixture.lease)
        return SUBJECT.get()

    subject = await asyncio.create_task(run())

    id = "llm.requests-2-41" if value == b"{}" else "r-1"
    assert subject == Subject(id, message)
    assert SUBJECT.get() is None


async def test_streamed_record_has_its_chunks_before_its_answer() -> None:
    """Chunks go out while the model writes, end with the last one, and the answer follows."""
    fixture = Fixture()

    await fixture.run(record(id="r", stream=True))

    chunks = [record for topic, record in fixture.log if topic == "chunks"]
    assert [(record["value"], record["headers"]) for record in chunks] == [
        (
            b"answer ",
            {"stream-id": b"r", "stream-index": b"0", "stream-last-message": b"false"},
        ),
        (b"", {"stream-id": b"r", "stream-index": b"1", "stream-last-message": b"true"}),
    ]
    assert [topic for topic, _ in fixture.log] == ["chunks", "changelog", "chunks", "responses"]
    assert {record["key"] for record in chunks} == {b"k"}


async def test_streamed_record_that_fails_ends_its_stream() -> None:
    """Whoever reads along is told that no more comes, and why."""
    fixture = Fixture()
    fixture.router.answers = [ProviderRejected("fake: no", provider="fake", status=400)]

    await fixture.run(record(id="r", stream=True))

    last = [record for topic, record in fixture.log if topic == "chunks"][-1]
    assert last["headers"]["stream-last-message"] == b"true"
    assert last["headers"]["streamapp.error.kind"] == b"rejected"


async def test_failed_record_is_freed_without_the_collector() -> None:
    """Its error holds frames that hold the record, and which hold the error in their turn."""
    fixture = Fixture()

    async def run() -> weakref.ref[FakeMessage]:
        message = FakeMessage(record(id="r-1"))
        await fixture.answering(FakeEvent(message), fixture.lease)
        return weakref.ref(message)

    async def refuse(*_: Any, **__: Any) -> Answer:
        failure = ProviderRejected("no", provider="fake", status=400)
        raise failure

    fixture.router.answer = refuse  # type: ignore[method-assign]
    gc.collect()
    gc.disable()
    try:
        message = await asyncio.create_task(run())
        await asyncio.sleep(0)  # the loop holds the task that it has just woken this one for

        assert message() is None
    finally:
        gc.enable()
    assert fixture.outcomes.seen == ["dead-lettered rejected"]
