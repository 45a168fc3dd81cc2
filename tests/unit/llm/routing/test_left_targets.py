"""Records that leave a target between two attempts, once it is taken for down."""

import asyncio
from random import Random

import pytest

from streamapp.errors import Failure, ProviderDenied
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeProvider
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat, unavailable

#: When the attempts of a record are due whose waits are as long as they can be; the fifth failure
#: opens the breaker.
DUE_S = [0.0, 0.5, 1.5, 3.5, 7.5, 15.5]
OPENS_S = DUE_S[4]


class Highest(Random):
    """Draws the upper bound."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Down(FakeProvider):
    """Fails until it is back."""

    def __init__(self, back_at: float, failure: Failure | None = None) -> None:
        super().__init__()
        self.asked_at: list[float] = []
        self._back_at = back_at
        self._failure = failure or unavailable()

    async def complete(self, call: Call) -> Completion:
        self.asked_at.append(virtual_clock())
        if virtual_clock() < self._back_at:
            raise self._failure
        return await super().complete(call)


def routes(first: Down, second: Down) -> Routes:
    settings = Settings(
        providers=dict.fromkeys(("one", "two"), ProviderSettings(kind="offline")),
        models={
            "default": ModelSettings(targets=["one/m", "two/m"]),
            "one": ModelSettings(targets=["one/m"]),
            "two": ModelSettings(targets=["two/m"]),
        },
    )
    providers = {"one": first, "two": second}
    return Routes(settings, providers, clock=virtual_clock, sleep=asyncio.sleep, rng=Highest())


async def answered_at(
    routed: Routes, route: str = "default", *, begins_at: float = 0.0, is_waited_for: bool = False
) -> float:
    await asyncio.sleep(begins_at)
    deadline = Deadline(90.0, virtual_clock, is_waited_for=is_waited_for)
    call = chat(str(begins_at), deadline=deadline)
    await routed.resolve(route).complete(call)
    return virtual_clock()


def test_target_is_left_at_the_failure_that_opens_its_breaker() -> None:
    """A healthy one behind it is asked then, and not after one more wait and attempt."""

    async def main() -> None:
        first, second = Down(back_at=100.0), Down(back_at=0.0)

        assert await answered_at(routes(first, second)) == OPENS_S
        assert first.asked_at == DUE_S[:5]

    run_virtually(main())


def test_wait_between_attempts_ends_when_another_record_opens_the_breaker() -> None:
    async def main() -> None:
        first, second = Down(back_at=100.0), Down(back_at=0.0)
        routed = routes(first, second)

        waiting, _ = await asyncio.gather(answered_at(routed), answered_at(routed, begins_at=4.0))

        assert waiting <= 4.25
        assert first.asked_at == [*DUE_S[:4], 4.0]

    run_virtually(main())


@pytest.mark.parametrize("failed_at", [1.0, OPENS_S - 0.1], ids=["long ago", "just now"])
def test_target_is_left_once_a_probe_of_the_next_one_is_due(failed_at: float) -> None:
    """One that failed, and that nobody has asked since, may be back: only a call tells."""

    async def main() -> None:
        second = Down(OPENS_S, ProviderDenied("two: HTTP 401", provider="two"))
        routed = routes(Down(back_at=100.0), second)
        record = asyncio.create_task(answered_at(routed))
        with pytest.raises(ProviderDenied):
            await answered_at(routed, "two", begins_at=failed_at, is_waited_for=True)

        assert await record == max(OPENS_S, failed_at + 0.6)
        assert second.asked_at == [failed_at, virtual_clock()]

    run_virtually(main())


def test_wait_goes_on_where_there_is_no_other_target() -> None:
    """Where there is nothing else to ask, the next attempt comes when it is due."""

    async def main() -> None:
        only = Down(back_at=10.0)

        assert await answered_at(routes(only, Down(back_at=0.0)), "one") == DUE_S[5]
        assert only.asked_at == DUE_S

    run_virtually(main())
