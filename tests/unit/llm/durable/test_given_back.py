"""A record of several steps that only waits can be given back, and nothing is made again for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from pydantic_core import from_json, to_json

from streamapp.errors import (
    AllProvidersFailed,
    BudgetExceeded,
    Failure,
    InternalError,
    ProviderRejected,
    TooLarge,
)
from streamapp.llm.caching.fingerprint import Fingerprints
from streamapp.llm.caching.single_flight import SingleFlight
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.durable.steps import Steps
from streamapp.llm.durable.stored_step import StepStore, StoredStep
from streamapp.llm.timeout import TimeLimited, TimeLimits
from tests.fakes import FakeProvider
from tests.unit.llm.calls import chat
from tests.unit.llm.durable.test_steps import MemoryStore

Make = Callable[[], Awaitable[object]]


class Record:
    """One record: its deadline, and what runs its steps."""

    def __init__(self, store: StepStore | None, *, is_single: bool = False) -> None:
        self.deadline = Deadline(90, time.monotonic)
        self._steps = Steps(store, deadline=self.deadline, is_single=is_single)
        self._tasks: list[asyncio.Task[None]] = []

    async def step(self, make: Make, *, kind: str = "model") -> None:
        """Run a step to its end."""
        await self._steps.run(kind, str, make, encode=to_json, decode=from_json)

    async def begin(self, make: Make, *, kind: str = "model") -> asyncio.Task[None]:
        """Begin a step beside the others."""
        task = asyncio.create_task(self.step(make, kind=kind))
        self._tasks.append(task)  # or nobody holds it
        for _ in range(5):
            await asyncio.sleep(0)
        return task

    async def wait(self) -> None:
        """Wait to be let through, for ever."""
        with self.deadline.suspended():
            await asyncio.Event().wait()

    @property
    def can_go(self) -> bool:
        """Whether it can be given back at no cost."""
        return self.deadline.is_only_waiting


async def done() -> None:
    """Give a result at once."""


async def work() -> None:
    """Be at work for ever."""
    await asyncio.Event().wait()


@pytest.fixture
def record() -> Record:
    return Record(MemoryStore())


@pytest.mark.parametrize("is_stored", [True, False])
async def test_finished_step_keeps_nobody_where_it_is_stored(is_stored: bool) -> None:
    """A record that waits with its second call goes, unless the first one's result is lost."""
    record = Record(MemoryStore() if is_stored else None)
    await record.step(done)
    await record.begin(record.wait)

    assert record.can_go == is_stored


async def test_call_in_progress_keeps_the_record(record: Record) -> None:
    """Of calls side by side each one has to wait."""
    await record.begin(record.wait)
    running = asyncio.Event()
    answered = await record.begin(running.wait)
    assert not record.can_go

    running.set()
    await answered

    assert record.can_go


async def test_step_waits_with_what_is_in_progress_within_it(record: Record) -> None:
    """A coroutine whose own call waits goes with it, and stays for another one that works."""

    async def ask() -> None:
        await record.step(done)
        await record.step(record.wait)

    await record.begin(ask, kind="step")
    assert record.can_go

    await record.begin(work, kind="tool")

    assert not record.can_go


async def test_result_that_is_being_stored_keeps_the_record() -> None:
    """It is paid, and lost until Kafka has it."""
    stored = asyncio.Event()

    class Slow(MemoryStore):
        async def adopt(self, number: str, step: StoredStep) -> None: ...

        async def put(self, number: str, step: StoredStep) -> None:
            await stored.wait()

    record = Record(Slow())
    await record.begin(record.wait)
    storing = await record.begin(done)
    assert not record.can_go

    stored.set()
    await storing

    assert record.can_go


async def test_result_whose_storing_is_put_off_keeps_the_record() -> None:
    """That of a record of one call is stored only once another one begins."""
    record = Record(MemoryStore(), is_single=True)
    await record.step(done)
    with record.deadline.extended():
        assert not record.can_go

    await record.begin(record.wait)

    assert record.can_go


async def test_what_a_stored_step_paid_is_over_while_others_wait(record: Record) -> None:
    """Of calls side by side one was asked again, and fits: the others can go."""
    waiting = await record.begin(record.wait)
    again = asyncio.Event()

    async def ask_again() -> None:
        record.deadline.invest()
        await again.wait()

    asked = await record.begin(ask_again)
    again.set()
    await asked

    assert not waiting.done()
    assert record.can_go


async def test_stored_step_stands_for_no_other_one(record: Record) -> None:
    """What one lost is lost, whatever is stored behind it."""
    for _ in range(9):
        await record.step(done)

    async def ask_again() -> None:
        record.deadline.invest()
        await asyncio.Event().wait()

    tenth = await record.begin(ask_again)
    tenth.cancel()
    await asyncio.wait([tenth])
    await record.step(done)

    with record.deadline.suspended():
        assert not record.can_go


