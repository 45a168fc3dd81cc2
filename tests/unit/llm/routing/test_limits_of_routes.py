"""Routes whose first target has a configured limit: it is waited for, whatever was refused once."""

import asyncio
from random import Random
from typing import Any

import pytest

from streamapp.errors import RateLimited
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeProvider
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat

BURST = 80


class Refusing(FakeProvider):
    """Refuses calls until a moment."""

    until = 0.0

    async def complete(self, call: Call) -> Completion:
        await asyncio.sleep(0.05)
        if virtual_clock() < self.until:
            raise RateLimited("HTTP 429", provider="first", status=429, retry_after_s=2.0)
        return await super().complete(call)


def routes(first: FakeProvider, backup: FakeProvider, **limits: Any) -> Routes:
    address = {"kind": "openai", "base_url": "http://127.0.0.1/v1"}
    settings = Settings(
        _env_file=None,
        providers={
            "first": ProviderSettings(**address, **(limits or {"requests_per_minute": 600})),
            "backup": ProviderSettings(**address),
        },
        models={"default": ModelSettings(targets=["first/m", "backup/m"])},
    )
    providers = {"first": first, "backup": backup}
    return Routes(settings, providers, clock=virtual_clock, sleep=asyncio.sleep, rng=Random(1))


async def burst(routed: Routes, label: str) -> None:
    route = routed.resolve(None)
    calls = (
        chat(f"{label} {number}", deadline=Deadline(90, virtual_clock)) for number in range(BURST)
    )
    await asyncio.gather(*map(route.complete, calls))


@pytest.mark.parametrize(
    "limits", [{"requests_per_minute": 600}, {"max_concurrency": 1}, {"tokens_per_minute": 60_000}]
)
def test_configured_limit_is_waited_for_again_after_refusals(limits: dict[str, Any]) -> None:
    """The limit of the provider bounds the model's as well: one 429 ever sent most elsewhere."""

    async def main() -> None:
        first, backup = Refusing("first"), FakeProvider("backup")
        routed = routes(first, backup, **limits)
        first.until = virtual_clock() + 4
        await burst(routed, "refused")
        assert len(backup.history) == BURST
        await asyncio.sleep(15)

        await burst(routed, "answered")

        assert (len(first.history), len(backup.history)) == (BURST, BURST)

    run_virtually(main())


def test_what_others_learned_of_a_limited_target_sends_nobody_elsewhere() -> None:
    """As at a start, from the topic of learned limits."""

    async def main() -> None:
        first, backup = Refusing("first"), FakeProvider("backup")
        routed = routes(first, backup)
        routed.limits["first"].begin_at("m", 8.0, float("inf"), pause_s=0.0)

        await burst(routed, "answered")

        assert (len(first.history), len(backup.history)) == (BURST, 0)

    run_virtually(main())
