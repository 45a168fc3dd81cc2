"""What a record's model name stands for."""

import asyncio
from typing import Any

import pytest

from streamapp.errors import ConfigurationError, InvalidRecord, ProviderDenied
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.budget import Budgets
from streamapp.llm.costs.place import Place
from streamapp.llm.costs.prices import Prices
from streamapp.llm.costs.spend import Spend
from streamapp.llm.observer import CallObserver
from streamapp.llm.routing.breaker import UNTRIED_S
from streamapp.llm.routing.economy import Economy
from streamapp.llm.routing.routes import Routes
from streamapp.settings import BudgetSettings, ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeClock, FakeProvider
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.support.waiting import until
from tests.unit.llm.calls import LABELS, chat, rate_limited, unavailable

MODELS = {
    "default": ModelSettings(targets=["one/small"]),
    "large": ModelSettings(targets=["two/org/big"]),
}


@pytest.fixture
def providers() -> dict[str, FakeProvider]:
    """Two providers."""
    return {"one": FakeProvider("one"), "two": FakeProvider("two")}


def routes(
    providers: dict[str, FakeProvider],
    *,
    observer: CallObserver | None = None,
    economy: Economy | None = None,
    **fields: Any,
) -> Routes:
    configured = {name: ProviderSettings(kind="offline") for name in providers}
    settings = Settings(providers=configured, **{"models": MODELS, **fields})
    clock = FakeClock()
    return Routes(
        settings, providers, economy=economy, observer=observer, clock=clock, sleep=clock.sleep
    )


@pytest.mark.parametrize(
    ("name", "provider", "model"),
    [(None, "one", "small"), ("default", "one", "small"), ("large", "two", "org/big")],
)
async def test_name_leads_to_its_target(
    name: str | None, provider: str, model: str, providers: dict[str, FakeProvider]
) -> None:
    """A name leads to its route's provider and model; no name is the default route."""
    completion = await routes(providers).resolve(name).complete(chat())

    assert (completion.provider, completion.model) == (provider, model)


@pytest.mark.parametrize("name", ["CANARY", "one/small", ""])
def test_unknown_name_is_an_invalid_record(name: str, providers: dict[str, FakeProvider]) -> None:
    """Only route names can be named, not targets; the message lists them and not the value."""
    with pytest.raises(InvalidRecord, match="default, large") as caught:
        routes(providers).resolve(name)

    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("name", [None, "default"])
@pytest.mark.parametrize(
    ("embed_model", "provider", "model"),
    [
        (None, "one", "small"),
        ("vectors", "one", "vectors"),
        ("org/vectors", "one", "org/vectors"),
        ("two/vectors", "two", "vectors"),
        ("large", "two", "org/big"),
        ("default", "one", "small"),
    ],
)
async def test_embeddings_have_a_default_of_their_own(
    embed_model: str | None,
    provider: str,
    model: str,
    name: str | None,
    providers: dict[str, FakeProvider],
) -> None:
    """By default embeddings go to `embed_model`: a route, a target, a model."""
    routed = routes(providers, embed_model=embed_model).resolve(name, operation="embeddings")

    completion = await routed.complete(chat())

    assert (completion.provider, completion.model) == (provider, model)


async def test_named_route_also_embeds(providers: dict[str, FakeProvider]) -> None:
    """A record that names a route gets it, for embeddings too."""
    routed = routes(providers, embed_model="vectors").resolve("large", operation="embeddings")

    assert (await routed.complete(chat())).model == "org/big"


async def test_route_retries_and_validates(providers: dict[str, FakeProvider]) -> None:
    """A route retries what can be retried and gives valid objects."""
    providers["one"].enqueue(unavailable(), "wrong", '{"label": "good"}')

    completion = await routes(providers).resolve(None).complete(chat(output_schema=LABELS))

    assert completion.output == {"label": "good"}
    assert completion.attempts == 3


def test_names_are_those_of_the_settings(providers: dict[str, FakeProvider]) -> None:
    """The routes can be listed."""
    assert routes(providers).names == ("default", "large")


@pytest.mark.parametrize(
    ("action", "refused"), [("dead_letter", True), ("hold", False), ("warn", False)]
)
def test_a_call_that_is_refused_whatever_it_asks_is_known_before(
    action: str, refused: bool, providers: dict[str, FakeProvider]
) -> None:
    """By a route that there is not, or a budget that is spent; one that holds it lets it wait.

    A record that has begun is not refused by the limit that it reached.
    """
    limits = {"day": BudgetSettings(limit_records=1, per="tenant", action=action)}
    budgets = Budgets(limits, Spend("w"), now=FakeClock())
    begun = Place()
    budgets.count_record("poor", begun)
    known = routes(providers, economy=Economy(prices=Prices({}), budgets=budgets))

    assert known.refuses(chat(tenant="poor").but(model="default")) is refused
    assert not known.refuses(chat(tenant="poor", place=begun).but(model="default"))
    assert not known.refuses(chat(tenant="rich").but(model="default"))
    assert known.refuses(chat(tenant="rich").but(model="other"))
    assert not routes(providers).refuses(chat().but(model="default"))


