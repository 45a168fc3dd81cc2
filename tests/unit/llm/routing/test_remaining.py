"""What a record has left of a whole route whose targets fail it, each in a way of its own."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from streamapp.errors import (
    Failure,
    GarbledAnswer,
    ProviderDenied,
    ProviderUnavailable,
    RateLimited,
)
from streamapp.llm.attempt import ATTEMPT
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.routing.breaker import BreakerLimits
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeProvider, TakenChunks
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat

#: The default times: two attempts are the whole deadline.
TIMEOUT_S, DEADLINE_S = 60.0, 90.0
#: So often a record is asked at a target: where that is paid for, and where it costs nothing.
MOST_PAID, MOST = 3, 10
#: Of the records that some targets fail; they answer all others.
ODD = "odd"

Act = Callable[[Call], Awaitable[None]]


class Acting(FakeProvider):
    """Does what it is told with each call, and answers where that ends."""

    def __init__(self, name: str, act: Act) -> None:
        super().__init__(name)
        self.act = act
        self.answered_at: list[float] = []

    async def complete(self, call: Call) -> Completion:
        self.history.append(call)
        await self.act(call)
        self.answered_at.append(virtual_clock())
        return Completion(output="", model=call.model, provider=self.name)

    def asked(self) -> Counter[str]:
        """How often each record was asked."""
        return Counter(text_of(call) for call in self.history)


class Measured(Deadline):
    """Knows how long it has run since its record was last held."""

    def __init__(self, routed: Routes, limit_s: float = DEADLINE_S) -> None:
        super().__init__(limit_s, virtual_clock)
        self._routed = routed
        self._before_s = 0.0

    def restart(self) -> None:
        states = self._routed.breaker_states().values()
        self._before_s = 0.0 if all(states) else self.active_s()
        super().restart()

    def active_s(self) -> float:
        return self._before_s + self.spent_s()


class Asked:
    """A record on its way through a route, and what came of it."""

    def __init__(self, routed: Routes, text: str, *, model: str | None = None, **fields: Any):
        self.text = text
        self.deadline = Measured(routed)
        self.provider = ""
        self.error: Failure | None = None
        self.attempts = 0
        self.ended_at = self.active_s = 0.0
        self._call = chat(text, deadline=self.deadline, **fields)
        self._route = routed.resolve(model)

    async def end(self) -> "Asked":
        try:
            completion = await self._route.complete(self._call)
            self.provider, self.attempts = completion.provider, completion.attempts
        except Failure as failure:
            self.error, self.attempts = failure, failure.attempts
        self.ended_at, self.active_s = virtual_clock(), self.deadline.active_s()
        return self


def text_of(call: Call) -> str:
    return str(call.messages[0]["content"])


def routes(
    acts: Mapping[str, Act], *, on_timeout: Any = "next", timeout_s: float = TIMEOUT_S
) -> tuple[Routes, dict[str, Acting]]:
    """Return a route over targets in their order, with one of its own for each of them."""
    providers = {name: Acting(name, act) for name, act in acts.items()}
    hosted = ProviderSettings(kind="openai", base_url="http://127.0.0.1/v1", timeout_s=timeout_s)
    alone = {name: ModelSettings(targets=[f"{name}/m"]) for name in acts}
    route = ModelSettings(targets=[f"{name}/m" for name in acts], on_timeout=on_timeout)
    settings = Settings(
        _env_file=None,
        providers=dict.fromkeys(acts, hosted),
        models={"default": route, **alone},
    )
    return Routes(settings, providers, clock=virtual_clock, rng=Random(1)), providers


@asynccontextmanager
async def others(
    routed: Routes, models: Sequence[str | None], *, every_s: float
) -> AsyncIterator[None]:
    """Have other records asked all the time."""

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(1_000_000):
                for model in models:
                    group.create_task(Asked(routed, f"other {number}", model=model).end())
                await asyncio.sleep(every_s)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def open_breaker(routed: Routes, name: str) -> None:
    """Have other records find the target down."""
    tasks = [asyncio.create_task(Asked(routed, f"first {n}", model=name).end()) for n in range(5)]
    while not routed.breaker_states()[name]:  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def odd_only(act: Act) -> Act:
    """Answer all records but odd ones."""

    async def choose(call: Call) -> None:
        if text_of(call).startswith(ODD):
            await act(call)
        else:
            await asyncio.sleep(0.3)

    return choose


def after(seconds: float) -> Act:
    async def act(call: Call) -> None:
        for _ in range(int(seconds)):
            await asyncio.sleep(1)
            if attempt := ATTEMPT.get():
                attempt.on_sign()

    return act


def failing(failure: Callable[..., Failure], after_s: float = 0.2, **fields: Any) -> Act:
    async def act(call: Call) -> None:
        await asyncio.sleep(after_s)
        raise failure("it fails", provider="p", **fields)

    return act


def back_at(seconds: float) -> Act:
    """Let nobody connect until then."""

    async def act(call: Call) -> None:
        await asyncio.sleep(0.1)
        if virtual_clock() < seconds:
            raise ProviderUnavailable("no connection", provider="p")
        await asyncio.sleep(1)

    return act


swallow = odd_only(after(1_000))
unavailable = odd_only(failing(ProviderUnavailable, status=503))
denied = failing(ProviderDenied, status=401)
limited = failing(RateLimited, status=429, retry_after_s=20)


@pytest.mark.parametrize("is_streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("down", [denied, back_at(1e9)], ids=["denied", "gone"])
def test_target_that_is_down_takes_no_time_from_one_that_is_up(
    down: Act, is_streamed: bool
) -> None:
    """An answer that takes most of the deadline comes, though a probe of the next one is due."""

    async def main() -> tuple[list[Asked], Counter[str]]:
        takes_s = 70.0
        routed, providers = routes({"up": after(takes_s), "down": down}, timeout_s=takes_s + 5)
        await open_breaker(routed, "down")
        asked = []
        for number in range(3):
            await asyncio.sleep(30)
            chunks = TakenChunks() if is_streamed else None
            asked.append(asyncio.create_task(Asked(routed, str(number), chunks=chunks).end()))
        return await asyncio.gather(*asked), providers["up"].asked()

    ends, asked = run_virtually(main())
    assert [end.provider for end in ends] == ["up"] * 3
    assert set(asked.values()) == {1}


@pytest.mark.parametrize("timeout_s", [60.0, 40.0])
@pytest.mark.parametrize("order", [["slow", "back"], ["back", "slow"]], ids="-".join)
def test_target_that_is_back_is_asked_by_a_record_without_time(
    order: Sequence[str], timeout_s: float
) -> None:
    """The other one took all of it, in two calls or three."""

    async def main(outage_s: float) -> Asked:
        acts = {"slow": swallow, "back": back_at(20 + outage_s)}
        routed, _ = routes({name: acts[name] for name in order}, timeout_s=timeout_s)
        await open_breaker(routed, "back")
        async with others(routed, [None], every_s=2):
            await asyncio.sleep(20)
            return await Asked(routed, ODD).end()

    for outage_s in (2, 10, 30, 50):
        assert run_virtually(main(outage_s)).provider == "back", outage_s


@pytest.mark.parametrize("order", [["one"], ["one", "two"]], ids="-".join)
def test_time_that_an_outage_took_uses_nothing_up(order: Sequence[str]) -> None:
    """Where each target swallows the calls of all, only what ends before that is seen is lost."""

    async def main() -> list[Asked]:
        async def swallow_all(call: Call) -> None:
            await asyncio.sleep(1_000 if virtual_clock() < DEADLINE_S + 5 else 1)

        routed, _ = routes(dict.fromkeys(order, swallow_all))
        return await asyncio.gather(*(Asked(routed, str(number)).end() for number in range(12)))

    lost = [end for end in run_virtually(main()) if end.error]
    assert len(lost) < BreakerLimits().failures


@pytest.mark.parametrize("order", [["slow", "limited"], ["limited", "slow"]], ids="-".join)
def test_target_that_is_down_and_refuses_is_asked_once(order: Sequence[str]) -> None:
    """A 429 is not waited for there: whether it is over, the next record asks."""

    async def main() -> tuple[Asked, int]:
        acts = {"slow": swallow, "limited": limited}
        routed, providers = routes({name: acts[name] for name in order})
        await open_breaker(routed, "limited")
        await asyncio.sleep(30)  # the next probe is due
        async with others(routed, ["slow"], every_s=1):
            end = await Asked(routed, ODD).end()
        return end, providers["limited"].asked()[ODD]

    end, asked = run_virtually(main())
    assert end.error
    assert asked <= 2  # also where it comes first, at its first turn


@pytest.mark.parametrize("down", [limited, after(1_000), denied], ids=["429", "swallows", "401"])
def test_records_that_one_target_fails_are_not_held_by_probes_of_another(down: Act) -> None:
    """However many they are: each waits for the probes that it finds, and not for later ones."""

    async def main() -> list[float]:
        routed, _ = routes({"slow": swallow, "down": down})
        await open_breaker(routed, "down")
        waits = []

        async def wait(number: int) -> None:
            began = virtual_clock()
            await Asked(routed, f"{ODD} {number}").end()
            waits.append(virtual_clock() - began)

        async with others(routed, ["slow"], every_s=0.5), asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(wait(number))
                await asyncio.sleep(10)
        return waits

    assert max(run_virtually(main())) <= DEADLINE_S + 2 * TIMEOUT_S


@pytest.mark.parametrize("timeout_s", [10.0, 25.0])
@pytest.mark.parametrize("on_timeout", ["next", "retry"])
@pytest.mark.parametrize(
    "order",
    [["s", "a"], ["a", "s"], ["s", "a", "s2"], ["s", "s2", "a"], ["s", "a", "a2"]],
    ids="-".join,
)
def test_target_that_has_failed_a_record_is_not_asked_once_more(
    order: Sequence[str], on_timeout: str, timeout_s: float
) -> None:
    """Neither in another time: all that was asked, answers others."""

    async def main() -> tuple[Asked, dict[str, int]]:
        acts = {name: swallow if name.startswith("s") else unavailable for name in order}
        routed, providers = routes(acts, on_timeout=on_timeout, timeout_s=timeout_s)
        async with others(routed, order, every_s=0.1):
            await asyncio.sleep(1)
            end = await Asked(routed, ODD).end()
        return end, {name: provider.asked()[ODD] for name, provider in providers.items()}

    end, asked = run_virtually(main())
    assert end.error
    assert end.active_s <= DEADLINE_S
    for name, times in asked.items():
        assert times <= (MOST_PAID if name.startswith("s") else MOST)


KINDS: Mapping[str, Act] = {
    "swallows": after(1_000),
    "slow": swallow,
    "unavailable": failing(ProviderUnavailable, status=503),
    "crashes": unavailable,
    "garbled": odd_only(failing(GarbledAnswer)),
    "denied": denied,
    "limited": limited,
    "busy": failing(RateLimited, status=429, retry_after_s=1),
    "gone": failing(ProviderUnavailable, after_s=3.0),
}


class Case:
    """A route of one to three targets, where `back` is healthy again after a while."""

    def __init__(self, seed: int) -> None:
        rng = Random(seed)
        self.back_s = rng.uniform(0, 60)
        self.acts = {kind: KINDS[kind] for kind in rng.sample([*KINDS], rng.choice([1, 1, 2]))}
        self.acts["back"] = back_at(self.back_s)
        self.order = rng.sample([*self.acts], len(self.acts))
        self.on_timeout = rng.choice(["next", "retry"])
        self.timeout_s = rng.choice([TIMEOUT_S, 40.0, 25.0, 10.0])
        self.begins_s = rng.uniform(0, self.back_s + 10)
        self.gaps_s = [rng.choice([0, 0.3, 5])] * rng.choice([1, 3, 12])
        self.has_others = rng.random() < 0.5
        self.providers: Mapping[str, Acting] = {}

    def __str__(self) -> str:
        return f"{self.order} {self.on_timeout} {self.timeout_s} {self.back_s} {self.begins_s}"

    async def ends(self) -> list[Asked]:
        acts = {name: self.acts[name] for name in self.order}
        routed, self.providers = routes(acts, on_timeout=self.on_timeout, timeout_s=self.timeout_s)
        async with others(routed, [None] if self.has_others else [], every_s=2):
            await asyncio.sleep(self.begins_s)
            tasks = []
            for number, gap_s in enumerate(self.gaps_s):
                asked = Asked(routed, f"{ODD} {number}")
                tasks.append(asyncio.create_task(asked.end()))
                await asyncio.sleep(gap_s)
            return await asyncio.wait_for(asyncio.gather(*tasks), 7_200)


@pytest.mark.parametrize(
    "seeds", [*(range(n, n + 25) for n in range(0, 150, 25)), (3015, 5184)], ids=str
)
def test_record_is_given_up_where_every_target_failed_it_or_is_down(seeds: Sequence[int]) -> None:
    """In no more calls and time than the pages say, over routes of many kinds."""
    for seed in seeds:
        case = Case(seed)
        for end in run_virtually(case.ends()):
            back = case.providers["back"]
            told = f"seed {seed}: {case}; {end.text} at {end.ended_at}: {end.error}"
            if end.error:
                assert not any(at < end.ended_at for at in back.answered_at), told
                assert end.ended_at < case.back_s + TIMEOUT_S, told
                assert "within 0.00 s" not in str(end.error), told
            most_s = DEADLINE_S + (len(case.order) - 1) * case.timeout_s
            assert end.active_s <= most_s, told
            for name in {"swallows", "slow", "garbled"} & {*case.order}:
                assert case.providers[name].asked()[end.text] <= MOST_PAID, told
