"""Routes whose targets have limits: what is waited for, and where calls go meanwhile."""

import asyncio
import math
from random import Random
from typing import Any

import pytest

from streamapp.errors import Failure, ProviderUnavailable, RateLimited
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.provider import Completer
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeProvider
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat

BURST = 80


class Refusing(FakeProvider):
    """Refuses what begins within some time, or fails it with a 503."""

    since, until = 0.0, 0.0
    took_s = 0.05
    retry_after_s: float | None = 2.0
    error: type[Failure] = RateLimited

    async def complete(self, call: Call) -> Completion:
        if not self.since <= virtual_clock() < self.until:
            await asyncio.sleep(self.took_s)
            return await super().complete(call)
        await asyncio.sleep(0.05)
        if self.error is RateLimited:
            wish_s = self.retry_after_s
            raise RateLimited("HTTP 429", provider="first", status=429, retry_after_s=wish_s)
        raise ProviderUnavailable("HTTP 503", provider="first", status=503)


def routes(
    first: FakeProvider,
    backup: FakeProvider,
    *,
    backup_per_minute: float | None = None,
    **limits: Any,
) -> Routes:
    address = {"kind": "openai", "base_url": "http://127.0.0.1/v1"}
    overall = {name: limits.pop(name) for name in [*limits] if name.startswith("global_")}
    settings = Settings(
        _env_file=None,
        providers={
            "first": ProviderSettings(**address, **limits),
            "backup": ProviderSettings(**address, requests_per_minute=backup_per_minute),
        },
        models={"default": ModelSettings(targets=["first/m", "backup/m"])},
        **overall,
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
    "limits",
    [
        {"requests_per_minute": 600},
        {"max_concurrency": 1},
        {"tokens_per_minute": 60_000},
        {"global_requests_per_minute": 600},
    ],
)
def test_configured_limit_is_waited_for_again_after_refusals(limits: dict[str, Any]) -> None:
    """The limit of the provider bounds the model's as well: one 429 ever sent most elsewhere."""

    async def main() -> None:
        first, backup = Refusing("first"), FakeProvider("backup")
        routed = routes(first, backup, **limits)
        first.until = math.inf
        await burst(routed, "refused")
        assert len(backup.history) == BURST
        first.until = 0.0
        await asyncio.sleep(15)

        await burst(routed, "answered")

        assert (len(first.history), len(backup.history)) == (BURST, BURST)

    run_virtually(main())


def test_what_others_learned_of_a_limited_target_sends_nobody_elsewhere() -> None:
    """As at a start, from the topic of learned limits."""

    async def main() -> None:
        first, backup = Refusing("first"), FakeProvider("backup")
        routed = routes(first, backup, requests_per_minute=600)
        routed.limits["first"].begin_at("m", 8.0, float("inf"), pause_s=0.0)

        await burst(routed, "answered")

        assert (len(first.history), len(backup.history)) == (BURST, 0)

    run_virtually(main())


@pytest.mark.parametrize("limits", [{"max_concurrency": 1000}, {"tokens_per_minute": 10**8}, {}])
def test_rate_far_below_what_settings_allow_sends_calls_on(limits: dict[str, Any]) -> None:
    """They waited for it although the next target was free, as long as any limit was configured."""

    async def main() -> float:
        first, backup = Refusing("first"), FakeProvider("backup")
        first.took_s = 1.0
        routed = routes(first, backup, **limits)
        await burst(routed, "known")
        routed.limits["first"].begin_at("m", 0.5, float("inf"), pause_s=0.0)
        began = virtual_clock()

        await burst(routed, "slow")

        assert backup.history
        return virtual_clock() - began

    assert run_virtually(main()) <= 5


@pytest.mark.parametrize("limits", [{"requests_per_minute": 600}, {}])
@pytest.mark.parametrize("error", [RateLimited, ProviderUnavailable])
def test_burst_goes_back_to_the_first_target_from_the_line_of_the_next(
    limits: dict[str, Any], error: type[Failure]
) -> None:
    """Seconds of refusals sent it into a line of minutes, with the first target well again."""

    async def main() -> float:
        first, backup = Refusing("first"), FakeProvider("backup")
        routed = routes(first, backup, backup_per_minute=6, **limits)
        first.until, first.error = virtual_clock() + 3, error
        began = virtual_clock()

        await burst(routed, "any")

        return virtual_clock() - began

    assert run_virtually(main()) <= 80


