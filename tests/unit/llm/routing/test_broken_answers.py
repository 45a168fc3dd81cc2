"""Targets that break off answers, while the next one is healthy."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from streamapp.errors import AnswerBroken, PartSent
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from streamapp.web.events import ChunksSent
from tests.fakes import FakeProvider
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat


class Streaming(FakeProvider):
    """Begins an answer, and takes so long for it; breaks off those that it is to, or all at once.

    Args:
        answer_s: Of each answer.
        breaks: Whether to break off the answer to a text half a second after it began.
    """

    def __init__(self, answer_s: float, breaks: Callable[[str], bool]) -> None:
        super().__init__("a")
        self._answer_s = answer_s
        self._breaks = breaks
        self._restart = asyncio.Event()

    def restart(self) -> None:
        """Break off all answers that are on their way."""
        self._restart.set()
        self._restart = asyncio.Event()

    async def complete(self, call: Call) -> Completion:
        if call.chunks:
            await call.chunks.begin()
            await call.chunks.add("one ")
        is_broken, restart = self._breaks(call.messages[-1]["content"]), self._restart
        self.history.append(call)
        try:
            async with asyncio.timeout(0.5 if is_broken else self._answer_s):
                await restart.wait()
        except TimeoutError:
            if not is_broken:
                return Completion(output="whole", model=call.model, provider="a")
        raise AnswerBroken("a: broke off", provider="a")


class Desk:
    """A route with a target that streams, and a healthy one behind it."""

    def __init__(self, first: Streaming) -> None:
        self.first, self.second = first, FakeProvider("b")
        self.routes = Routes(
            Settings(
                providers=dict.fromkeys("ab", ProviderSettings(kind="offline")),
                models={"default": ModelSettings(targets=["a/m", "b/m"])},
            ),
            {"a": self.first, "b": self.second},
            clock=virtual_clock,
            sleep=asyncio.sleep,
            rng=Random(1),
        )

    async def ask(self, text: str, *, is_sent: bool = False) -> str:
        """Return who answers."""

        async def send(text: str) -> None:
            pass

        call = chat(text, deadline=Deadline(90.0, virtual_clock))
        call = call.but(chunks=ChunksSent(send)) if is_sent else call
        return (await self.routes.resolve(None).complete(call)).provider


@pytest.mark.parametrize("count", [8, 25, 64])
def test_records_beside_each_other_go_on_within_seconds(count: int) -> None:
    """None is asked as often as it may be where others break off at the same moments."""

    async def main() -> None:
        desk = Desk(Streaming(1.0, lambda text: True))

        answered = await asyncio.gather(*(desk.ask(f"record {n}") for n in range(count)))

        assert set(answered) == {"b"}
        assert virtual_clock() < 10
        assert len(desk.first.history) <= 5 * count

    run_virtually(main())


def test_callers_one_after_the_other_are_answered_after_five() -> None:
    """Each of the five had a part of its answer, so that it could not be asked again."""

    async def main() -> None:
        desk = Desk(Streaming(1.0, lambda text: True))
        lost = 0
        for number in range(50):
            try:
                assert await desk.ask(f"record {number}", is_sent=True) == "b"
            except PartSent:
                lost += 1
            await asyncio.sleep(1.0)

        assert lost <= 20  # beside the five each was a probe
        assert len(desk.second.history) == 50 - lost

    run_virtually(main())


def test_server_that_starts_again_keeps_its_calls() -> None:
    """All of its answers break off at one moment, and at another one; then it answers all."""

    async def main() -> None:
        desk = Desk(Streaming(20.0, lambda text: False))
        asked = [asyncio.create_task(desk.ask(f"record {number}")) for number in range(64)]
        for _ in range(4):
            await asyncio.sleep(4)
            desk.first.restart()

        assert set(await asyncio.gather(*asked)) == {"a"}

    run_virtually(main())


def test_records_that_always_break_off_send_no_others_on() -> None:
    """Among answers to others, they alone go to the next target."""

    async def main() -> None:
        desk = Desk(Streaming(1.0, lambda text: text.endswith("7")))

        async def later(number: int) -> str:
            await asyncio.sleep(number / 4)
            return await desk.ask(f"record {number}")

        answered = await asyncio.gather(*(later(number) for number in range(200)))

        assert [n for n, one in enumerate(answered) if one == "b"] == [*range(7, 200, 10)]

    run_virtually(main())
