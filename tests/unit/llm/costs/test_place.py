"""The place of a record in the sums of budgets, over its redeliveries."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from streamapp.errors import BudgetExceeded
from streamapp.llm.client import LLMClient
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.budget import Budgets
from streamapp.llm.costs.budgeted import Budgeted
from streamapp.llm.costs.spend import Amounts, Spend
from streamapp.llm.durable.steps import Steps
from streamapp.settings import BudgetSettings
from tests.fakes import FakeClock, FakeProvider
from tests.unit.llm.calls import chat
from tests.unit.llm.costs.test_budget import NOON, InTurn
from tests.unit.tools.agents import Kept

TODAY = ("2030-01-31", "all")
Run = Callable[[LLMClient], Awaitable[Any]]


class Halting(FakeProvider):
    """Never answers what is asked of it by one of these names."""

    def __init__(self, name: str = "fake", *, halted: frozenset[str] = frozenset()) -> None:
        super().__init__(name)
        self.halted = halted
        self.waits = 0

    async def complete(self, call: Call) -> Completion:
        if call.messages[0]["content"] in self.halted:
            self.waits += 1
            await asyncio.Event().wait()
        return await super().complete(call)


class World:
    """Workers that come one after the other, with the steps of one record and the sums of all."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOON)
        self.spend = Spend("w")
        self.stored = Kept()

    def worker(self, llm: FakeProvider, **limits: Any) -> LLMClient:
        """Return the record's client in a worker that has just taken it."""
        if limits["action"] == "downgrade":
            limits["model"] = "small"
        settings = {"b": BudgetSettings.model_validate({"limit_records": 1, **limits})}
        cheap = Halting("cheap", halted=getattr(llm, "halted", frozenset()))
        budgeted = Budgeted(
            InTurn(llm),
            budgets=Budgets(settings, self.spend, now=self.clock),
            substitute={"small": InTurn(cheap)}.__getitem__,
            paid_attempts=3,
            sleep=self.clock.sleep,
        )
        return LLMClient(provider=budgeted, call=chat(), steps=Steps(self.stored))

    async def is_lost(
        self, run: Run, llm: Halting, *, waits: int, stored: int, **fields: Any
    ) -> None:
        """Run the record in a worker that is gone once so much of it waits and is stored."""

        async def work() -> None:
            await run(self.worker(llm, **fields))

        task = asyncio.create_task(work())
        async with asyncio.timeout(5):
            while llm.waits < waits or len(self.stored) < stored:
                assert not task.done()
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    @property
    def records(self) -> int:
        """How many records were counted today."""
        return self.spend.total(TODAY).records


async def ask(llm: LLMClient, name: str) -> str:
    answer: str = await llm.chat([{"role": "user", "content": name}])
    return answer


async def fan_out(llm: LLMClient) -> Any:
    """Calls side by side."""
    return await asyncio.gather(*(ask(llm, name) for name in ("a", "b", "c", "x")))


async def steps_side_by_side(llm: LLMClient) -> Any:
    """Steps side by side, each of two calls."""

    async def two(first: str, second: str) -> str:
        return await ask(llm, first) + await ask(llm, second)

    return await asyncio.gather(llm.step("one", two, "a", "x"), llm.step("other", two, "y", "b"))


async def three_levels(llm: LLMClient) -> str:
    """A step within a step within a step, each behind a call."""

    async def third() -> str:
        return await ask(llm, "x")

    async def second() -> str:
        return await ask(llm, "b") + await llm.step("third", third)

    async def first() -> str:
        return await ask(llm, "a") + await llm.step("second", second)

    return await llm.step("first", first)


@pytest.mark.parametrize("action", ["dead_letter", "hold", "warn"])
@pytest.mark.parametrize(
    ("run", "waits", "stored"),
    [(fan_out, 1, 3), (steps_side_by_side, 2, 1), (three_levels, 1, 2)],
    ids=lambda one: getattr(one, "__name__", ""),
)
async def test_redelivered_record_goes_on_whatever_its_shape(
    action: str, run: Run, waits: int, stored: int
) -> None:
    """A paid call of one task or level counts for those that begin beside it, or below it."""
    world = World()
    halting = Halting(halted=frozenset("xy"))
    await world.is_lost(run, halting, waits=waits, stored=stored, action=action)
    llm = Halting()

    await run(world.worker(llm, action=action))

    asked = sorted(call.messages[0]["content"] for call in (*halting.history, *llm.history))
    assert asked == sorted(set(asked)), "none is made twice"
    assert world.records == 1
    assert world.clock.now == NOON, "none is held"


@pytest.mark.parametrize("run", [fan_out, steps_side_by_side, three_levels])
async def test_redelivered_record_of_free_calls_alone_is_counted_now(run: Run) -> None:
    """Nothing of it is paid for, so nothing is lost."""
    world = World()
    world.spend.add(TODAY, Amounts(records=1))
    free = FakeProvider()
    free.enqueue(*[Completion(output="", model="m", provider="fake", cached=True)] * 2)
    llm = LLMClient(provider=free, call=chat(), steps=Steps(world.stored))
    await ask(llm, "a")

    again = world.worker(FakeProvider(), action="dead_letter")
    with pytest.raises(BudgetExceeded):
        await run(again)


@pytest.mark.parametrize("within", [False, True], ids=["call", "step"])
async def test_paid_step_of_an_older_version_lets_the_calls_behind_it_go_on(within: bool) -> None:
    """It says nothing of the record's place, so what was replayed tells that it was paid."""
    world = World()

    async def begin(llm: LLMClient) -> None:
        await (llm.step("one", ask, llm, "a") if within else ask(llm, "a"))

    await begin(world.worker(FakeProvider(), action="dead_letter"))
    for number, step in world.stored.items():
        world.stored[number] = replace(step, beyond=None)
    again = world.worker(FakeProvider(), action="dead_letter")
    await begin(again)

    await ask(again, "b")

    assert world.records == 1


@pytest.mark.parametrize("days", [0, 1], ids=["same day", "past midnight"])
@pytest.mark.parametrize("is_redelivered", [False, True], ids=["same worker", "redelivered"])
@pytest.mark.parametrize(("before", "answers"), [(0, "fake"), (1, "cheap")])
async def test_downgraded_record_stays_with_its_model(
    before: int, answers: str, is_redelivered: bool, days: int
) -> None:
    """So do those that began before the budget was spent: no record is of two models."""
    world = World()
    world.spend.add(TODAY, Amounts(records=before))
    llm = world.worker(FakeProvider(), action="downgrade")
    first = await llm.calls.complete([{"role": "user", "content": "a"}])
    world.spend.add(TODAY, Amounts(records=5))
    world.clock.advance(86_400 * days)
    if is_redelivered:
        llm = world.worker(FakeProvider(), action="downgrade")
        assert (await llm.calls.complete([{"role": "user", "content": "a"}])).provider == answers

    second = await llm.calls.complete([{"role": "user", "content": "b"}])

    assert (first.provider, second.provider) == (answers, answers)
