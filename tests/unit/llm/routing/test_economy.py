"""Sharing, prices and budgets around real routes, on the fake server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from streamapp.errors import BudgetExceeded, ConfigurationError, Failure
from streamapp.llm.caching.cache import CacheTier
from streamapp.llm.caching.tiers import MemoryTier
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.billing import UsageMeter
from streamapp.llm.costs.budget import Budgets
from streamapp.llm.costs.prices import Price, Prices
from streamapp.llm.costs.spend import Spend
from streamapp.llm.providers.factory import build_provider
from streamapp.llm.routing.economy import Economy
from streamapp.llm.routing.routes import Routes
from streamapp.settings import BudgetSettings, ModelSettings, ProviderSettings, Settings
from tests.support.fakellm import FakeLLM
from tests.unit.llm.calls import LABELS, chat, embeddings

#: Of each answer to a one-word question: 1 token in, 3 out.
EACH_USD = Decimal("0.000031")
PRICE = Price(input=Decimal(1), output=Decimal(10))
Make = Callable[..., Routes]


@pytest.fixture
def meter() -> UsageMeter:
    """Sums up what was billed."""
    return UsageMeter()


@pytest.fixture
async def make(server: FakeLLM, meter: UsageMeter) -> AsyncIterator[Make]:
    """Build routes on the fake server; each is a worker of its own."""
    async with contextlib.AsyncExitStack() as stack:

        def build(
            *,
            tiers: tuple[CacheTier, ...] | None = None,
            ttl_s: float = 60,
            target: str = "openai/m",
            beside: str = "http://127.0.0.1:1",
            spend: Spend | None = None,
            **budgets: Any,
        ) -> Routes:
            provider = ProviderSettings(kind="openai", base_url=server.base_url)
            settings = Settings(
                providers={
                    "openai": provider,
                    "beside": ProviderSettings(kind="openai", base_url=beside),
                },
                models={
                    "default": ModelSettings(targets=[target], context_length=["beside/m"]),
                    "small": ModelSettings(targets=["openai/small"]),
                },
                budgets=budgets,
            )
            prices = {"openai/m": PRICE, "openai/small": PRICE}
            spend = spend or Spend("w")
            economy = Economy(
                prices=Prices(settings.providers, prices),
                payers=(meter,),
                budgets=Budgets(settings.budgets, spend, now=lambda: 1e9),
                tiers=(MemoryTier(max_bytes=1e6),) if tiers is None else tiers,
                cache_ttl_s=ttl_s,
            )
            providers = {n: build_provider(n, p) for n, p in settings.providers.items()}
            routes = Routes(settings, providers, economy=economy)
            stack.push_async_callback(routes.aclose)
            return routes

        yield build


async def ask(routes: Routes, call: Call, route: str | None = None) -> Completion:
    return await routes.resolve(route, operation=call.operation).complete(call)


@pytest.mark.parametrize("ttl_s", [60, 0], ids=["cache", "no-cache"])
async def test_equal_records_cost_one_call(ttl_s: float, make: Make, server: FakeLLM) -> None:
    """2,000 records with 200 distinct prompts are 200 calls, whenever they come."""
    server.default(latency_s=0.2)
    routes = make(ttl_s=ttl_s)
    texts = [f"text-{n % 200}" for n in range(2000)]

    answers = await asyncio.gather(*(ask(routes, chat(text)) for text in texts))

    assert len(server.calls) == 200
    assert [a.output for a in answers] == [f"answer to: {text}" for text in texts]
    assert sum(not a.cached for a in answers) == 200
    assert sum(a.cost_usd or 0 for a in answers) == 200 * EACH_USD


async def test_sums_over_answers_are_what_was_billed(make: Make, meter: UsageMeter) -> None:
    """Usage records and answers add up to the same tokens and money."""
    routes = make()

    texts = ["a", "b", "a", "a", "c"]
    answers = [await ask(routes, chat(text, tenant="t")) for text in texts]

    records = meter.take()
    assert sum(record.calls for record in records) == 3
    assert sum(r.cost_usd or 0 for r in records) == sum(a.cost_usd or 0 for a in answers)
    assert sum(r.output_tokens for r in records) == sum(a.usage.output_tokens for a in answers) == 9
    assert {(r.provider, r.model, r.tenant) for r in records} == {("openai", "m", "t")}


async def test_workers_share_a_far_tier(make: Make, server: FakeLLM) -> None:
    """A second worker, or one after a restart, finds what another one kept."""
    far = MemoryTier(max_bytes=1e6)
    first = await ask(make(tiers=(MemoryTier(max_bytes=1e6), far)), chat())

    second = await ask(make(tiers=(MemoryTier(max_bytes=1e6), far)), chat())

    assert len(server.calls) == 1
    assert (second.output, second.cached, second.attempts) == (first.output, True, 0)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"call": chat(tenant="b")}),
        ({}, {"target": "openai/m2"}),
        ({}, {"beside": "http://127.0.0.1:2"}),
        ({}, {"route": "small"}),
        ({}, {"call": chat(output_schema=LABELS)}),
        ({"call": chat(cache=False)}, {}),
        ({}, {"call": chat(cache=False)}),
    ],
    ids=[
        "tenant",
        "target",
        "place-of-another-target",
        "route",
        "schema",
        "kept-nothing",
        "wants-fresh",
    ],
)
async def test_nothing_else_is_shared(
    first: dict[str, Any], second: dict[str, Any], make: Make, server: FakeLLM
) -> None:
    """Another tenant, model, route or schema, or the wish for a fresh answer, costs a call."""
    tier = MemoryTier(max_bytes=1e6)
    for fields in (first, second):
        places = {name: fields[name] for name in ("target", "beside") if name in fields}
        routes = make(tiers=(tier,), **places)
        call = fields.get("call", chat())
        assert not (await ask(routes, call, fields.get("route"))).cached

    assert len(server.calls) == 2


async def test_embeddings_are_kept(make: Make, server: FakeLLM) -> None:
    """Equal inputs get the same vectors without a call."""
    routes = make()
    first = await ask(routes, embeddings("a", "b"))

    second = await ask(routes, embeddings("a", "b"))

    assert len(server.calls) == 1
    assert second.output == first.output


async def test_only_valid_answers_are_kept(make: Make, server: FakeLLM) -> None:
    """What had to be asked for again is kept as the valid object; what failed is not."""
    server.script({"text": "wrong"}, {"text": '{"label": "good"}'})
    server.script({"status": 400}, {}, match="refused")
    routes = make()

    first = await ask(routes, chat("x", output_schema=LABELS))
    second = await ask(routes, chat("x", output_schema=LABELS))

    assert (first.output, first.attempts) == ({"label": "good"}, 2)
    assert (second.output, second.cached) == ({"label": "good"}, True)
    assert len(server.calls) == 2


async def test_failure_is_not_kept(make: Make, server: FakeLLM) -> None:
    """After a failure an equal call is made."""
    server.script({"status": 400}, {})
    routes = make()
    with pytest.raises(Failure):
        await ask(routes, chat())

    assert not (await ask(routes, chat())).cached


async def test_cached_answers_are_free(make: Make) -> None:
    """A spent budget does not stop what costs nothing."""
    routes = make(b=BudgetSettings(limit_records=1, action="dead_letter"))
    await ask(routes, chat("a"))

    assert (await ask(routes, chat("a"))).cached
    with pytest.raises(BudgetExceeded):
        await ask(routes, chat("b"))


async def test_downgraded_answer_is_not_kept(make: Make, server: FakeLLM) -> None:
    """A spent budget sends calls to the other route, whose answers do not stand for this one's."""
    routes = make(b=BudgetSettings(limit_usd=0, action="downgrade", model="small"))

    models = [(await ask(routes, chat())).model for _ in range(2)]

    assert models == ["small", "small"]
    assert len(server.calls) == 2


async def test_budget_stops_at_its_cap_across_a_restart(make: Make, server: FakeLLM) -> None:
    """A day's 100 records are 100 calls, also where the worker starts anew in between."""
    budget = BudgetSettings(limit_records=100, action="dead_letter")
    before, after = Spend("w-1"), Spend("w-2")
    first = make(b=budget, spend=before)
    await asyncio.gather(*(ask(first, chat(f"a{n}")) for n in range(60)))
    for key, value in before.take():
        after.merge(key, value)

    second = make(b=budget, spend=after)
    outcomes = await asyncio.gather(
        *(ask(second, chat(f"b{n}")) for n in range(60)), return_exceptions=True
    )

    assert sum(isinstance(one, BudgetExceeded) for one in outcomes) == 20
    assert len(server.calls) == 100


def test_budget_must_name_a_route(make: Make) -> None:
    """A budget that downgrades to nothing is found at start."""
    with pytest.raises(ConfigurationError, match=r"budgets\.b\.model"):
        make(b=BudgetSettings(limit_usd=0, action="downgrade", model="nowhere"))
