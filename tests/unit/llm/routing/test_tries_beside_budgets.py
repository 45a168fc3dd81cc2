"""What a call was tried, and paid for in vain, before a budget acted between its attempts."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from streamapp.errors import AllProvidersFailed, BudgetExceeded, ProviderRejected, RetriesExhausted
from streamapp.llm.attempt import counted
from streamapp.llm.client import LLMClient
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.budget import Budgets
from streamapp.llm.costs.prices import Price, Prices
from streamapp.llm.costs.spend import Spend
from streamapp.llm.deadline import Deadline
from streamapp.llm.durable.steps import Steps
from streamapp.llm.routing.economy import Economy
from streamapp.llm.routing.routes import Routes
from streamapp.records.response import Usage
from streamapp.settings import BudgetSettings, ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeProvider
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import LABELS, chat, garbled
from tests.unit.tools.agents import Kept

#: A day is a hundred seconds of the virtual clock, in each of which a held call looks again.
DAY_S, HASTE = 100, 864
#: Seconds since the epoch when the virtual clock begins: with a day.
BEGIN = 86_400 * 20_000
#: Of each attempt, however it ends.
TOKENS = 60
#: So often a record may be paid for in vain at each target.
MOST = 3
#: What one attempt spends, and what the last of these does.
ONE, FOUR = TOKENS - 10, TOKENS * 4 - 10
DEFAULT, SMALL = ("fake/m",), ("cheap/m",)


class Counting(FakeProvider):
    """Takes a second, and says what it generated, also for an answer that is of no use."""

    async def complete(self, call: Call) -> Completion:
        await asyncio.sleep(1)
        counted(Usage(input_tokens=TOKENS // 2, output_tokens=TOKENS // 2))
        return await super().complete(call)


class Scene:
    """Two routes, and a budget of tokens for each day.

    Attributes:
        is_given_back: Whether the record would be at a stop, were its processor to go on and wait.
    """

    def __init__(self, *fake: Any, cheap: Sequence[Any] = ()) -> None:
        self.fake, self.cheap = Counting("fake"), Counting("cheap")
        self.fake.enqueue(*fake)
        self.cheap.enqueue(*cheap)
        self.is_given_back = False
        self.deadline = Deadline(90, virtual_clock)

    @property
    def asked(self) -> tuple[int, int]:
        """How often each was."""
        return len(self.fake.history), len(self.cheap.history)

    def end(
        self,
        action: str,
        *,
        limit: int = ONE,
        default: Sequence[str] = DEFAULT,
        small: Sequence[str] = SMALL,
        **fields: Any,
    ) -> Any:
        """Return what a record ends with, within so many days."""

        async def ask() -> Any:
            call = chat(deadline=self.deadline).but(**fields)
            routes = self._routes(action, limit, {"default": default, "small": small})
            steps = Steps(Kept(), deadline=self.deadline)
            llm = LLMClient(provider=routes.resolve(None), call=call, steps=steps)
            asked = llm.calls.complete(call.messages, schema=call.output_schema)
            ends = asyncio.gather(asked, return_exceptions=True)
            [end] = await asyncio.wait_for(ends, 10 * DAY_S)
            with self.deadline.suspended():
                self.is_given_back = self.deadline.is_only_waiting
            return end

        return run_virtually(ask())

    def _routes(self, action: str, limit: int, routes: dict[str, Sequence[str]]) -> Routes:
        hosted = ProviderSettings(kind="openai", base_url="http://127.0.0.1/v1")
        providers = {"fake": hosted, "cheap": hosted}
        models = {name: ModelSettings(targets=list(targets)) for name, targets in routes.items()}
        price = Price(input=Decimal(1), output=Decimal(1))
        budget: dict[str, Any] = {"action": action, "limit_tokens": limit, "period": "day"}
        if action == "downgrade":
            budget["model"] = "small"
        return Routes(
            Settings(_env_file=None, providers=providers, models=models),
            {"fake": self.fake, "cheap": self.cheap},
            economy=Economy(
                prices=Prices(providers, {"fake/m": price, "cheap/m": price}),
                budgets=Budgets(
                    {"day": BudgetSettings.model_validate(budget)},
                    Spend("w"),
                    now=lambda: BEGIN + HASTE * virtual_clock(),
                ),
            ),
            clock=virtual_clock,
            rng=Random(1),
        )


def test_record_that_spends_each_day_s_budget_in_vain_is_given_up() -> None:
    """It was paid for once a day for ever, and nothing else was answered."""
    scene = Scene(*[garbled()] * 9)

    end = scene.end("hold")

    assert isinstance(end, RetriesExhausted)
    assert str(end).startswith(f"gave up after attempt {MOST}: ")
    assert scene.asked == (MOST, 0)
    assert (end.attempts, end.paid) == (MOST, MOST)


def test_answer_counts_the_attempts_before_each_wait() -> None:
    """Once each."""
    scene = Scene(garbled(), garbled(), "at last")

    assert scene.end("hold").attempts == MOST


def test_dead_letter_counts_what_was_paid_before_the_budget_was_spent() -> None:
    """Its record is not given back as one that has cost nothing."""
    scene = Scene(garbled())

    end = scene.end("dead_letter")

    assert isinstance(end, BudgetExceeded)
    assert (end.attempts, end.paid) == (1, 1)
    assert not scene.is_given_back


def test_refusal_of_a_substitute_counts_what_was_tried_before() -> None:
    """Two calls were made, and one of them paid for."""
    scene = Scene(garbled(), cheap=[ProviderRejected("HTTP 400", provider="cheap", status=400)])

    end = scene.end("downgrade")

    assert isinstance(end, ProviderRejected)
    assert scene.asked == (1, 1)
    assert (end.attempts, end.paid) == (2, 1)
    assert not scene.is_given_back


def test_answer_of_a_substitute_counts_what_was_tried_before() -> None:
    """Once."""
    completion = Scene(garbled()).end("downgrade")

    assert (completion.provider, completion.attempts) == ("cheap", 2)
    assert completion.is_substitute


def test_substitute_that_was_asked_already_is_asked_no_more_often() -> None:
    """It was the route's second target when the budget was spent."""
    scene = Scene(*[garbled()] * 9, cheap=[garbled()] * 9)

    end = scene.end("downgrade", limit=FOUR, default=DEFAULT + SMALL)

    assert isinstance(end, RetriesExhausted)
    assert scene.asked == (MOST, MOST)
    assert end.attempts == end.paid == 2 * MOST


