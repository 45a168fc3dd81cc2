"""Equal calls in flight share one call."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from streamapp.errors import Kind, LeaseLost, ProviderRejected, RetriesExhausted
from streamapp.llm.attempt import RIGHT, permitted
from streamapp.llm.caching.fingerprint import Fingerprints
from streamapp.llm.caching.single_flight import SingleFlight
from streamapp.llm.chunks import CallDelta
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.records.response import Usage
from streamapp.streaming.window.lease import Lease
from tests.fakes import FakeProvider, TakenChunks
from tests.support.waiting import until
from tests.unit.llm.calls import chat


class Gated(FakeProvider):
    """Answers once its gate is open; gives two chunks before it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.cancelled = 0

    async def complete(self, call: Call) -> Completion:
        self.history.append(call)
        call.deadline.start()
        if call.chunks:
            await call.chunks.begin()
            await call.chunks.add("one ")
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if call.chunks:
            await call.chunks.add("two")
            await call.chunks.add_call(CallDelta(0, "c1", "f", "{}"))
        self.history.pop()
        return await super().complete(replace(call, chunks=None))


@pytest.fixture
def gated() -> Gated:
    """A provider that waits for its test."""
    return Gated()


@pytest.fixture
def flights(gated: Gated) -> SingleFlight:
    """Single flight around it."""
    return SingleFlight(gated, fingerprints=Fingerprints(["default"]))


async def started(gated: Gated, *calls: Any) -> list[asyncio.Task[Completion]]:
    """Start the calls, and return once the provider has one."""
    tasks = [asyncio.create_task(call) for call in calls]
    await until(lambda: gated.history, 30)
    await asyncio.sleep(0)
    return tasks


async def test_equal_calls_share_one_call(gated: Gated, flights: SingleFlight) -> None:
    """Equal calls at once are one call; the first pays, the others are cached."""
    bill = Usage(input_tokens=7, output_tokens=1)
    paid = Completion(
        output="a", model="m", provider="p", usage=bill, attempts=2, cost_usd=Decimal(3)
    )
    gated.enqueue(paid)
    tasks = await started(gated, *(flights.complete(chat()) for _ in range(3)))
    gated.gate.set()

    first, *others = await asyncio.gather(*tasks)

    assert len(gated.history) == 1
    assert first == paid
    for other in others:
        assert (other.output, other.cached, other.attempts) == ("a", True, 0)
        assert (other.usage, other.cost_usd) == (Usage(), Decimal(0))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (chat("a"), chat("b")),
        (chat(tenant="a"), chat(tenant="b")),
        (chat(cache=False), chat(cache=False)),
        (chat(), chat(cache=False)),
    ],
    ids=["texts", "tenants", "both-fresh", "one-fresh"],
)
async def test_other_calls_share_nothing(
    first: Call, second: Call, gated: Gated, flights: SingleFlight
) -> None:
    """Calls that differ, or that want an answer of their own, are made."""
    gated.gate.set()

    await asyncio.gather(flights.complete(first), flights.complete(second))

    assert len(gated.history) == 2


async def test_later_call_is_made(gated: Gated, flights: SingleFlight) -> None:
    """A call after the end of an equal one is made: keeping answers is the cache's work."""
    gated.gate.set()

    for _ in range(2):
        completion = await flights.complete(chat())
        assert not completion.cached

    assert len(gated.history) == 2


async def test_outputs_are_not_shared_objects(gated: Gated, flights: SingleFlight) -> None:
    """What one record does to its output, another one does not see."""
    gated.enqueue(Completion(output={"label": ["x"]}, model="m", provider="p"))
    tasks = await started(gated, flights.complete(chat()), flights.complete(chat()))
    gated.gate.set()
    first, second = await asyncio.gather(*tasks)

    first.output["label"].append("y")

    assert second.output == {"label": ["x"]}


class Rightful(Gated):
    """Makes an attempt behind its gate, where it may."""

    async def complete(self, call: Call) -> Completion:
        completion = await super().complete(call)
        await permitted()
        return completion