@pytest.mark.parametrize("limits", [{"requests_per_minute": 10}, {"requests_per_minute": 600}])
def test_pause_sends_calls_on_whatever_is_configured(limits: dict[str, Any]) -> None:
    """A rate at or above the limit hid it: few requests a minute, or answers on their way."""

    async def main() -> float:
        first, backup = Refusing("first"), FakeProvider("backup")
        first.since = virtual_clock() + 5
        first.until, first.took_s, first.retry_after_s = first.since + 600, 5.0, 60.0
        route = routes(first, backup, **limits).resolve(None)
        waits = []

        async def ask(number: int) -> None:
            began = virtual_clock()
            await route.complete(chat(str(number), deadline=Deadline(90, virtual_clock)))
            if began >= first.since:
                waits.append(virtual_clock() - began)

        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(ask(number))
                await asyncio.sleep(60 / limits["requests_per_minute"] * 1.1)
        assert backup.history
        return max(waits)

    assert run_virtually(main()) < 2


def test_short_wait_for_a_rate_that_nothing_was_refused_at_lately_is_waited_for() -> None:
    """Minutes after a few refusals most of a burst went to the dearer target."""

    async def main() -> None:
        first, backup = Refusing("first"), FakeProvider("backup")
        routed = routes(first, backup)
        routed.limits["first"].begin_at("m", BURST / 3, float("inf"), pause_s=0.0)

        await burst(routed, "answered")

        assert (len(first.history), len(backup.history)) == (BURST, 0)

    run_virtually(main())


def test_calls_that_go_back_all_at_once_wait_for_no_slow_rate() -> None:
    """Those that found the line of the first target too long by then stood in it for minutes."""

    async def main() -> float:
        first, backup = Refusing("first"), Refusing("backup")
        first.took_s = backup.took_s = 20.0
        routed = routes(first, backup)
        routed.limits["first"].begin_at("m", 0.2, float("inf"), pause_s=0.0)
        began = virtual_clock()

        await asyncio.gather(*(burst(routed, f"{number}") for number in range(4)))

        return virtual_clock() - began

    assert run_virtually(main()) <= 80


def test_rate_grows_while_calls_wait_elsewhere_to_be_taken_back() -> None:
    """No more of them came than there was room for, so that nobody ever waited for the rate."""

    async def main() -> float:
        first, backup = Refusing("first"), FakeProvider("backup")
        first.took_s = 0.5
        routed = routes(first, backup, backup_per_minute=6)
        routed.limits["first"].begin_at("m", 0.5, float("inf"), pause_s=5.0)
        began = virtual_clock()

        await asyncio.gather(*(burst(routed, f"{number}") for number in range(3)))

        return virtual_clock() - began

    assert run_virtually(main()) <= 120


async def ask_at(route: Completer, *, per_s: float, times: int) -> float:
    """Ask so often; return the longest time that one took."""
    waits = []

    async def ask(number: int) -> None:
        began = virtual_clock()
        await route.complete(chat(str(number), deadline=Deadline(90, virtual_clock)))
        waits.append(virtual_clock() - began)

    async with asyncio.TaskGroup() as group:
        for number in range(times):
            group.create_task(ask(number))
            await asyncio.sleep(1 / per_s)
    return max(waits)


def test_target_that_refuses_everything_is_not_waited_for_by_its_settings() -> None:
    """The lowest learned rate is above what one call at a time of five seconds allows."""

    async def main() -> float:
        first, backup = Refusing("first"), FakeProvider("backup")
        first.took_s, first.retry_after_s = 5.0, None
        route = routes(first, backup, max_concurrency=1).resolve(None)
        await ask_at(route, per_s=1, times=1)
        first.until = math.inf

        return await ask_at(route, per_s=2, times=120)

    assert run_virtually(main()) <= 15


def test_rate_of_a_slow_answer_from_before_a_refusal_is_taken_over() -> None:
    """A call that began while no rate was known ended it, and the limiter kept the lowest one."""

    async def main() -> float:
        first, backup = Refusing("first"), Refusing("backup")
        backup.until = math.inf
        first.took_s, first.retry_after_s = 5.0, None
        route = routes(first, backup).resolve(None)
        async with asyncio.TaskGroup() as group:
            group.create_task(ask_at(route, per_s=1, times=1))
            await asyncio.sleep(2)
            first.since, first.until = virtual_clock(), virtual_clock() + 0.5
            first.took_s = 0.1
            group.create_task(ask_at(route, per_s=10, times=2))
        await asyncio.sleep(10)

        return await ask_at(route, per_s=2, times=200)

    assert run_virtually(main()) <= 15