@pytest.mark.parametrize("small", [DEFAULT, ("fake/m", "fake/m")], ids=["one", "several"])
def test_substitute_that_is_used_up_is_not_asked_again(small: Sequence[str]) -> None:
    """The record ends with what it ended with there, and counts all that was tried."""
    scene = Scene(*[garbled()] * 9, cheap=[garbled()] * 9)

    end = scene.end("downgrade", limit=FOUR, default=DEFAULT + SMALL, small=small)

    assert isinstance(end, RetriesExhausted)
    assert f"gave up after attempt {MOST}: fake: not JSON" in str(end)
    assert scene.asked == (MOST, 1)
    assert end.attempts == end.paid == MOST + 1


def test_target_that_was_used_up_before_a_wait_is_not_asked_behind_it() -> None:
    """Only the one that is left; the error knows both."""
    scene = Scene(*[garbled()] * 9, cheap=[garbled()] * 9)

    end = scene.end("hold", limit=FOUR, default=DEFAULT + SMALL)

    assert isinstance(end, AllProvidersFailed)
    assert str(end).startswith("all 2 targets failed; the last one: gave up after attempt 3")
    assert scene.asked == (MOST, MOST)
    assert end.attempts == end.paid == 2 * MOST


def test_answer_that_is_asked_again_behind_a_wait_counts_each_attempt_once() -> None:
    """One in vain, one before the wait, and the one that fits."""
    scene = Scene(garbled(), "no JSON", '{"label": "good"}')

    completion = scene.end("hold", output_schema=LABELS)

    assert (completion.output, completion.attempts) == ({"label": "good"}, MOST)


def test_failure_that_is_asked_again_behind_a_wait_counts_each_attempt_once() -> None:
    """One in vain, one that does not fit, and those of what was asked about it."""
    scene = Scene(garbled(), "no JSON", *[garbled()] * 9)

    end = scene.end("hold", output_schema=LABELS)

    assert isinstance(end, RetriesExhausted)
    assert end.attempts == sum(scene.asked) == 2 + MOST