async def of_record(flights: SingleFlight, lease: Lease) -> Completion:
    """Return what the record of a worker gets that took it under ``lease``."""
    RIGHT.set(lease)
    return await flights.complete(chat())


async def test_call_goes_on_while_any_caller_has_its_right() -> None:
    """A call that an older generation began goes on for HTTP, and for the record anew."""
    gated, old, new = Rightful(), Lease(1), Lease(2)
    flights = SingleFlight(gated, fingerprints=Fingerprints(["default"]))
    leader, http = await started(gated, of_record(flights, old), flights.complete(chat()))
    old.end()
    leader.cancel()
    await asyncio.wait([leader])
    (again,) = await started(gated, of_record(flights, new))
    gated.gate.set()

    assert [(await task).output for task in (http, again)] == [(await http).output] * 2
    assert len(gated.history) == 1


async def test_call_ends_where_no_caller_has_its_right() -> None:
    """What another worker answers is not paid here, however many records wait for it."""
    gated, old = Rightful(), Lease(1)
    flights = SingleFlight(gated, fingerprints=Fingerprints(["default"]))
    tasks = await started(gated, of_record(flights, old), of_record(flights, old))
    old.end()
    gated.gate.set()

    assert all(
        isinstance(outcome, LeaseLost)
        for outcome in await asyncio.gather(*tasks, return_exceptions=True)
    )


class Refused(FakeProvider):
    """Lets another record call in the moment in which the first one's call is refused."""

    joins: Callable[[], object]

    async def complete(self, call: Call) -> Completion:
        try:
            await permitted()
        except LeaseLost:
            self.joins()
            await asyncio.sleep(0)
            raise
        return await super().complete(call)


async def test_call_that_joins_one_without_right_is_made_anew() -> None:
    """The end of another record's right is none of its own."""
    refused, old, new = Refused(), Lease(1), Lease(2)
    flights = SingleFlight(refused, fingerprints=Fingerprints(["default"]))
    joined: list[asyncio.Task[Completion]] = []
    later = of_record(flights, new)
    refused.joins = lambda: joined.append(asyncio.create_task(later))
    old.end()

    with pytest.raises(LeaseLost):
        await asyncio.create_task(of_record(flights, old))

    assert (await joined[0]).output
    assert len(refused.history) == 1


async def test_cancelled_caller_leaves_the_others(gated: Gated, flights: SingleFlight) -> None:
    """The call goes on while anyone waits for it; the next in line pays."""
    leader, other = await started(gated, flights.complete(chat()), flights.complete(chat()))

    leader.cancel()
    await asyncio.wait([leader])
    gated.gate.set()

    assert leader.cancelled()
    assert not (await other).cached
    assert gated.cancelled == 0
    assert len(gated.history) == 1


async def test_last_caller_takes_the_call_with_it(gated: Gated, flights: SingleFlight) -> None:
    """A call nobody waits for is cancelled; an equal one afterwards is a new one."""
    tasks = await started(gated, flights.complete(chat()), flights.complete(chat()))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    gated.gate.set()

    completion = await flights.complete(chat())

    assert gated.cancelled == 1
    assert completion.output == "answer to: hello"


async def test_deadline_of_one_does_not_end_the_others(gated: Gated, flights: SingleFlight) -> None:
    """A caller whose time is up fails alone; the call has the time of the last one."""
    short, long = await started(
        gated, flights.complete(chat(deadline_s=0.05)), flights.complete(chat(deadline_s=30))
    )

    with pytest.raises(RetriesExhausted) as caught:
        await short
    assert caught.value.kind is Kind.RETRIES_EXHAUSTED
    assert gated.history[0].deadline.remaining_s() > 20
    gated.gate.set()
    assert not (await long).cached


