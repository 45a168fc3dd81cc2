"""How often a record is asked at a target that is slower than its time, whatever others do."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

import pytest

from streamapp.errors import (
    AllProvidersFailed,
    Failure,
    ProviderDenied,
    ProviderUnavailable,
    RateLimited,
    RetriesExhausted,
)
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.routing.breaker import BreakerLimits
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeProvider
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat, unavailable

#: Seconds that an attempt may take.
TIMEOUT_S = 2.0
#: So often a record is asked at a target that is too slow.
MOST = 3
NO_CONNECTION = partial(ProviderUnavailable, "dead: no connection")


class Slow(FakeProvider):
    """Answers later than anybody waits for."""

    async def complete(self, call: Call) -> Completion:
        self.history.append(call)
        await asyncio.sleep(TIMEOUT_S * 2.5)
        return Completion(output="", model=call.model, provider=self.name)

    def asked(self) -> Counter[tuple[str, str]]:
        """How often each record was asked at each model."""
        return Counter((call.messages[0]["content"], call.model) for call in self.history)


class Away(FakeProvider):
    """Lets nobody connect, or refuses, until `back_at`; then it answers."""

    def __init__(
        self,
        back_at: float = float("inf"),
        failure: Callable[..., Failure] = NO_CONNECTION,
    ) -> None:
        super().__init__("dead")
        self.back_at = back_at
        self.failure = failure

    async def complete(self, call: Call) -> Completion:
        if virtual_clock() < self.back_at:
            raise self.failure(provider="dead")
        await asyncio.sleep(TIMEOUT_S / 2)
        return await super().complete(call)


class Failing(Slow):
    """Is slow with some records, and fails at once with others."""

    async def complete(self, call: Call) -> Completion:
        if call.messages[0]["content"].startswith("slow"):
            return await super().complete(call)
        raise unavailable()


def routes(
    targets: Sequence[str],
    *,
    slow: FakeProvider,
    dead: FakeProvider,
    on_timeout: Any = "next",
    **fields: Any,
) -> Routes:
    hosted = ProviderSettings(kind="openai", base_url="http://127.0.0.1/v1", timeout_s=TIMEOUT_S)
    settings = Settings(
        _env_file=None,
        providers={"slow": hosted, "dead": hosted},
        models={"default": ModelSettings(targets=list(targets), on_timeout=on_timeout)},
    )
    providers = {"slow": slow, "dead": dead}
    return Routes(settings, providers, clock=virtual_clock, rng=Random(1), **fields)


async def ends_of(routed: Routes, texts: Sequence[str]) -> list[Any]:
    route = routed.resolve(None)
    calls = [route.complete(chat(text, deadline=Deadline(90, virtual_clock))) for text in texts]
    return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 3_600)


@pytest.mark.parametrize("count", [1, 3, 12, 40])
@pytest.mark.parametrize("on_timeout", ["next", "retry"])
@pytest.mark.parametrize(
    "targets",
    [
        ["slow/m"],
        ["dead/x", "slow/m"],
        ["slow/m", "dead/x"],
        ["slow/m", "slow/n"],
        ["dead/x", "slow/m", "slow/n"],
    ],
    ids="-".join,
)
def test_slow_target_is_asked_three_times_for_each_record(
    targets: Sequence[str], on_timeout: str, count: int
) -> None:
    """Also as a probe, and over all waits while the breakers of the others are open."""

    async def main() -> tuple[list[Any], Slow]:
        slow = Slow("slow")
        routed = routes(targets, slow=slow, dead=Away(), on_timeout=on_timeout)
        return await ends_of(routed, [str(number) for number in range(count)]), slow

    ends, slow = run_virtually(main())

    assert all(isinstance(end, RetriesExhausted) for end in ends)
    assert max(slow.asked().values()) == MOST


@pytest.mark.parametrize("count", [3, 12])
@pytest.mark.parametrize("targets", [["slow/m"], ["dead/x", "slow/m"]], ids="-".join)
def test_error_counts_the_attempts_at_its_target(targets: Sequence[str], count: int) -> None:
    """Those before each wait too, and none at other targets."""

    async def main() -> list[Any]:
        routed = routes(targets, slow=Slow("slow"), dead=Away())
        return await ends_of(routed, [str(number) for number in range(count)])

    ends = [str(end) for end in run_virtually(main())]
    told = f"gave up after attempt {MOST}: slow: no complete answer within 2.00 s"
    down = "dead: no connection"
    last = (told, down, f"{down}; dead/x: taken for down")
    assert all(end.endswith(last) for end in ends)
    assert any(end.endswith(told) for end in ends)


def test_target_that_was_asked_is_told_with_its_own_error() -> None:
    """Also where its breaker keeps the record from asking again: that it is open is no reason."""

    async def main() -> list[Any]:
        return await ends_of(
            routes(["slow/m", "slow/n"], slow=Slow("slow"), dead=Away()),
            [str(number) for number in range(12)],
        )

    for end in run_virtually(main()):
        assert type(end) is AllProvidersFailed
        assert str(end).startswith("all 2 targets failed; the last one: ")
        assert "slow: no complete answer within 2.00 s" in str(end)


@pytest.mark.parametrize("count", [1, 12])
def test_other_target_that_may_be_back_is_asked_before_a_record_is_given_up(count: int) -> None:
    """An outage that is over costs no record that another target was too slow for.

    What two of the records ask for all of them, the others wait for.
    """

    async def main() -> list[Any]:
        denied = partial(ProviderDenied, "dead: HTTP 401")  # opens the breaker at once
        routed = routes(
            ["dead/x", "slow/m"],
            slow=Slow("slow"),
            dead=Away(TIMEOUT_S, denied),
            breaker_limits=BreakerLimits(failures=1_000),
        )
        return await ends_of(routed, [str(number) for number in range(count)])

    for end in run_virtually(main()):
        assert isinstance(end, Completion)
        assert end.provider == "dead"
        assert end.attempts > MOST


@pytest.mark.parametrize("count", [3, 12, 40])
def test_records_that_wait_for_each_others_probes_are_given_up(count: int) -> None:
    """A target that refuses for ever is not taken for one that may be back without an end."""

    async def main() -> list[Any]:
        refusing = Away(failure=partial(RateLimited, "dead: HTTP 429"))
        routed = routes(["slow/m", "dead/x", "slow/n"], slow=Slow("slow"), dead=refusing)
        return await ends_of(routed, [str(number) for number in range(count)])

    assert {type(end) for end in run_virtually(main())} == {AllProvidersFailed}


def test_failures_that_cost_nothing_are_not_counted() -> None:
    """A record that is only refused is held, while others are given up for a slow target."""

    async def main() -> tuple[list[Any], list[bool]]:
        dead = Away(600)
        routed = routes(["dead/x", "slow/m"], slow=Failing("slow"), dead=dead)
        held = [asyncio.create_task(ends_of(routed, [f"held {n}"])) for n in range(6)]
        slow = await ends_of(routed, [f"slow {n}" for n in range(3)])
        are_held = [not task.done() for task in held]
        for (end,) in await asyncio.gather(*held):
            assert end.provider == "dead"
        return slow, are_held

    slow, are_held = run_virtually(main())
    assert {type(end) for end in slow} == {AllProvidersFailed}
    assert all(are_held)
