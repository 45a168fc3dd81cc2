"""Records that make their provider fail, however many there are, and outages that come again."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pytest

from streamapp.errors import Failure, ProviderUnavailable, RetriesExhausted
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat

#: Of the records that crash their provider.
ODD = "odd"


class Crashing:
    """A provider that some records crash, and that is down at times.

    Args:
        is_down: Whether it is, now.
        latency_s: Of each answer, and of each failure.
    """

    def __init__(self, is_down: Callable[[], bool] = lambda: False, *, latency_s: float = 0.2):
        self.asked: Counter[str] = Counter()
        self._is_down = is_down
        self._latency_s = latency_s

    async def complete(self, call: Call) -> Completion:
        text = str(call.messages[0]["content"])
        self.asked[text] += 1
        await asyncio.sleep(self._latency_s)
        if self._is_down() or text.startswith(ODD):
            raise ProviderUnavailable("fake: HTTP 503", provider="p", status=503)
        return Completion(output="", model=call.model, provider="p")

    async def aclose(self) -> None:
        pass


@dataclass(frozen=True)
class End:
    """What became of a record."""

    text: str
    took_s: float
    error: Failure | None


def routes(provider: Crashing) -> Routes:
    settings = Settings(
        providers={"p": ProviderSettings(kind="offline")},
        models={"default": ModelSettings(targets=["p/m"])},
    )
    return Routes(
        settings, {"p": provider}, clock=virtual_clock, sleep=asyncio.sleep, rng=Random(1)
    )


async def end(routed: Routes, text: str) -> End:
    began, error = virtual_clock(), None
    call = chat(text, deadline=Deadline(90.0, virtual_clock))
    try:
        await routed.resolve(None).complete(call)
    except Failure as failure:
        error = failure
    return End(text, virtual_clock() - began, error)


async def ends(routed: Routes, count: int, *, every_s: float, odd: int) -> tuple[list[End], int]:
    """Return what became of all records, and how many that crash the provider are still held."""
    crashing = [asyncio.create_task(end(routed, f"{ODD}{number}")) for number in range(odd)]
    others = []
    for number in range(count):
        others.append(asyncio.create_task(end(routed, f"fine{number}")))
        await asyncio.sleep(every_s)
    ended = [await other for other in others]
    held = [one for one in crashing if not one.done()]
    ended += [one.result() for one in crashing if one.done()]
    for one in held:
        one.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    return ended, len(held)


@pytest.mark.parametrize(
    ("odd", "every_s"), [(1, 15.0), (2, 15.0), (5, 15.0), (10, 1.5), (20, 0.2)]
)
def test_records_that_crash_their_provider_are_given_up(odd: int, every_s: float) -> None:
    """Several open the breaker together; each is given up all the same, and all others answered."""

    async def main() -> None:
        provider = Crashing()
        ended, held = await ends(routes(provider), round(900 / every_s), every_s=every_s, odd=odd)

        assert held == 0
        given_up = [one for one in ended if one.error is not None]
        assert len(given_up) == odd
        assert all(one.text.startswith(ODD) for one in given_up)
        assert {type(one.error) for one in given_up} == {RetriesExhausted}
        assert all(one.took_s < 1 for one in ended[-odd - 10 : -odd])

    run_virtually(main())


@pytest.mark.parametrize("odd", [1, 2, 20])
def test_records_are_held_where_no_other_is_answered(odd: int) -> None:
    """Nothing tells it from an outage."""

    async def main() -> None:
        routed = routes(Crashing())
        _, held = await ends(routed, 1, every_s=600.0, odd=odd)

        assert held == odd

    run_virtually(main())


@pytest.mark.parametrize("up_s", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("down_s", [2.0, 5.0, 60.0])
@pytest.mark.parametrize("count", [3, 30, 300])
def test_outage_that_comes_again_costs_no_record(up_s: float, down_s: float, count: int) -> None:
    """Who was asked in vain while it was down is answered in one of the times it is back."""

    async def main() -> None:
        def is_down() -> bool:
            now = virtual_clock()
            return now < 600 and now % (down_s + up_s) < down_s

        routed = routes(Crashing(is_down))
        ended = await asyncio.gather(*(end(routed, f"fine{number}") for number in range(count)))

        assert [one for one in ended if one.error is not None] == []

    run_virtually(main())


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("every_s", [0.0, 1.0])
def test_target_that_fails_most_calls_costs_no_record(share: float, every_s: float) -> None:
    """Those that are answered failed before as well: who is unlucky ten times is not at fault."""

    async def main() -> None:
        rng = Random(3)
        routed = routes(Crashing(lambda: virtual_clock() < 900 and rng.random() < share))

        async def later(number: int) -> End:
            await asyncio.sleep(number * every_s)
            return await end(routed, f"fine{number}")

        ended = await asyncio.gather(*map(later, range(200)))

        assert [one for one in ended if one.error is not None] == []

    run_virtually(main())


def test_record_that_crashes_all_targets_is_given_up() -> None:
    """What is left of the route is asked as for any record that a target is used up for."""

    async def main() -> None:
        settings = Settings(
            providers=dict.fromkeys("pq", ProviderSettings(kind="offline")),
            models={"default": ModelSettings(targets=["p/m", "q/m"])},
        )
        providers = {name: Crashing() for name in "pq"}
        routed = Routes(
            settings, providers, clock=virtual_clock, sleep=asyncio.sleep, rng=Random(1)
        )
        ended, held = await ends(routed, 60, every_s=15.0, odd=4)

        assert held == 0
        assert sum(one.error is not None for one in ended) == 4

    run_virtually(main())
