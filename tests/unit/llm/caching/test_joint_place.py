"""Records of equal calls in flight among those that budgets count."""

import asyncio
from typing import Any

import pytest

from streamapp.llm.caching.fingerprint import Fingerprints
from streamapp.llm.caching.single_flight import SingleFlight
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.budget import Budgets
from streamapp.llm.costs.budgeted import Budgeted
from streamapp.llm.costs.place import Place
from streamapp.llm.costs.spend import Amounts, Spend
from streamapp.settings import BudgetSettings
from tests.fakes import FakeClock, FakeProvider
from tests.unit.llm.calls import chat
from tests.unit.llm.costs.test_budget import NOON, InTurn

TODAY = ("2030-01-31", "all")
ACTIONS = ["dead_letter", "hold", "warn", "downgrade"]


class Held(InTurn):
    """Begins a call once its turn has come."""

    def __init__(self) -> None:
        super().__init__(FakeProvider())
        self.waits, self.turn = asyncio.Event(), asyncio.Event()

    async def complete(self, call: Call) -> Completion:
        self.waits.set()
        await self.turn.wait()
        return await super().complete(call)


class World:
    """A route with a budget of one record."""

    def __init__(self, action: str) -> None:
        clock, self.spend = FakeClock(NOON), Spend("w")
        self.usual, cheap = Held(), InTurn(FakeProvider("cheap"))
        limits: dict[str, Any] = {"limit_records": 1, "action": action}
        if action == "downgrade":
            limits["model"] = "small"
        budget = BudgetSettings.model_validate(limits)
        budgeted = Budgeted(
            self.usual,
            budgets=Budgets({"b": budget}, self.spend, now=clock),
            substitute={"small": cheap}.__getitem__,
            paid_attempts=3,
            sleep=clock.sleep,
        )
        self.flights = SingleFlight(budgeted, fingerprints=Fingerprints(["default"]))

    @property
    def records(self) -> int:
        """How many were counted today."""
        return self.spend.total(TODAY).records

    async def share(self, *places: Place) -> None:
        """Let records that come in this order share a call, whose turn is when all have come."""
        first, *later = (self.flights.complete(chat(place=place)) for place in places)
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            tasks.create_task(first)
            await self.usual.waits.wait()
            for call in later:
                tasks.create_task(call)
            await asyncio.sleep(0)  # each joins in its first turn
            self.usual.turn.set()


@pytest.mark.parametrize("action", ACTIONS)
async def test_first_in_line_is_counted_whoever_has_joined(action: str) -> None:
    """It pays, and one that was counted before is not counted for it."""
    world, first, begun = World(action), Place(), Place(frozenset())

    await world.share(first, begun)

    assert world.records == 1
    assert first.beyond == begun.beyond == frozenset()


@pytest.mark.parametrize("action", ACTIONS)
async def test_record_that_shares_what_one_that_has_begun_pays_is_not_counted(action: str) -> None:
    """What it gets is free."""
    world, begun, second = World(action), Place(frozenset()), Place()
    world.spend.add(TODAY, Amounts(records=1))

    await world.share(begun, second)

    assert world.records == 1
    assert second.beyond is None


@pytest.mark.parametrize("beyond", [frozenset(), frozenset({"b"})], ids=["usual", "downgraded"])
async def test_first_in_line_stays_with_the_model_of_the_call(beyond: frozenset[str]) -> None:
    """A record that has begun has joined, with whose place the call goes on."""
    world, first, begun = World("downgrade"), Place(), Place(beyond)

    await world.share(first, begun)

    assert world.records == 1
    assert first.beyond == beyond