def test_default_route_is_required(providers: dict[str, FakeProvider]) -> None:
    """Without a default route the configuration is wrong."""
    with pytest.raises(ConfigurationError, match="default"):
        routes(providers, models={})


async def test_closing_closes_every_provider(providers: dict[str, FakeProvider]) -> None:
    """Closing the routes closes each provider."""
    await routes(providers).aclose()

    assert all(provider.is_closed for provider in providers.values())


async def test_what_waits_for_a_limit_is_counted_for_the_log() -> None:
    """Records stand still without a failure: somebody has to say why."""

    class Slow(FakeProvider):
        async def complete(self, call: Call) -> Completion:
            await end.wait()
            return await super().complete(call)

    end = asyncio.Event()
    slow = {"one": Slow("one"), "two": FakeProvider("two")}
    one = ProviderSettings(kind="offline", max_concurrency=1)
    configured = {"one": one, "two": ProviderSettings(kind="offline")}
    found = Routes(Settings(providers=configured, models=MODELS), slow)
    before = found.held()
    calls = [asyncio.create_task(found.resolve(None).complete(chat(f"{n}"))) for n in range(3)]
    await until(lambda: found.held() != {}, 5)
    while_waiting = found.held()
    end.set()
    await asyncio.gather(*calls)

    assert (before, while_waiting, found.held()) == ({}, {"waiting_for_limits": 2}, {})


class Heard:
    """What the policies told."""

    def __init__(self) -> None:
        self.waits: list[tuple[str, float]] = []
        self.retries: list[tuple[str, str]] = []

    def waited(self, provider: str, wait_s: float) -> None:
        self.waits.append((provider, wait_s))

    def retried(self, provider: str, reason: str) -> None:
        self.retries.append((provider, reason))


async def test_retries_are_told_with_provider_and_reason(
    providers: dict[str, FakeProvider],
) -> None:
    """Each further attempt is told once, by the error of the one before; success is not."""
    heard = Heard()
    providers["one"].enqueue(unavailable(), rate_limited())

    await routes(providers, observer=heard).resolve(None).complete(chat())

    assert heard.retries == [("one", "ProviderUnavailable"), ("one", "RateLimited")]


def test_waits_for_a_limit_are_told() -> None:
    """Who goes at once tells nothing; who waits tells how long, and for which provider."""
    heard = Heard()
    limited = {"one": ProviderSettings(kind="offline", requests_per_minute=60, burst_s=0)}
    settings = Settings(providers=limited, models={"default": MODELS["default"]})

    async def ask() -> None:
        composed = Routes(
            settings,
            {"one": FakeProvider("one")},
            observer=heard,
            clock=virtual_clock,
            sleep=asyncio.sleep,
        ).resolve(None)
        await asyncio.gather(*(composed.complete(chat()) for _ in range(3)))

    run_virtually(ask())

    assert [provider for provider, _ in heard.waits] == ["one", "one"]
    assert [round(wait_s) for _, wait_s in heard.waits] == [1, 2]


async def test_state_of_a_provider_is_its_worst_target(
    providers: dict[str, FakeProvider],
) -> None:
    """One target that is taken for down shows, whatever the provider's others do."""
    models = MODELS | {"other": ModelSettings(targets=["one/other"])}
    configured = {name: ProviderSettings(kind="offline") for name in providers}
    providers["one"].enqueue(ProviderDenied("no", provider="one", status=401))
    held = asyncio.Event()

    async def hold(seconds: float) -> None:
        held.set()
        await asyncio.Event().wait()

    composed = Routes(
        Settings(providers=configured, models=models), providers, clock=FakeClock(), sleep=hold
    )
    before = composed.breaker_states()
    asking = asyncio.create_task(composed.resolve(None).complete(chat()))
    await held.wait()
    asking.cancel()

    assert (before, composed.breaker_states()) == ({"one": 0, "two": 0}, {"one": 2, "two": 0})


async def test_target_that_nobody_asks_is_not_down_for_ever(
    providers: dict[str, FakeProvider],
) -> None:
    """A minute after its last failure it is untried: the next call decides anew."""
    clock = FakeClock()
    configured = {name: ProviderSettings(kind="offline") for name in providers}
    models = {"default": ModelSettings(targets=["one/small", "two/small"])}
    composed = Routes(
        Settings(providers=configured, models=models), providers, clock=clock, sleep=clock.sleep
    )
    providers["one"].enqueue(*(ProviderDenied("no", provider="one", status=401) for _ in range(2)))
    route = composed.resolve(None)
    await route.complete(chat())

    clock.advance(UNTRIED_S - 1)
    refused = ["one/small refuses every call: no"]
    assert (composed.impaired(), composed.untried()) == (["one/small"], refused)
    clock.advance(1)
    assert composed.impaired() == []
    assert composed.untried() == ["one/small: failed 60 s ago, not asked since"]

    await route.complete(chat(text="again"))  # asks it, and fails
    assert (composed.impaired(), composed.untried()) == (["one/small"], refused)

    clock.advance(UNTRIED_S)
    await route.complete(chat(text="once more"))  # is answered by it
    assert (composed.impaired(), composed.untried()) == ([], [])
    assert composed.breaker_states()["one"] == 0
