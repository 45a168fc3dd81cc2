"""Servers that die at some records, and take along the calls that they work at."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import pytest

from streamapp.errors import (
    AnswerBroken,
    Failure,
    ProviderRejected,
    ProviderUnavailable,
    RetriesExhausted,
)
from streamapp.kinds import Kind
from streamapp.llm.attempt import heard
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.prices import Prices
from streamapp.llm.deadline import DEADLINE, Deadline
from streamapp.llm.routing.economy import Economy
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat

#: Of the records that a server dies at.
ODD = "odd"
#: Until it dies at one.
CRASH_S = 0.5


class Server:
    """A provider whose process some records end: it cuts all its calls, and is away for a while.

    Args:
        latency_s: Of each answer, on average.
        away_s: How long it takes to start again.
        is_streamed: Whether answers begin at once: what is cut of them is paid for.
    """

    def __init__(self, latency_s: float, away_s: float, *, is_streamed: bool = False) -> None:
        self.asked: Counter[str] = Counter()
        self.deaths = self.in_flight = 0
        #: At each answer.
        self.were_in_flight: list[int] = []
        self._latency_s = latency_s
        self._away_s = away_s
        self._is_streamed = is_streamed
        self._away_until = 0.0
        self._death = asyncio.Event()
        self._rng = Random(1)

    async def complete(self, call: Call) -> Completion:
        text = str(call.messages[0]["content"])
        self.asked[text] += 1
        if virtual_clock() < self._away_until:
            await asyncio.sleep(0.02)
            raise ProviderUnavailable("refused", provider="p")
        self.in_flight += 1
        try:
            await self._answer(is_odd=text.startswith(ODD))
        finally:
            self.were_in_flight.append(self.in_flight)
            self.in_flight -= 1
        return Completion(output="", model=call.model, provider="p")

    def leave(self) -> None:
        """Be away from now on, for its time."""
        self._away_until = virtual_clock() + self._away_s

    async def aclose(self) -> None:
        pass

    async def _answer(self, *, is_odd: bool) -> None:
        if is_odd:
            await self._work(CRASH_S)
            self.deaths += 1
            self.leave()
            self._death.set()
            self._death = asyncio.Event()
            raise ProviderUnavailable("died", provider="p")
        if self._is_streamed:
            heard("first")
        await self._work(self._latency_s * self._rng.uniform(0.5, 1.5))

    async def _work(self, seconds: float) -> None:
        death = self._death
        try:
            async with asyncio.timeout(seconds):
                await death.wait()
        except TimeoutError:
            return
        raise (AnswerBroken if self._is_streamed else ProviderUnavailable)("cut", provider="p")


class Breaking(Server):
    """A provider that breaks off every answer."""

    def __init__(self, failure: Callable[..., Failure]) -> None:
        super().__init__(1.0, 0.0)
        self._failure = failure

    async def _answer(self, *, is_odd: bool) -> None:
        heard("first")
        await asyncio.sleep(1.0)
        raise self._failure("broke off", provider="p")


@dataclass(frozen=True)
class End:
    """What became of a record."""

    text: str
    took_s: float
    error: Failure | None


def routes(*servers: Server) -> Routes:
    names = [f"p{number}" for number, _ in enumerate(servers)]
    settings = Settings(
        providers=dict.fromkeys(names, ProviderSettings(kind="offline")),
        models={"default": ModelSettings(targets=[f"{name}/m" for name in names])},
    )
    providers = dict(zip(names, servers, strict=True))
    return Routes(
        settings,
        providers,
        economy=Economy(prices=Prices(settings.providers, {})),  # equal calls share one
        clock=virtual_clock,
        sleep=asyncio.sleep,
        rng=Random(1),
    )


async def end(routed: Routes, text: str, *, deadline: Deadline | None = None) -> End:
    began, error = virtual_clock(), None
    deadline = deadline or Deadline(90.0, virtual_clock)
    try:
        await routed.resolve(None).complete(chat(text, deadline=deadline))
    except Failure as failure:
        error = failure
    return End(text, virtual_clock() - began, error)


async def ends(routed: Routes, texts: Sequence[str], *, every_s: float = 0.0) -> list[End]:
    async def later(place: int, text: str) -> End:
        await asyncio.sleep(place * every_s)
        return await end(routed, text)

    return list(await asyncio.gather(*(later(*one) for one in enumerate(texts))))


async def held_ends(servers: Sequence[Server], count: int) -> list[End]:
    """Return what became of records that were held while ``servers`` were away a second time."""
    routed = routes(*servers)
    for server in servers:
        server.leave()
    await end(routed, "first")
    for server in servers:
        server.were_in_flight.clear()
        server.leave()
    return await ends(routed, [f"fine{number}" for number in range(count)])


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("latency_s", "away_s"), [(2.0, 10.0), (0.2, 3.0)])
def test_record_that_its_server_dies_at_is_given_up_alone(
    latency_s: float, away_s: float, is_streamed: bool
) -> None:
    """Those that it takes along each time are answered in between, also where they are paid."""

    async def main() -> None:
        server = Server(latency_s, away_s, is_streamed=is_streamed)
        texts = [f"fine{number}" for number in range(600)]
        texts.insert(30, ODD)

        async with asyncio.timeout(1_200):
            ended = await ends(routes(server), texts, every_s=1.0)

        given_up = {one.text: type(one.error) for one in ended if one.error is not None}
        assert given_up == {ODD: RetriesExhausted}
        assert server.deaths <= 30

    run_virtually(main())


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("count", "latency_s", "away_s"),
    [(1, 2.0, 6.0), (2, 5.0, 10.0), (4, 10.0, 2.0), (8, 20.0, 10.0), (16, 20.0, 0.5)],
)
def test_few_slow_ones_that_are_held_beside_it_are_answered(
    count: int, latency_s: float, away_s: float, is_streamed: bool
) -> None:
    """Each is alone at the server some time, and for as long as its answer takes."""

    async def main() -> None:
        routed = routes(Server(latency_s, away_s, is_streamed=is_streamed))
        odd = asyncio.create_task(end(routed, ODD))

        async with asyncio.timeout(900):
            ended = await ends(routed, [f"fine{number}" for number in range(count)])

        assert [one for one in ended if one.error is not None] == []
        odd.cancel()

    run_virtually(main())


@pytest.mark.parametrize(("count", "latency_s"), [(1, 5.0), (4, 20.0), (16, 10.0)])
def test_it_is_given_up_also_beside_few_slow_ones(count: int, latency_s: float) -> None:
    """Where so many at a time come as long as it is held, there are answers to tell it by."""

    async def main() -> None:
        routed = routes(Server(latency_s, 10.0))
        odd = asyncio.create_task(end(routed, ODD))
        ended: list[End] = []

        async def others(name: str) -> None:
            while not odd.done():
                ended.append(await end(routed, f"fine{name}{len(ended)}"))

        async with asyncio.timeout(3_600):
            await asyncio.gather(*(others(f"{place}-") for place in range(count)))

        assert isinstance(odd.result().error, RetriesExhausted)
        assert [one for one in ended if one.error is not None] == []

    run_virtually(main())


def test_held_calls_begin_in_growing_numbers() -> None:
    """One of them that takes its server along takes few others along; all begin soon."""

    async def main() -> None:
        server, count = Server(2.0, 100.0), 4_000

        ended = await held_ends([server], count)

        assert [one for one in ended if one.error is not None] == []
        assert all(many <= 4 + 2 * at for at, many in enumerate(server.were_in_flight[:50]))
        assert max(server.were_in_flight) > count // 4
        assert max(one.took_s for one in ended) < 100 + 40

    run_virtually(main())


@pytest.mark.parametrize("targets", [1, 2])
def test_held_calls_that_are_refused_let_others_begin(targets: int) -> None:
    """An answer of whatever kind tells that the server is back."""

    class Refusing(Server):
        async def _answer(self, *, is_odd: bool) -> None:
            await super()._answer(is_odd=is_odd)
            raise ProviderRejected("too odd", provider="p", status=400)

    async def main() -> None:
        ended = await held_ends([Refusing(2.0, 100.0) for _ in range(targets)], 500)

        assert {type(one.error) for one in ended} == {ProviderRejected}
        assert max(one.took_s for one in ended) < 100 + 30

    run_virtually(main())


@pytest.mark.parametrize(("failure", "most"), [(AnswerBroken, 10), (ProviderUnavailable, 20)])
def test_what_always_breaks_off_is_not_paid_without_end(
    failure: Callable[..., Failure], most: int
) -> None:
    """That others break off at the same moment does not excuse a record for ever."""

    async def main() -> None:
        server = Breaking(failure)

        ended = await ends(routes(server), [f"fine{number}" for number in range(20)])

        assert {one.error and one.error.kind for one in ended} == {Kind.RETRIES_EXHAUSTED}
        assert max(server.asked.values()) <= most

    run_virtually(main())


def test_what_breaks_off_alone_is_paid_three_times() -> None:
    async def main() -> None:
        server = Breaking(AnswerBroken)

        (ended,) = await ends(routes(server), ["fine"])

        assert isinstance(ended.error, RetriesExhausted)
        assert server.asked["fine"] == 3

    run_virtually(main())


def test_calls_of_one_record_that_break_off_together_excuse_none() -> None:
    """Nothing tells then that it was not the record; each is paid three times, as one alone is."""

    async def main() -> None:
        server, deadline = Breaking(AnswerBroken), Deadline(90.0, virtual_clock)
        DEADLINE.set(deadline)
        routed, texts = routes(server), [f"part{number}" for number in range(4)]

        ended = await asyncio.gather(*(end(routed, text, deadline=deadline) for text in texts))

        assert {type(one.error) for one in ended} == {RetriesExhausted}
        assert server.asked == dict.fromkeys(texts, 3)

    run_virtually(main())