async def test_time_of_a_tool_that_ran_out_keeps_nobody_once_that_is_stored(
    record: Record,
) -> None:
    """Its call was cut off; the tool's result says so, and is not asked for again."""

    async def run_out() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await record.step(work)

    await record.begin(record.wait)
    await record.step(run_out, kind="tool")

    assert record.can_go


@pytest.mark.parametrize("is_asked", [False, True], ids=["held", "asked"])
@pytest.mark.parametrize("is_shared", [False, True], ids=["alone", "shared"])
async def test_call_that_was_given_up_before_an_attempt_keeps_nobody(
    is_shared: bool, is_asked: bool, record: Record
) -> None:
    """Its processor's patience ended while a budget or an outage held it: nothing was paid."""

    class Held(FakeProvider):
        async def complete(self, call: Call) -> Completion:
            if is_asked:
                limited = TimeLimited(FakeProvider(), name="fake", limits=TimeLimits())
                await limited.complete(call)
            with call.deadline.suspended():
                begun.set()
                await asyncio.Event().wait()
            raise AssertionError

    begun, provider = asyncio.Event(), Held()
    shared = SingleFlight(provider, fingerprints=Fingerprints(["default"]))
    call = chat(deadline=record.deadline)
    others = asyncio.create_task(shared.complete(chat()))
    given_up = await record.begin(lambda: (shared if is_shared else provider).complete(call))
    await begun.wait()
    assert record.can_go

    given_up.cancel()
    await asyncio.wait([given_up])

    await record.begin(record.wait)
    assert record.can_go is not is_asked
    others.cancel()


def failed(failure: Failure, *, paid: int = 0, by: Failure | None = None) -> Failure:
    """Return a failure with what was paid in vain before it."""
    failure.paid, failure.__cause__ = paid, by
    return failure


def rejected(*, paid: int = 0) -> Failure:
    return failed(ProviderRejected("no", provider="p", status=400), paid=paid)


@pytest.mark.parametrize(
    ("failure", "is_free"),
    [
        (rejected(), True),
        (BudgetExceeded("spent"), True),
        (failed(AllProvidersFailed("all"), by=rejected()), True),
        (rejected(paid=1), False),
        (failed(AllProvidersFailed("all"), by=rejected(paid=1)), False),
        (InternalError("a bug"), False),
        (TooLarge("an answer"), False),
    ],
    ids=["rejected", "budget", "all", "rejected-paid", "all-paid", "bug", "too-large"],
)
async def test_call_that_failed_at_no_cost_keeps_nobody(
    failure: Failure, is_free: bool, record: Record
) -> None:
    """As long as nothing was stored behind it, which another outcome of it may pass over."""

    async def fail() -> None:
        raise failure

    with pytest.raises(type(failure)):
        await record.step(fail)
    waiting = await record.begin(record.wait)
    assert record.can_go == is_free

    waiting.cancel()
    await asyncio.wait([waiting])
    await record.step(done)
    with record.deadline.suspended():
        assert not record.can_go


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("within", [True, False])
async def test_failed_step_keeps_the_record_unless_another_one_stands_for_it(
    within: bool, beside: bool, record: Record
) -> None:
    """It would be made and paid again, where it is no part of a step that is stored."""

    async def fail() -> None:
        raise ValueError

    async def go_on() -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - ours
            await record.step(fail)
        with record.deadline.suspended():
            assert not record.can_go

    if beside:
        await record.begin(record.wait)
    if within:
        await record.step(go_on, kind="step")
    else:
        await go_on()
    if not beside:
        await record.begin(record.wait)

    assert record.can_go == within


async def test_what_a_call_paid_keeps_the_record_until_it_is_stored(record: Record) -> None:
    """Wrong answers and parts of batches are lost with their call, and over with it."""

    async def ask_again() -> None:
        record.deadline.invest()
        with record.deadline.suspended():
            assert not record.can_go

    await record.step(ask_again)
    await record.begin(record.wait)

    assert record.can_go


async def test_own_wait_of_a_record_is_none_of_its_calls(record: Record) -> None:
    """A record that waits for its tools goes; not beside a call that is being answered."""
    with record.deadline.extended():
        assert record.can_go
        await record.begin(work)
        assert not record.can_go


async def test_step_whose_turn_has_not_come_keeps_nobody(record: Record) -> None:
    """Neither while others of its record are before it, nor where it is cancelled then."""

    async def wait_for_turn() -> None:
        with record.deadline.steps.put_off():
            await asyncio.Event().wait()

    await record.begin(record.wait)
    last = await record.begin(wait_for_turn, kind="tool")
    assert record.can_go

    last.cancel()
    await asyncio.wait([last])

    assert record.can_go