async def test_suspended_time_ends_nobody(gated: Gated, flights: SingleFlight) -> None:
    """While the shared call waits for a limit, no caller's time runs."""
    short, long = await started(
        gated, flights.complete(chat(deadline_s=1)), flights.complete(chat(deadline_s=30))
    )

    with gated.history[0].deadline.suspended():
        await asyncio.wait([short], timeout=1.3)
        assert not short.done()
        gated.gate.set()
        await asyncio.wait([short, long])

    assert short.result().output == long.result().output


async def test_callers_deadlines_run(gated: Gated, flights: SingleFlight) -> None:
    """Each caller's own deadline counts while the shared call is tried."""
    deadline = Deadline(30, time.monotonic)
    tasks = await started(
        gated, flights.complete(chat()), flights.complete(chat(deadline=deadline))
    )
    gated.gate.set()
    await asyncio.gather(*tasks)

    assert deadline.spent_s() > 0


async def test_failure_is_shared(gated: Gated, flights: SingleFlight) -> None:
    """A failure is each caller's own: its attempts count for the first one alone."""
    rejected = ProviderRejected("no", provider="p", status=400)
    rejected.attempts = 1
    gated.enqueue(rejected)
    tasks = await started(gated, *(flights.complete(chat()) for _ in range(3)))
    gated.gate.set()

    failures = await asyncio.gather(*tasks, return_exceptions=True)

    assert len(gated.history) == 1
    assert len({id(failure) for failure in failures}) == 3
    assert [failure.attempts for failure in failures] == [1, 0, 0]  # type: ignore[union-attr]
    assert {(type(f), str(f), f.status) for f in failures} == {(ProviderRejected, "no", 400)}  # type: ignore[union-attr]


async def test_chunks_go_to_the_first_caller(gated: Gated, flights: SingleFlight) -> None:
    """The caller that began gets the chunks as they come, the others one chunk."""
    first, second = TakenChunks(), TakenChunks()
    gated.enqueue("one two")
    tasks = await started(
        gated, flights.complete(chat(chunks=first)), flights.complete(chat(chunks=second))
    )
    await until(lambda: first.texts == ["one "], 30)
    gated.gate.set()
    await asyncio.gather(*tasks)

    assert first.texts == ["one ", "two"]
    assert second.texts == ["one two"]
    assert first.calls == [CallDelta(0, "c1", "f", "{}")]
    assert (first.is_cached, second.is_cached) == (False, True)


async def test_texts_that_are_taken_back_are_so_for_the_first_caller() -> None:
    """What turns out to be no part of the answer is not kept in the shared call either."""

    class Thinking(FakeProvider):
        async def complete(self, call: Call) -> Completion:
            assert call.chunks is not None
            await call.chunks.begin()
            await call.chunks.add("let me see")
            await call.chunks.retract()
            await call.chunks.add("answer")
            return await super().complete(replace(call, chunks=None))

    taker = TakenChunks()
    flights = SingleFlight(Thinking("one"), fingerprints=Fingerprints(["default"]))
    await flights.complete(chat(chunks=taker))

    assert taker.texts == ["answer"]
    assert (taker.begun, taker.retracted) == (1, 1)


async def test_broken_taker_fails_alone(gated: Gated, flights: SingleFlight) -> None:
    """A caller whose chunks nobody takes any more fails; the answer goes to the others."""
    broken = TakenChunks(error=ConnectionResetError())
    first, second = await started(
        gated, flights.complete(chat(chunks=broken)), flights.complete(chat())
    )

    with pytest.raises(ConnectionResetError):
        await first
    gated.gate.set()
    assert (await second).output == "answer to: hello"


async def test_distinct_calls_are_made_once_each(llm: FakeProvider) -> None:
    """2,000 calls with 200 texts in flight are 200 calls."""
    flights = SingleFlight(llm, fingerprints=Fingerprints(["default"]))
    texts = [f"text {n % 200}" for n in range(2000)]

    answers = await asyncio.gather(*(flights.complete(chat(text)) for text in texts))

    assert len(llm.history) == 200
    assert [a.output for a in answers] == [f"answer to: {text}" for text in texts]
