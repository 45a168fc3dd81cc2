"""Records whose processors await something of their own for longer than their deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack

import pytest
from pydantic_core import from_json, to_json
from structlog.testing import capture_logs

from streamapp.llm.deadline import Deadline
from streamapp.llm.durable.overdue import SHOWN, OverdueRecords
from streamapp.llm.durable.progress import RecordsInProgress
from streamapp.llm.durable.steps import Steps
from streamapp.llm.durable.stored_step import StoredStep
from streamapp.running_clock import RunningClock
from tests.fakes import FakeClock
from tests.unit.llm.durable.test_steps import MemoryStore

DEADLINE_S = 90

Make = Callable[[], Awaitable[object]]


class SlowStore(MemoryStore):
    """Stores a step once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.is_let = asyncio.Event()

    async def adopt(self, number: str, step: StoredStep) -> None:
        await self.is_let.wait()

    async def put(self, number: str, step: StoredStep) -> None:
        await self.is_let.wait()
        await super().put(number, step)


class Record:
    """One record that runs, and the tasks of its processor."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.store = SlowStore()
        self.store.is_let.set()
        self.deadline = Deadline(DEADLINE_S, clock)
        records = RecordsInProgress(clock)
        self.running = records.running("r", "chain")
        self.progress = self.running.__enter__()
        self.progress.deadline = self.deadline
        self.overdue = OverdueRecords(records)
        self.redeliver()

    def redeliver(self) -> None:
        """Begin anew with what is stored."""
        self._steps = Steps(self.store, deadline=self.deadline, progress=self.progress)

    async def step(self, kind: str, make: Make) -> None:
        """Run a step to its end."""
        await self._steps.run(kind, str, make, encode=to_json, decode=from_json)

    async def pass_s(self, seconds: float) -> None:
        """Let all that has begun go on, and time pass."""
        for _ in range(9):
            await asyncio.sleep(0)
        self.clock.advance(seconds)


async def done() -> None:
    """End at once."""


async def for_ever() -> None:
    """Never end."""
    await asyncio.Event().wait()


@pytest.fixture
def record() -> Record:
    """A record that has begun no step."""
    return Record(FakeClock())


async def asked_in_time(record: Record) -> None:
    """Have an answer, and then await nothing that counts as a step."""
    record.deadline.start()
    await record.step("model", done)
    await for_ever()


async def own_step(record: Record) -> None:
    """Await within a durable step of its own."""
    await record.step("step", for_ever)


async def own_step_behind_a_call(record: Record) -> None:
    """Ask within such a step, and await there."""

    async def make() -> None:
        await record.step("model", done)
        await for_ever()

    await record.step("step", make)


async def nothing_at_all(record: Record) -> None:
    """Begin no step."""
    await for_ever()


@pytest.mark.parametrize(
    "processor", [nothing_at_all, asked_in_time, own_step, own_step_behind_a_call]
)
async def test_record_whose_processor_awaits_for_ever_is_named(
    record: Record, processor: Callable[[Record], Awaitable[None]]
) -> None:
    """Not before its calls would have been given up, and with how long it has been so."""
    async with _running(processor, record):
        await record.pass_s(DEADLINE_S)
        in_time = record.overdue.impaired()
        await record.pass_s(42)

        assert (in_time, record.overdue.count) == ([], 1)
        assert record.overdue.impaired() == [
            "record r (type chain): its processor has awaited something of its own for 132 s,"
            " which STREAMAPP_DEADLINE_S does not bound"
        ]


async def call(record: Record) -> None:
    """Make a call that its own bounds end."""
    await record.step("model", for_ever)


async def call_that_waits(record: Record) -> None:
    """Make a call that waits for a limit, a budget or a provider that is down."""

    async def wait() -> None:
        with record.deadline.suspended():
            await for_ever()

    await record.step("model", wait)


async def call_within_a_step(record: Record) -> None:
    """Make one within a durable step of its own."""
    await record.step("step", lambda: call_that_waits(record))


async def call_beside_a_step(record: Record) -> None:
    """Make one, and await something of its own meanwhile."""
    await asyncio.gather(call_that_waits(record), own_step(record))


async def tool(record: Record) -> None:
    """Call a tool, which has a time-out, and awaits something in a step of its own."""
    await record.step("tool", lambda: own_step(record))


async def wait_for_tools(record: Record) -> None:
    """Wait for a server of tools, which is given up after a time."""
    with record.deadline.extended():
        await for_ever()


async def store(record: Record) -> None:
    """Store the result of a step of its own while Kafka does not take it."""
    record.store.is_let.clear()
    await record.step("step", done)


async def adopt(record: Record) -> None:
    """Have the step of an equal record, and keep it for its own."""
    await record.step("step", done)
    record.redeliver()
    record.store.is_let.clear()
    await record.step("step", done)


@pytest.mark.parametrize(
    "processor",
    [
        call,
        call_that_waits,
        call_within_a_step,
        call_beside_a_step,
        tool,
        wait_for_tools,
        store,
        adopt,
    ],
)
async def test_record_that_waits_for_anything_else_is_not_named(
    record: Record, processor: Callable[[Record], Awaitable[None]]
) -> None:
    """However long that takes: it has bounds of its own, or is held and named as such."""
    async with _running(processor, record):
        await record.pass_s(10_000)

        assert (record.overdue.impaired(), record.overdue.count) == ([], 0)


async def test_record_is_not_named_for_the_outage_that_it_waited_for(record: Record) -> None:
    """What its processor awaits afterwards counts alone."""
    is_over = asyncio.Event()

    async def processor(record: Record) -> None:
        async def wait() -> None:
            with record.deadline.suspended():
                await is_over.wait()

        await record.step("model", wait)
        await for_ever()

    async with _running(processor, record):
        await record.pass_s(10_000)
        is_over.set()
        await record.pass_s(DEADLINE_S)
        in_time = record.overdue.count
        await record.pass_s(1)

        assert (in_time, record.overdue.count) == (0, 1)


async def test_record_has_the_time_that_it_waited_for_tools_on_top(record: Record) -> None:
    """As its calls do."""
    with record.deadline.extended():
        record.clock.advance(30)

    record.clock.advance(DEADLINE_S)
    in_time = record.overdue.count
    record.clock.advance(1)

    assert (in_time, record.overdue.count) == (0, 1)


def test_record_of_a_process_that_stood_still_is_not_named() -> None:
    """Its processor could not go on meanwhile."""
    raw = FakeClock()
    running = RunningClock(raw, most_s=1)
    records = RecordsInProgress(running)
    overdue = OverdueRecords(records)
    running.beat()
    with records.running("r", "chain") as progress:
        progress.deadline = Deadline(DEADLINE_S, running)

        raw.advance(10_000)
        running.beat()

        assert overdue.count == 0


def test_each_is_logged_once_and_never_what_it_holds(record: Record) -> None:
    """A look finds it again and again; one whose processor goes on is forgotten."""
    with capture_logs() as logs:
        record.overdue.look()
        for _ in range(3):
            record.clock.advance(DEADLINE_S)
            record.overdue.look()
        record.running.__exit__()
        record.overdue.look()

    hint = "put asyncio.timeout round what its processor awaits besides the model"
    assert logs == [
        {
            "event": "record.overdue",
            "log_level": "warning",
            "id": "r",
            "type": "chain",
            "awaited_s": 180,
            "hint": hint,
        }
    ]


def test_the_oldest_have_a_line_each_and_others_are_counted() -> None:
    """Each by its own deadline, as the records of a flow may have another one."""
    clock = FakeClock()
    records = RecordsInProgress(clock)
    overdue = OverdueRecords(records)
    with ExitStack() as running:
        for number in range(SHOWN + 3):
            progress = running.enter_context(records.running(f"r{number}", "chain"))
            progress.deadline = Deadline(500 if number == 1 else DEADLINE_S, clock)

        clock.advance(100)
        lines = overdue.impaired()

    assert [line.partition(" (")[0] for line in lines] == [
        "record r0",
        "record r2",
        "record r3",
        "more such records: 2",
    ]


def test_records_of_one_id_are_each_looked_at() -> None:
    """Two flows may read one input, and call a record by the same id."""
    clock = FakeClock()
    records = RecordsInProgress(clock)
    overdue = OverdueRecords(records)
    with records.running("r", "chain") as hanging:
        hanging.deadline = Deadline(DEADLINE_S, clock)
        clock.advance(100)
        with records.running("r", "chat"):
            beside = overdue.count

        assert (beside, overdue.count) == (1, 1)


def _running(processor: Callable[[Record], Awaitable[None]], record: Record) -> AsyncExitStack:
    """Run a processor for the time of a block."""
    stack = AsyncExitStack()
    task = asyncio.ensure_future(processor(record))

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    stack.push_async_callback(end)
    return stack
