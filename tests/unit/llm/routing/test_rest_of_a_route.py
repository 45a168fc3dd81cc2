"""What is left of a route for a record that one of its targets was too slow for."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from streamapp.errors import (
    Failure,
    ProviderDenied,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
    RetriesExhausted,
    TargetOpen,
)
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.limits.provider_limits import ProviderLimits
from streamapp.llm.routing.breaker import Breaker, BreakerLimits
from streamapp.llm.routing.fallback import Fallback
from streamapp.llm.routing.guarded import Guarded
from streamapp.llm.routing.remaining import Candidate
from streamapp.settings import ProviderSettings
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat

MOST, TIMEOUT_S = 3, 2.0

Act = Callable[[Call], Awaitable[None]]


class Target:
    """A provider behind its retries."""

    def __init__(self, name: str, act: Act) -> None:
        self.name = name
        self.act = act

    async def complete(self, call: Call) -> Completion:
        await self.act(call)
        return Completion(output="", model="m", provider=self.name)


def target(name: str, act: Act, *, is_open: bool = False) -> Candidate:
    breaker = Breaker(name, limits=BreakerLimits(), clock=virtual_clock)
    if is_open:
        breaker.failed(denied())
    limits = ProviderLimits(
        ProviderSettings(kind="offline"), clock=virtual_clock, sleep=asyncio.sleep
    )
    limited = limits.around(Target(name, act), "m")
    return Candidate(Guarded(limited, breaker=breaker), breaker, limited)


def fallback(*candidates: Candidate, sleep: Callable[[float], Awaitable[None]]) -> Fallback:
    return Fallback(candidates, moves_on=True, paid_attempts=MOST, sleep=sleep)


def ask(route: Fallback, deadline_s: float = 90.0) -> Awaitable[Completion]:
    return route.complete(chat(deadline=Deadline(deadline_s, virtual_clock)))


def denied() -> Failure:
    failure = ProviderDenied("HTTP 401", provider="dead")
    failure.attempts = 1
    return failure


def too_slow(attempts: int = 1) -> Failure:
    failure: Failure = ProviderTimeout("slow: no complete answer", provider="slow")
    if attempts > 1:
        failure = RetriesExhausted(f"gave up after attempt {attempts}")
    failure.attempts = failure.paid = attempts
    return failure


async def swallow(call: Call) -> None:
    """Take the record three times, and answer none in time."""
    await asyncio.sleep(MOST * TIMEOUT_S)
    raise too_slow(MOST)


async def refuse(call: Call) -> None:
    raise denied()


async def answer(call: Call) -> None:
    await asyncio.sleep(TIMEOUT_S / 2)


async def probed(breaker: Breaker, *, from_s: float, to_s: float) -> None:
    """Have two other records ask the target meanwhile, which is back."""
    await asyncio.sleep(from_s)
    probes = [breaker.begin_probe(), breaker.begin_probe()]
    await asyncio.sleep(to_s - from_s)
    breaker.succeeded()
    for probe in probes:
        assert probe is not None
        breaker.end_probe(probe)


@pytest.mark.parametrize("order", ["sba", "sab", "bsa", "sa"])
def test_each_target_of_the_rest_is_waited_for(order: str) -> None:
    """That one of them refuses says nothing of another one, which others ask just then."""

    async def main() -> Completion:
        back = target("a", answer, is_open=True)
        known = {"s": target("s", swallow), "b": target("b", refuse, is_open=True), "a": back}
        route = fallback(*(known[name] for name in order), sleep=asyncio.sleep)
        probing = asyncio.create_task(probed(back.breaker, from_s=5.0, to_s=12.0))
        completion = await ask(route)
        await probing
        return completion

    assert run_virtually(main()).provider == "a"


def test_target_that_has_come_back_since_it_was_asked_is_asked_again() -> None:
    """Also by the record that found it down, and by no timeout of another one's."""

    async def main() -> Completion:
        calls = []

        async def refuse_once(call: Call) -> None:
            calls.append(call)
            await (refuse if len(calls) == 1 else answer)(call)

        first = target("a", refuse_once)
        route = fallback(first, target("s", swallow), sleep=asyncio.sleep)
        probing = asyncio.create_task(probed(first.breaker, from_s=1.0, to_s=3.0))
        completion = await ask(route)
        await probing
        return completion

    assert run_virtually(main()).provider == "a"


def test_slow_target_is_asked_again_by_the_record_that_finds_the_other_one_refusing() -> None:
    """As by those that come later, and know it."""

    async def main() -> Completion:
        calls = []

        async def slow_once(call: Call) -> None:
            calls.append(call)
            await asyncio.sleep(TIMEOUT_S)
            if len(calls) == 1:
                raise too_slow()

        route = fallback(target("s", slow_once), target("b", refuse), sleep=asyncio.sleep)
        return await ask(route)

    assert run_virtually(main()).provider == "s"


def test_time_is_kept_for_a_target_that_may_be_back() -> None:
    """Else it would be asked without any, and be taken for down as long as nothing else asks."""

    async def main() -> Completion:
        async def take_all(call: Call) -> None:
            call.deadline.start()
            await asyncio.sleep(call.remaining_s())
            raise too_slow(MOST)

        async def answer_in_time(call: Call) -> None:
            if call.remaining_s() < TIMEOUT_S:
                raise too_slow()

        back = target("a", answer_in_time, is_open=True)
        await asyncio.sleep(back.breaker.wait_s())
        return await ask(fallback(target("s", take_all), back, sleep=asyncio.sleep))

    assert run_virtually(main()).provider == "a"


def test_probe_without_any_time_says_nothing_of_the_target() -> None:
    """It was not asked: the next record may ask at once."""

    async def main() -> float:
        down = target("a", refuse, is_open=True)
        await asyncio.sleep(down.breaker.wait_s())
        with pytest.raises(TargetOpen):
            await down.provider.complete(chat(deadline_s=-1.0))
        return down.breaker.wait_s()

    assert run_virtually(main()) == 0


def test_of_records_that_wait_for_a_probe_one_looks() -> None:
    """Thousands that look four times a second would keep the loop from its work."""

    async def main() -> int:
        looks = 0

        async def sleep(seconds: float) -> None:
            nonlocal looks
            looks += 1
            await asyncio.sleep(seconds)

        back = target("a", answer, is_open=True)
        route = fallback(target("s", swallow), back, sleep=sleep)
        probing = asyncio.create_task(probed(back.breaker, from_s=5.0, to_s=16.0))
        found = await asyncio.gather(*(ask(route) for _ in range(50)))
        await probing
        assert {completion.provider for completion in found} == {"a"}
        return looks

    assert run_virtually(main()) < 100


def test_target_that_takes_no_probe_takes_no_call_back() -> None:
    """It answers at once that it is down, and the call came and went without a wait."""

    async def main() -> list[bool]:
        down = target("down", answer)
        for _ in range(5):
            down.breaker.failed(ProviderUnavailable("HTTP 503", provider="down", status=503))
        await asyncio.sleep(4)
        down.breaker.failed(RateLimited("HTTP 429", provider="down", retry_after_s=60))
        takes = []
        for _ in range(2):
            await asyncio.sleep(58)
            takes += [down.takes_back(), down.takes_back()]
        return takes

    assert run_virtually(main()) == [False, False, True, False]
