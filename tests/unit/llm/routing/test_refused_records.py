"""Records that are refused for long: by a target that refuses all, or that answers others."""

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Literal

import pytest

from streamapp.errors import (
    GarbledAnswer,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
    RetriesExhausted,
)
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.provider import LLMProvider
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeProvider
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat

#: Of a record that is refused whatever else is answered.
ODD = "odd"


class Tight:
    """A provider that answers one call in so many seconds, and answers 429 to all others."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next_at = 0.0

    async def complete(self, call: Call) -> Completion:
        await asyncio.sleep(0.2)
        if virtual_clock() < self._next_at:
            raise RateLimited("HTTP 429", provider="p", status=429)
        self._next_at = virtual_clock() + self._every_s
        return Completion(output="", model=call.model, provider="p")

    async def aclose(self) -> None:
        pass


class Overloaded:
    """A provider that answers 429 for so many seconds, then 503, and again, for an hour."""

    def __init__(self, refusing_s: float, failing_s: float) -> None:
        self._refusing_s, self._failing_s = refusing_s, failing_s

    async def complete(self, call: Call) -> Completion:
        await asyncio.sleep(0.2)
        if virtual_clock() > 3600:
            return Completion(output="", model=call.model, provider="p")
        if virtual_clock() % (self._refusing_s + self._failing_s) < self._refusing_s:
            raise RateLimited("HTTP 429", provider="p", status=429)
        raise ProviderUnavailable("HTTP 503", provider="p", status=503)

    async def aclose(self) -> None:
        pass


class Refusing:
    """A provider that answers 429: to all until a moment, to odd records for ever."""

    def __init__(self, until: float = 0.0, *, wish_s: float | None = None) -> None:
        self.asked: Counter[str] = Counter()
        self._until = until
        self._wish_s = wish_s

    async def complete(self, call: Call) -> Completion:
        text = str(call.messages[0]["content"])
        self.asked[text] += 1
        await asyncio.sleep(0.2)
        if virtual_clock() < self._until or text.startswith(ODD):
            raise RateLimited("HTTP 429", provider="p", status=429, retry_after_s=self._wish_s)
        return Completion(output="", model=call.model, provider="p")

    async def aclose(self) -> None:
        pass


def route_of(
    is_waited_for: bool = False,
    on_timeout: Literal["next", "retry"] = "next",
    **providers: LLMProvider,
) -> Callable[[str], asyncio.Task[Completion]]:
    """Return what begins the call of a record at these targets, in order."""
    settings = Settings(
        providers={name: ProviderSettings(kind="offline") for name in providers},
        models={
            "default": ModelSettings(
                targets=[f"{name}/m" for name in providers], on_timeout=on_timeout
            )
        },
    )
    routed = Routes(settings, providers, clock=virtual_clock, sleep=asyncio.sleep, rng=Random(1))

    def begin(text: str) -> asyncio.Task[Completion]:
        deadline = Deadline(90.0, virtual_clock, is_waited_for=is_waited_for)
        call = chat(text, deadline=deadline)
        return asyncio.create_task(routed.resolve(None).complete(call))

    return begin


@pytest.mark.parametrize("wish_s", [None, 1.0, 1e9], ids=["no wish", "a second", "absurd"])
@pytest.mark.parametrize("count", [1, 3])
def test_records_are_held_while_all_is_refused(count: int, wish_s: float | None) -> None:
    """However few there are: that one was refused ten times says nothing of it where all are."""

    async def main() -> None:
        provider = Refusing(virtual_clock() + 3600, wish_s=wish_s)
        begin = route_of(p=provider)
        calls = [begin(str(number)) for number in range(count)]

        await asyncio.gather(*calls)

        assert virtual_clock() < 3600 + 65

    run_virtually(main())


def test_record_is_held_while_all_targets_refuse() -> None:
    """It is answered by the one that is back first."""

    async def main() -> None:
        first, second = Refusing(virtual_clock() + 7200), Refusing(virtual_clock() + 3600)
        call = route_of(first=first, second=second)("hello")

        await call

        assert 3600 < virtual_clock() < 3600 + 10

    run_virtually(main())


@pytest.mark.parametrize("every_s", [5.0, 20.0, 70.0, 300.0])
@pytest.mark.parametrize("count", [3, 40])
def test_no_record_is_given_up_for_a_tight_limit(count: int, every_s: float) -> None:
    """Each is answered, however often it was refused: others were, too.

    With ten refusals for each, up to half of them were given up.
    """

    async def main() -> None:
        begin = route_of(p=Tight(every_s))

        await asyncio.gather(*(begin(str(number)) for number in range(count)))

        assert virtual_clock() < every_s * count * 1.5 + 120

    run_virtually(main())


@pytest.mark.parametrize(
    "others",
    [{}, {"down": Overloaded(0, 1)}],
    ids=["one target", "another one that is down"],
)
def test_caller_who_waits_is_told_of_the_limit(others: dict[str, Overloaded]) -> None:
    """He can come again himself, and is not held."""

    async def main() -> None:
        refusing = Refusing(virtual_clock() + 3600)
        begin = route_of(is_waited_for=True, on_timeout="retry", p=refusing, **others)

        with pytest.raises(RetriesExhausted):
            await begin("hello")

        assert virtual_clock() < 120

    run_virtually(main())


@pytest.mark.parametrize(("refusing_s", "failing_s"), [(60, 20), (30, 30), (5, 5)])
def test_refusals_and_failures_are_counted_apart(refusing_s: float, failing_s: float) -> None:
    """Nine refusals and a failure are no ten failures."""

    async def main() -> None:
        await route_of(p=Overloaded(refusing_s, failing_s))("hello")

    run_virtually(main())


class SlowOnce(FakeProvider):
    """A provider that does not answer its first call in time."""

    async def complete(self, call: Call) -> Completion:
        completion = await super().complete(call)
        if len(self.history) == 1:
            raise ProviderTimeout("slow", provider="first")
        return completion


def test_target_that_was_slow_once_is_asked_again_where_the_next_one_is_limited() -> None:
    """It was left at its first timeout, for one that refuses all."""

    async def main() -> None:
        begin = route_of(first=SlowOnce("first"), second=Refusing(virtual_clock() + 3600))

        assert (await begin("hello")).provider == "first"

    run_virtually(main())


class Garbling(FakeProvider):
    """A provider that answers odd records, and for so long all, with no completion."""

    def __init__(self, name: str, *, until: float = 0.0) -> None:
        super().__init__(name)
        self._until = until

    async def complete(self, call: Call) -> Completion:
        await asyncio.sleep(0.2)
        if virtual_clock() < self._until or str(call.messages[0]["content"]) == ODD:
            raise GarbledAnswer("no completion", provider="p", status=200)
        return await super().complete(call)


def test_backlog_is_held_while_no_answer_is_a_completion() -> None:
    """But for what failed before that was seen: three calls each made dead letters of all."""

    async def main() -> int:
        begin = route_of(p=Garbling("p", until=60))
        numbers, failed = iter(range(1000)), 0

        async def work() -> None:
            nonlocal failed
            for number in numbers:
                try:
                    await begin(str(number))
                except RetriesExhausted:
                    failed += 1

        await asyncio.gather(*(work() for _ in range(64)))
        assert virtual_clock() > 60
        return failed

    assert run_virtually(main()) < 300


def test_records_that_are_never_completed_hold_few_others() -> None:
    """They are not taken for a target that is down again and again, however many they are."""

    async def main() -> int:
        begin = route_of(p=Garbling("p"))
        odd: list[asyncio.Task[Completion]] = []

        async def took_s() -> float:
            begun = virtual_clock()
            await begin("other")
            return virtual_clock() - begun

        others: list[asyncio.Task[float]] = []
        while virtual_clock() < 600:
            for _ in range(25):
                odd.append(begin(ODD))
                await asyncio.sleep(0.4)
            others.append(asyncio.create_task(took_s()))
        late = sum(took > 1 for took in await asyncio.gather(*others))
        await asyncio.gather(*odd, return_exceptions=True)
        return late

    assert run_virtually(main()) < 5


@pytest.mark.parametrize(("every_s", "odd_every_s"), [(10, 60), (2, 20), (60, 600)])
def test_records_that_are_refused_do_not_pile_up(every_s: float, odd_every_s: float) -> None:
    """They bear no witness for one another, and use up nobody else's turns for long."""

    async def main() -> None:
        begin = route_of(p=Refusing())
        odd: list[asyncio.Task[Completion]] = []
        others: list[asyncio.Task[Completion]] = []

        async def arrive(records: list[asyncio.Task[Completion]], text: str, gap: float) -> None:
            while virtual_clock() < 7200:
                records.append(begin(f"{text} {len(records)}"))
                await asyncio.sleep(gap)

        await asyncio.gather(arrive(odd, ODD, odd_every_s), arrive(others, "other", every_s))

        assert sum(not call.done() for call in odd) <= 5
        assert sum(not call.done() for call in others) <= 5
        for call in odd:
            call.cancel()
        await asyncio.gather(*odd, *others, return_exceptions=True)

    run_virtually(main())


@pytest.mark.parametrize(("odd", "every_s"), [(1, 1.0), (1, 30.0), (1, 600.0), (5, 1.0), (5, 30.0)])
def test_record_that_alone_is_refused_is_given_up(odd: int, every_s: float) -> None:
    """It is no outage where others are answered, however seldom those come."""

    async def main() -> None:
        begin = route_of(p=Refusing())
        refused = [begin(f"{ODD}{number}") for number in range(odd)]
        others, took_s = 0, 0.0
        while not all(call.done() for call in refused):
            assert others < 1000
            began = virtual_clock()
            await begin(f"other {others}")
            took_s = max(took_s, virtual_clock() - began)
            others += 1
            await asyncio.sleep(every_s)

        for call in refused:
            error = call.exception()
            assert isinstance(error, RetriesExhausted)
            assert "429" in str(error)
        assert took_s < 40

    run_virtually(main())
