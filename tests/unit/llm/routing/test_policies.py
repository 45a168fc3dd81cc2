"""The policies around a call, and their order."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from streamapp.errors import RetriesExhausted
from streamapp.llm.caching.tiers import MemoryTier
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.budget import Budgets
from streamapp.llm.costs.prices import prices_of
from streamapp.llm.costs.spend import Spend
from streamapp.llm.metered import Metered
from streamapp.llm.routing.economy import Economy
from streamapp.llm.routing.fallback import Fallback
from streamapp.llm.routing.retry import RetryLimits
from streamapp.llm.routing.routes import Routes
from streamapp.settings import BudgetSettings, ModelSettings, ProviderSettings, Settings
from streamapp.telemetry.metrics import Metrics
from tests.fakes import FakeProvider
from tests.unit.llm.calls import chat

#: What docs/how-it-works.md calls each class of the chain; `Target` only names the model.
NAMES = {
    "Batched": "batches",
    "SingleFlight": "single flight",
    "Cached": "cache",
    "Budgeted": "budget",
    "Structured": "structured output",
    "Fallback": "fallback",
    "Retrying": "retry",
    "Guarded": "breaker",
    "Limited": "limiter",
    "Billed": "billing",
    "Metered": "metrics and traces",
    "ShownErrors": "shown errors",
    "TimeLimited": "timeout",
    "FakeProvider": "provider",
}


class Hanging(FakeProvider):
    async def complete(self, call: Call) -> Completion:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


def chain() -> list[str]:
    """Return the classes that a call goes through, outermost first, as they are composed."""
    settings = Settings(
        providers={"fake": ProviderSettings(kind="offline")},
        models={"default": ModelSettings(targets=["fake/m"])},
    )
    budgets = Budgets(
        {"day": BudgetSettings(limit_records=1, action="warn")}, Spend("w"), now=lambda: 0.0
    )
    economy = Economy(
        prices=prices_of(settings),
        budgets=budgets,
        tiers=[MemoryTier(max_bytes=1_000, clock=lambda: 0.0)],
        cache_ttl_s=60,
    )
    routes = Routes(
        settings,
        {"fake": FakeProvider()},
        economy=economy,
        observed=lambda name, attempt: Metered(attempt, name=name, meter=Metrics()),
    )
    found: list[str] = []
    policy: Any = routes.resolve(None)
    while policy is not None:
        found.append(type(policy).__name__)
        if isinstance(policy, Fallback):
            policy = policy._candidates[0].provider
        else:
            policy = getattr(policy, "_provider", None)
    return found


async def test_an_attempt_has_the_time_of_its_provider() -> None:
    """`timeout_s` of a provider cuts its attempt off."""
    settings = Settings(
        providers={"fake": ProviderSettings(kind="offline", timeout_s=0.01)},
        models={"default": ModelSettings(targets=["fake/m"])},
    )
    routes = Routes(settings, {"fake": Hanging()}, limits=RetryLimits(attempts=1))

    with pytest.raises(RetriesExhausted, match=r"within 0\.01 s"):
        await routes.resolve(None).complete(chat())


def test_documented_order_is_the_composed_one() -> None:
    """What docs/how-it-works.md lists is what a call goes through, in that order."""
    page = Path(__file__).parents[4] / "docs" / "how-it-works.md"
    listed = re.findall(r"^\d+\. \*\*(.+?)\*\*", page.read_text().split("## One call")[1], re.M)

    composed = [NAMES[name] for name in chain() if name != "Target"]

    assert [name.lower() for name in listed] == composed
