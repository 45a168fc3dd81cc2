"""Calls that wait for a limit while their budget is spent."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from streamapp.errors import BudgetExceeded, ProviderUnavailable
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.budget import Budgets
from streamapp.llm.costs.prices import Price, Prices
from streamapp.llm.costs.spend import Spend
from streamapp.llm.provider import Completer
from streamapp.llm.routing.economy import Economy
from streamapp.llm.routing.routes import Routes
from streamapp.settings import BudgetSettings, ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeProvider
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat

#: How many come at once; each costs half a dollar.
CALLS = 60
#: Seconds since the epoch when the virtual clock begins: a day has 60 s left.
BEGIN = 86_400 * 20_000 - 60

RATE: dict[str, Any] = {"requests_per_minute": 60, "burst_s": 1}
FLIGHT: dict[str, Any] = {"max_concurrency": 2}


class OfASecond(FakeProvider):
    """Answers within a second, in five tokens."""

    async def complete(self, call: Call) -> Completion:
        await asyncio.sleep(0.9)
        return await super().complete(call)


class BudgetedRoute:
    """A route of one target behind limits, another one, and a budget."""

    def __init__(self, budget: dict[str, Any], limits: dict[str, Any]) -> None:
        self.fake, self.cheap = OfASecond("fake"), OfASecond("cheap")
        providers = {
            "fake": ProviderSettings(kind="openai", base_url="http://127.0.0.1/v1", **limits),
            "cheap": ProviderSettings(kind="offline"),
        }
        settings = Settings(
            _env_file=None,
            providers=providers,
            models={
                "default": ModelSettings(targets=["fake/m"]),
                "small": ModelSettings(targets=["cheap/m"]),
            },
        )
        prices = Prices(
            providers, {"fake/m": Price(input=Decimal(100_000), output=Decimal(100_000))}
        )
        self.spend = Spend("w")
        budgets = Budgets(
            {"day": BudgetSettings(**budget)}, self.spend, now=lambda: BEGIN + virtual_clock()
        )
        routes = Routes(
            settings,
            {"fake": self.fake, "cheap": self.cheap},
            economy=Economy(prices=prices, budgets=budgets),
            clock=virtual_clock,
        )
        self.route: Completer = routes.resolve(None)
        self.breaker = routes.breaker_states

    async def ask(self, count: int = CALLS) -> list[Completion | BaseException]:
        """Make so many calls at once."""
        calls = (self.route.complete(chat(str(n))) for n in range(count))
        return await asyncio.gather(*calls, return_exceptions=True)

    async def answer(self, record: Call) -> None:
        """Make two calls of a record, one after the other."""
        for sample in range(2):
            await self.route.complete(record.but(sample=sample))


def play(
    scene: Callable[[BudgetedRoute], Any], budget: dict[str, Any], limits: dict[str, Any]
) -> None:
    async def main() -> None:
        await scene(BudgetedRoute(budget, limits))

    run_virtually(main())


@pytest.mark.parametrize("limits", [RATE, FLIGHT], ids=["rate", "in flight"])
@pytest.mark.parametrize("limit", [{"limit_usd": 5}, {"limit_tokens": 50}, {"limit_records": 10}])
def test_what_waits_is_refused_once_the_budget_is_spent(
    limit: dict[str, Any], limits: dict[str, Any]
) -> None:
    """All had passed the door: 150 calls were made for a budget of 10."""

    async def scene(scene: BudgetedRoute) -> None:
        with capture_logs() as logs:
            outcomes = await scene.ask()

        answered = [one for one in outcomes if isinstance(one, Completion)]
        refused = [one for one in outcomes if isinstance(one, BudgetExceeded)]
        assert 10 <= len(answered) == len(scene.fake.history) <= 12
        assert len(answered) + len(refused) == CALLS
        assert {str(one) for one in refused} == {
            "the budget 'day' is spent, until the next day (UTC) begins"
        }
        assert {one.attempts for one in refused} == {0}
        assert [line["event"] for line in logs] == ["budget.spent"]
        # No turn was used up by what was refused.
        assert virtual_clock() < 15

    play(scene, {"action": "dead_letter", **limit}, limits)


def test_what_waits_is_held_once_the_budget_is_spent() -> None:
    """Until the next day, which has a budget of its own."""

    async def scene(scene: BudgetedRoute) -> None:
        tasks = asyncio.ensure_future(scene.ask(20))
        await asyncio.sleep(59)
        assert 10 <= len(scene.fake.history) <= 12

        await asyncio.sleep(30)

        assert len(scene.fake.history) == 20
        assert all(isinstance(one, Completion) for one in await tasks)

    play(scene, {"action": "hold", "limit_usd": 5}, RATE)


def test_what_waits_is_answered_by_the_other_model_once_the_budget_is_spent() -> None:
    """As what comes later is."""

    async def scene(scene: BudgetedRoute) -> None:
        outcomes = await scene.ask()

        assert 10 <= len(scene.fake.history) <= 12
        assert len(scene.cheap.history) == CALLS - len(scene.fake.history)
        substitutes = [one for one in outcomes if isinstance(one, Completion) and one.is_substitute]
        assert len(substitutes) == len(scene.cheap.history)

    play(scene, {"action": "downgrade", "limit_usd": 5, "model": "small"}, RATE)


def test_call_that_is_tried_again_counts_once() -> None:
    """And is not stopped by its own count."""

    async def scene(scene: BudgetedRoute) -> None:
        scene.fake.enqueue(*[ProviderUnavailable("503", provider="p")] * 2)

        outcomes = await scene.ask(3)

        assert [type(one) for one in outcomes] == [Completion] * 3
        assert len(scene.fake.history) == 5
        [(_, amounts)] = scene.spend._own.items()
        assert amounts.records == 3
        assert set(scene.breaker().values()) == {0}

    play(scene, {"action": "dead_letter", "limit_records": 3}, {})


@pytest.mark.parametrize("limits", [RATE, FLIGHT, {}], ids=["rate", "in flight", "no limit"])
def test_records_of_two_calls_are_answered_whole(limits: dict[str, Any]) -> None:
    """The first calls used the budget up, and none of the records had an answer."""

    async def scene(scene: BudgetedRoute) -> None:
        records = (chat(str(n)) for n in range(CALLS))

        outcomes = await asyncio.gather(*map(scene.answer, records), return_exceptions=True)

        assert outcomes.count(None) == 20
        assert len(scene.fake.history) == 40

    play(scene, {"action": "dead_letter", "limit_records": 20}, limits)
