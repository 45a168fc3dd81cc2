"""Steps that wait for Kafka, for longer than their record has time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from pydantic_core import from_json, to_json

from streamapp.llm.deadline import Deadline
from streamapp.llm.durable.progress import RecordsInProgress
from streamapp.llm.durable.steps import Steps
from streamapp.llm.durable.stored_step import StoredStep
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.durable.test_steps import MemoryStore

OUTAGE_S, CALL_S, DEADLINE_S = 600.0, 2.0, 90.0


class AwayStore(MemoryStore):
    """Keeps each step a little after the end of an outage, one behind the other."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: Callable[[], None] = lambda: None
        self._writes = 0

    async def put(self, number: str, step: StoredStep) -> None:
        await self._wait()
        await super().put(number, step)

    async def adopt(self, number: str, step: StoredStep) -> None:
        await self._wait()

    async def _wait(self) -> None:
        self._writes += 1
        await asyncio.sleep(OUTAGE_S + self._writes)
        self.looks()


class Record:
    """One delivery of a record, within virtual time."""

    def __init__(self, store: AwayStore, *, is_single: bool = False) -> None:
        self.deadline = Deadline(DEADLINE_S, virtual_clock)
        self.deadline.start()
        self.records = RecordsInProgress(virtual_clock)
        self._running = self.records.running("r", "chain")
        progress = self._running.__enter__()
        progress.deadline = self.deadline
        self._steps = Steps(store, deadline=self.deadline, is_single=is_single, progress=progress)

    async def step(self, make: Callable[[], Awaitable[object]], kind: str = "model") -> None:
        await self._steps.run(kind, str, make, encode=to_json, decode=from_json)

    async def call(self) -> None:
        await asyncio.sleep(CALL_S)


@pytest.mark.parametrize("is_single", [False, True])
def test_no_time_passes_while_steps_are_stored_or_given_again(is_single: bool) -> None:
    """One behind the other; the first of a record of one call as well, once a second follows."""

    async def scene() -> None:
        store = AwayStore()
        record = Record(store, is_single=is_single)
        for _ in range(2):
            await record.step(record.call)
        assert record.deadline.spent_s() == 2 * CALL_S

        again = Record(store, is_single=is_single)
        for _ in range(3):
            await again.step(again.call)
        assert again.deadline.spent_s() == CALL_S
        assert virtual_clock() > 5 * OUTAGE_S

    run_virtually(scene())


def test_no_time_passes_while_one_of_several_steps_is_stored() -> None:
    """The last of those side by side decides, and those within a step of the record's own."""

    async def scene() -> None:
        record = Record(AwayStore())

        async def several() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(8):
                    group.create_task(record.step(record.call))

        await record.step(several, "step")
        await several()

        assert record.deadline.spent_s() == 2 * CALL_S

    run_virtually(scene())


@pytest.mark.parametrize("kind", ["model", "step", "tool"])
def test_step_that_is_being_stored_is_not_overdue_and_not_given_back(kind: str) -> None:
    """It waits for Kafka, not for anything of its processor's, and would be paid again."""

    async def scene() -> None:
        store = AwayStore()
        record, looks = Record(store), 0

        def looked() -> None:
            nonlocal looks
            looks += 1
            assert record.records.overdue() == []
            assert not record.deadline.is_only_waiting

        store.looks = looked
        await record.step(record.call, kind)
        assert looks == 1

    run_virtually(scene())
