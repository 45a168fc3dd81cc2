"""Limits of models within those of their provider: learned apart, kept together."""

import asyncio
from typing import Any

import pytest

from streamapp.errors import RateLimited, TargetBusy
from streamapp.llm.limits.limited import PATIENCE_S, Limited
from streamapp.llm.limits.provider_limits import ProviderLimits
from streamapp.settings import ProviderModelSettings, ProviderSettings
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat
from tests.unit.llm.limits.test_limiter import Server, run_all


def limits(models: dict[str, Any] | None = None, **fields: Any) -> ProviderLimits:
    """Return the limits of a provider; to be called in the virtual loop."""
    own = {name: ProviderModelSettings(**model) for name, model in (models or {}).items()}
    settings = ProviderSettings(kind="openai", models=own, **fields)
    return ProviderLimits(settings, clock=virtual_clock, sleep=asyncio.sleep)


def test_refused_model_holds_no_other() -> None:
    """A 429 with a long `Retry-After` for the large model does not touch the small one."""

    async def main() -> tuple[float, float]:
        both = limits()
        large = both.around(Server(rate_per_s=1, burst=1, retry_after_s=20), "large")
        small = both.around(Server(latency_s=0.1), "small")
        work = asyncio.create_task(run_all(large, 20, workers=10))
        await asyncio.sleep(1)
        began = virtual_clock()
        await run_all(small, 200, workers=20)
        took_s = virtual_clock() - began
        work.cancel()
        return took_s, both.learners["large"].paused_until - virtual_clock()

    took_s, paused_s = run_virtually(main())
    assert took_s == pytest.approx(200 / 20 * 0.105, rel=0.1)
    assert paused_s > 10


def test_model_has_its_own_limit_within_the_providers() -> None:
    """A model keeps its own limit, and both together keep the provider's."""

    async def main() -> tuple[int, int]:
        both = limits({"large": {"requests_per_minute": 60}}, requests_per_minute=600)
        servers = Server(), Server()
        policies = [both.around(servers[0], "large"), both.around(servers[1], "small")]
        work = [asyncio.create_task(run_all(policy, 10_000)) for policy in policies]
        await asyncio.sleep(60)
        for task in work:
            task.cancel()
        return len(servers[0].begun), len(servers[1].begun)

    large, small = run_virtually(main())
    assert 50 <= large <= 61
    assert 0.97 * 600 <= large + small <= 601


def test_waits_that_go_on_are_counted() -> None:
    """Of all models, whichever limit holds them, each once; not one that was given up."""

    async def main() -> list[int]:
        both = limits({"large": {"requests_per_minute": 60}}, max_concurrency=2)
        policies = [both.around(Server(latency_s=1), model) for model in ("large", "small")]
        calls = [asyncio.create_task(policy.complete(chat())) for policy in policies * 3]
        counts = []
        for _ in range(2):
            await asyncio.sleep(0.5)
            counts.append(both.waiting)
            calls[-1].cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        return [*counts, both.waiting]

    assert run_virtually(main()) == [4, 3, 0]


def test_share_is_kept_of_what_is_learned() -> None:
    """A worker that gives half of its partitions away goes at half of the learned rate."""

    async def main() -> tuple[float, float]:
        both = limits()
        server = Server(rate_per_s=100, burst=10)
        policy = both.around(server, "m")
        work = asyncio.create_task(run_all(policy, 10_000))
        await asyncio.sleep(10)
        before = both.learners["m"].rate_per_s
        both.set_share(0.5)
        work.cancel()
        return before, both.learners["m"].rate_per_s

    before, after = run_virtually(main())
    assert after == pytest.approx(before / 2)


def refusing(server: Server) -> None:
    server.burst = server.rate_per_s = 0


def test_call_with_another_target_does_not_wait_for_one_that_refuses() -> None:
    """While a target refuses, a call that can move on waits half a second at most; others wait."""

    async def main() -> list[float]:
        server = Server(rate_per_s=300, burst=30, latency_s=0.1)
        policy = limits().around(server, "m")
        await run_all(policy, 500)
        refusing(server)
        return await asyncio.gather(*[_waited_s(policy) for _ in range(300)])

    waits = run_virtually(main())
    assert max(waits) <= PATIENCE_S + 0.3


async def _waited_s(policy: Limited) -> float:
    began = virtual_clock()
    with pytest.raises((TargetBusy, RateLimited)):
        await policy.complete(chat("x").but(moves_on=True))
    return virtual_clock() - began


def test_configured_limit_is_waited_for() -> None:
    """What settings make a call wait for is no reason to leave the target."""

    async def main() -> int:
        server = Server()
        policy = limits(requests_per_minute=60).around(server, "m")
        calls = [policy.complete(chat("x").but(moves_on=True)) for _ in range(10)]
        await asyncio.gather(*calls)
        return len(server.begun)

    assert run_virtually(main()) == 10


def test_rate_is_back_soon_after_nothing_but_refusals() -> None:
    """A provider that refuses everything for a minute has most of its rate again in 20 s."""

    async def main() -> int:
        server = Server(rate_per_s=300, burst=30)
        policy = limits().around(server, "m")
        work = asyncio.create_task(run_all(policy, 100_000))
        await asyncio.sleep(10)
        refusing(server)
        await asyncio.sleep(60)
        server.burst, server.rate_per_s = 30, 300
        await asyncio.sleep(20)
        before = len(server.begun)
        await asyncio.sleep(5)
        work.cancel()
        return len(server.begun) - before

    assert run_virtually(main()) >= 0.5 * 5 * 300


@pytest.mark.parametrize(
    ("then_per_s", "retry_after_s", "most_s"),
    [(1e9, None, 8), (1e9, 2.0, 8), (300, 2.0, 15), (30, None, 20), (5, None, 35)],
)
def test_refused_probes_teach_no_rate(
    then_per_s: float, retry_after_s: float | None, most_s: float
) -> None:
    """Where calls went out one by one, as while a provider was out, none of them was too fast.

    As little is known of it then as at the start, and it is approached with one call in flight.
    """

    async def main() -> tuple[float, int]:
        server = Server(rate_per_s=0, burst=0, latency_s=0.7, retry_after_s=retry_after_s)
        policy = limits().around(server, "m")
        for _ in range(4):
            with pytest.raises(RateLimited):
                await policy.complete(chat("x"))
            await asyncio.sleep(4)
        server.rate_per_s, server.burst = then_per_s, max(1.0, then_per_s / 10)
        server.refused.clear()
        began = virtual_clock()
        await run_all(policy, 100, workers=100)
        return virtual_clock() - began, len(server.refused)

    took_s, refused = run_virtually(main())
    assert took_s <= most_s
    assert refused <= 10


@pytest.mark.parametrize("retry_after_s", [None, 2.0])
def test_who_begins_while_all_is_refused_is_soon_under_way_afterwards(
    retry_after_s: float | None,
) -> None:
    """All the calls that a new worker begins with are refused: nor do those tell a rate."""

    async def main() -> float:
        server = Server(rate_per_s=0, burst=0, latency_s=0.7, retry_after_s=retry_after_s)
        policy = limits().around(server, "m")
        work = asyncio.create_task(run_all(policy, 200, workers=100))
        await asyncio.sleep(30)
        server.rate_per_s, server.burst = 300, 30
        began = virtual_clock()
        await work
        return virtual_clock() - began

    assert run_virtually(main()) <= 25
