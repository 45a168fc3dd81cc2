"""What a call gets of its route where the record's earlier calls have used up its time."""

import asyncio
from random import Random

import pytest

from streamapp.errors import ProviderDenied, RetriesExhausted
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeProvider
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat

DEADLINE_S = 90.0


class Down(FakeProvider):
    """Refuses all until the given time, and answers from then on."""

    def __init__(self, name: str, until_s: float) -> None:
        super().__init__(name)
        self.until_s = until_s

    async def complete(self, call: Call) -> Completion:
        self.history.append(call)
        await asyncio.sleep(0.1)
        if virtual_clock() < self.until_s:
            raise ProviderDenied("fake: HTTP 401", provider=self.name, status=401)
        return Completion(output="", model=call.model, provider=self.name)


def routes(*providers: FakeProvider) -> Routes:
    offline = ProviderSettings(kind="offline")
    settings = Settings(
        providers={one.name: offline for one in providers},
        models={"default": ModelSettings(targets=[f"{one.name}/m" for one in providers])},
    )
    known = {one.name: one for one in providers}
    return Routes(settings, known, clock=virtual_clock, sleep=asyncio.sleep, rng=Random(1))


async def spent(seconds: float) -> Deadline:
    """Return the deadline of a record whose earlier calls took so long."""
    deadline = Deadline(DEADLINE_S, virtual_clock)
    deadline.start()
    await asyncio.sleep(seconds)
    return deadline


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("over_s", [0.0, 0.5, 400.0])
def test_call_behind_the_deadline_is_given_up(over_s: float, count: int) -> None:
    """A target that is up is not asked, however well it is, and no other time is given."""

    async def main() -> None:
        fakes = [FakeProvider(f"p{n}") for n in range(count)]
        deadline = await spent(DEADLINE_S + over_s)

        with pytest.raises(RetriesExhausted, match="DEADLINE_S") as caught:
            await routes(*fakes).resolve(None).complete(chat(deadline=deadline))

        assert caught.value.attempts == 0
        assert deadline.remaining_s() <= 0
        assert not any(one.history for one in fakes)

    run_virtually(main())


def test_rounds_of_a_record_have_one_deadline() -> None:
    """Own work between its calls is the record's time, too: no call begins behind its end."""

    async def main() -> None:
        fake = FakeProvider("p")
        route, deadline = routes(fake).resolve(None), Deadline(DEADLINE_S, virtual_clock)

        async def rounds() -> None:
            for _ in range(5):
                await route.complete(chat(deadline=deadline))
                await asyncio.sleep(DEADLINE_S / 2 - 1)

        with pytest.raises(RetriesExhausted):
            await rounds()

        assert len(fake.history) == 3

    run_virtually(main())


@pytest.mark.parametrize("wait_s", [0.0, 30.0], ids=["no-probe-due", "probe-due"])
def test_call_behind_the_deadline_is_held_while_all_are_down(wait_s: float) -> None:
    """An outage is no fault of the record; what was not made is counted as no attempt."""

    async def main() -> Completion:
        down = Down("p", until_s=100.0)
        routed = routes(down)
        deadline = await spent(DEADLINE_S)
        other = asyncio.create_task(opened(routed))
        await asyncio.sleep(1)
        other.cancel()
        await asyncio.sleep(wait_s)
        asked = len(down.history)
        completion = await routed.resolve(None).complete(chat(deadline=deadline))
        assert completion.attempts == len(down.history) - asked
        return completion

    async def opened(routed: Routes) -> None:
        await routed.resolve(None).complete(chat(deadline=Deadline(DEADLINE_S, virtual_clock)))

    assert run_virtually(main()).provider == "p"
