"""Records whose steps or answers are larger than the ledger's changelog takes."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from streamapp.llm.durable.stored_step import StoredStep
from streamapp.processors.router import Answer
from streamapp.records.request import Request
from streamapp.streaming.broker.topics import RECORD_LIMIT
from streamapp.streaming.delivery.ledger_entry import ENVELOPE_BYTES, digest
from streamapp.streaming.delivery.record_size import is_oversize
from streamapp.streaming.delivery.step_store import LedgerSteps
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.storing import Storing
from tests.unit.streaming.test_record_handler import FakeRouter, Fixture, record


class SteppingRouter(FakeRouter):
    """Stores a step before it answers."""

    result = b'"small"'

    async def answer(self, request: Request, *, store: Any = None, **call: Any) -> Answer:
        await store.put("1", StoredStep("f", "", self.result))
        return await super().answer(request, store=store, **call)


class SmallChangelog(Fixture):
    """A changelog whose topic takes less than a record may have."""

    def __init__(self, limit: int = RECORD_LIMIT) -> None:
        super().__init__()
        self.stepping = SteppingRouter()
        self.router = self.answering._router = self.stepping
        self.limit = limit

    async def send(self, topic: str, key: Any, value: Any, *rest: Any) -> asyncio.Future[Any]:
        if topic == "changelog" and len(value or b"") > self.limit:
            raise MessageSizeTooLargeError
        return await super().send(topic, key, value, *rest)


class SmallResponses(SmallChangelog):
    """Responses whose topic takes none of them."""

    async def send(self, topic: str, *rest: Any) -> asyncio.Future[Any]:
        if topic == "responses":
            raise MessageSizeTooLargeError
        return await super().send(topic, *rest)


def steps_left(fixture: Fixture) -> list[bytes]:
    """Return the keys of the steps that the ledger still remembers."""
    return [key for key in fixture.answering._ledger._index.lines if key != b"r-1"]


async def test_a_step_that_no_record_carries_is_a_dead_letter() -> None:
    """It is told before it reaches the broker."""
    fixture = SmallChangelog()
    fixture.stepping.result = b'"%b"' % (b"x" * RECORD_LIMIT)

    await fixture.run(record(id="r-1"))

    assert fixture.topics() == ["changelog", "dead-letters"]
    assert fixture.headers()["streamapp.error.kind"] == "too_large"
    assert "step 1 gave 1,0" in fixture.headers()["__streams.errors.message"]
    assert steps_left(fixture) == []


async def test_a_step_that_its_topic_does_not_take_is_a_dead_letter() -> None:
    """A `max.message.bytes` below ours costs the record, and no worker."""
    fixture = SmallChangelog(2_000)
    fixture.stepping.result = b'"%b"' % (b"x" * 3_000)

    await fixture.run(record(id="r-1"))

    assert fixture.headers()["streamapp.error.kind"] == "too_large"
    assert "max.message.bytes" in fixture.headers()["__streams.errors.message"]
    assert steps_left(fixture) == []


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_the_changelog_does_not_take_keeps_no_steps(stream: bool) -> None:
    """They go with their record, and whoever reads its stream along is told."""
    fixture = SmallChangelog(2_000)
    fixture.router.answers = ["x" * 3_000]

    await fixture.run(record(id="r-1", stream=stream))

    assert fixture.headers()["streamapp.error.kind"] == "too_large"
    assert steps_left(fixture) == []
    chunks = [sent for topic, sent in fixture.log if topic == "chunks"]
    assert [one["headers"].get("streamapp.error.kind") for one in chunks[1:]] == (
        [b"too_large"] if stream else []
    )


async def test_an_answer_that_its_topic_does_not_take_leaves_the_steps_of_a_duplicate() -> None:
    """It is a dead letter after all, which is its own record's alone."""
    fixture = SmallResponses()
    value = record(id="r-1")
    twin = LedgerSteps(
        fixture.answering._ledger,
        Lease(1),
        id="r-1",
        digest=digest(value),
        partition=1,
        offset=3,
        storing=Storing(),
    )
    await twin.put("2", StoredStep("f", "", b'"paid"'))

    await fixture.run(record(id="r-1"))

    assert fixture.headers()["streamapp.error.kind"] == "too_large"
    assert twin.get("1") is None
    assert twin.get("2") == StoredStep("f", "", b'"paid"')


def test_the_limit_that_a_record_is_told_is_what_one_carries() -> None:
    """An answer is asked for as long as it may be, and no longer."""
    nothing: Any = None
    steps = LedgerSteps(
        nothing, Lease(1), id="r-1", digest="d", partition=0, offset=0, storing=Storing()
    )

    assert not is_oversize(b"", steps.limit_bytes + ENVELOPE_BYTES)
    assert is_oversize(b"", steps.limit_bytes + ENVELOPE_BYTES + 1)
