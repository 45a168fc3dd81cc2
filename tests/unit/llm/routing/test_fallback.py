"""Which target answers, and how calls wait while none can."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from streamapp.errors import (
    AllProvidersFailed,
    ContentFiltered,
    ContextLengthExceeded,
    Failure,
    ProviderDenied,
    ProviderForbidden,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RetriesExhausted,
    TooLarge,
)
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.routing.retry import RetryLimits
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeClock, FakeProvider
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat, rate_limited, unavailable

TOO_LONG = ContextLengthExceeded("fake: too long", provider="fake")
FILTERED = ContentFiltered("fake: filtered", provider="fake")
DENIED = ProviderDenied("fake: HTTP 401", provider="fake")
NAMES = ("one", "two", "big", "free")


@pytest.fixture
def fakes() -> dict[str, FakeProvider]:
    """Two providers in order, one for long inputs, one without a filter."""
    return {name: FakeProvider(name) for name in NAMES}


def routes(
    fakes: Any,
    *,
    targets: Sequence[str] = ("one/a", "two/b"),
    on_timeout: Any = "next",
    timeout_s: float | None = None,
    **fields: Any,
) -> Routes:
    model = ModelSettings(
        targets=list(targets),
        context_length=["big/c"],
        content_filter=["free/d"],
        on_timeout=on_timeout,
    )
    offline = ProviderSettings(kind="offline", timeout_s=timeout_s)
    settings = Settings(
        providers=dict.fromkeys(fakes, offline),
        models={"default": model},
    )
    clock = FakeClock()
    fields = (
        dict[str, Any]()
        | {"clock": clock, "sleep": clock.sleep, "limits": RetryLimits(attempts=2)}
        | fields
    )
    return Routes(settings, fakes, **fields)


async def ask(routed: Routes, call: Call | None = None) -> Completion:
    return await routed.resolve(None).complete(call or chat(deadline_s=1e4))


@pytest.mark.parametrize(
    ("errors", "answers", "attempts"),
    [
        ([], ("one", "a"), 1),
        ([unavailable(), unavailable()], ("two", "b"), 3),
        ([DENIED], ("two", "b"), 2),
        ([unavailable(retryable=False)], ("two", "b"), 2),
        ([TOO_LONG], ("big", "c"), 2),
        ([FILTERED], ("free", "d"), 2),
    ],
    ids=["first", "exhausted", "denied", "not-retryable", "context-length", "content-filter"],
)
async def test_error_decides_who_answers(
    errors: list[Exception],
    answers: tuple[str, str],
    attempts: int,
    fakes: dict[str, FakeProvider],
) -> None:
    """The next target answers, or the one for this kind of error; the answer says who it was."""
    fakes["one"].enqueue(*errors)
    call = chat(deadline_s=1e4)

    completion = await ask(routes(fakes), call)

    assert (completion.provider, completion.model) == answers
    assert completion.attempts == attempts
    assert call.deadline.trouble == ""  # it is overcome


@pytest.mark.parametrize(
    "error",
    [ProviderRejected("fake: HTTP 400", provider="fake"), TooLarge("fake: too long an answer")],
    ids=lambda error: type(error).__name__,
)
async def test_error_of_the_record_ends_it(error: Failure, fakes: dict[str, FakeProvider]) -> None:
    """What no target can do better is not tried elsewhere."""
    fakes["one"].enqueue(error)

    with pytest.raises(type(error)):
        await ask(routes(fakes))

    assert not fakes["two"].history


@pytest.mark.parametrize(("error", "other"), [(TOO_LONG, "big"), (FILTERED, "free")])
async def test_special_target_is_asked_once(
    error: Failure, other: str, fakes: dict[str, FakeProvider]
) -> None:
    """Where the special target refuses too, the record ends with that, all attempts counted."""
    fakes["one"].enqueue(error)
    fakes[other].enqueue(FILTERED if error is TOO_LONG else TOO_LONG)

    with pytest.raises((ContentFiltered, ContextLengthExceeded)) as caught:
        await ask(routes(fakes))

    assert caught.value.attempts == 2


async def test_all_targets_failed(fakes: dict[str, FakeProvider]) -> None:
    """When the last target fails as well, the record ends, with its error and all attempts."""
    for name in ("one", "two"):
        fakes[name].enqueue(unavailable(), unavailable())

    with pytest.raises(AllProvidersFailed, match="all 2 targets") as caught:
        await ask(routes(fakes))

    assert caught.value.attempts == 4
    assert isinstance(caught.value.__cause__, RetriesExhausted)


@pytest.mark.parametrize(("down", "fails"), [("one", "two"), ("two", "one")], ids=["one", "two"])
async def test_target_that_was_not_asked_is_no_target_that_failed(
    down: str, fails: str, fakes: dict[str, FakeProvider]
) -> None:
    """The error says which one was taken for down, and what the one that was asked ended with."""
    routed = routes(fakes, limits=RetryLimits(attempts=2, initial_s=0.0))  # no time for a probe
    fakes[down].enqueue(DENIED)
    for _ in range(2):  # the first time, a key is refused, which opens a breaker
        fakes[fails].enqueue(unavailable(), unavailable())
        with pytest.raises(AllProvidersFailed) as caught:
            await ask(routed)

    target = {"one": "one/a", "two": "two/b"}[down]
    told = f"1 of 2 targets failed; {target} was not asked: taken for down; the last one: "
    assert str(caught.value) == f"{told}{caught.value.__cause__}"
    assert isinstance(caught.value.__cause__, RetriesExhausted)


async def test_open_target_is_passed_over(fakes: dict[str, FakeProvider]) -> None:
    """A target that is down costs no attempt; it is named as impaired."""
    fakes["one"].enqueue(DENIED)
    routed = routes(fakes)
    await ask(routed)

    completion = await ask(routed)

    assert (completion.provider, completion.attempts) == ("two", 1)
    assert routed.impaired() == ["one/a"]


def test_burst_behind_an_outage_does_not_wait_for_the_first_target() -> None:
    """Two calls probe it, though it is back; the others are the next one's at once."""

    async def main() -> None:
        one, two = Outage(down=(0.0, 1.0)), Outage(down=(0.0, 0.0))
        fakes = {"one": one, "two": two, "big": two, "free": two}
        routed = routes(fakes, limits=None, clock=virtual_clock, sleep=asyncio.sleep)
        await asyncio.gather(*(ask(routed) for _ in range(5)))
        await asyncio.sleep(30)
        began = virtual_clock()

        await asyncio.gather(*(ask(routed) for _ in range(40)))
        await ask(routed)

        assert [sum(at == began for at in calls) for calls in (one.calls, two.calls)] == [2, 38]
        assert one.calls[-1] > began

    run_virtually(main())


@pytest.mark.parametrize("targets", [["one/a"], ["one/a", "two/b"]], ids=["one", "two"])
async def test_caller_who_waits_is_told_at_once_of_a_refused_key(
    fakes: dict[str, FakeProvider], targets: Sequence[str]
) -> None:
    """Nobody who waits is held while an operator has to act: also not while a breaker is open."""
    for name in ("one", "two"):
        fakes[name].enqueue(*[DENIED] * 9)
    routed = routes(fakes, targets=targets)

    for _ in range(3):
        call = chat(deadline=Deadline(1e4, FakeClock(), is_waited_for=True))
        with pytest.raises(Failure, match="HTTP 401") as caught:
            await ask(routed, call)

    assert caught.value.kind == "retries_exhausted"
    assert len(fakes["one"].history) == 1


async def test_caller_who_waits_is_held_over_an_outage(fakes: dict[str, FakeProvider]) -> None:
    """What may come back by itself is waited for."""
    fakes["one"].enqueue(*[unavailable()] * 6)

    completion = await ask(
        routes(fakes, targets=["one/a"], limits=RetryLimits(attempts=5)),
        chat(deadline=Deadline(1e4, FakeClock(), is_waited_for=True)),
    )

    assert completion.provider == "one"


class Outage:
    """A provider in virtual time that is down for a while: it refuses, or swallows calls."""

    def __init__(self, *, down: tuple[float, float], hangs_s: float = 0.0) -> None:
        self.calls: list[float] = []
        self._down = down
        self._hangs_s = hangs_s

    async def complete(self, call: Call) -> Completion:
        begun = virtual_clock()
        self.calls.append(begun)
        await asyncio.sleep(0.01)
        if self._down[0] <= begun < self._down[1]:
            await asyncio.sleep(self._hangs_s)
            raise ProviderUnavailable("fake: HTTP 503", provider="fake", status=503)
        await asyncio.sleep(0.19)
        return Completion(output="", model="m", provider="fake")

    async def aclose(self) -> None:
        pass


@pytest.mark.timeout(240)  # an hour of virtual time, which is seconds of computing
@pytest.mark.parametrize("hangs_s", [0.0, 60.0], ids=["refuses", "hangs"])
def test_outage_of_the_only_target_is_waited_out(hangs_s: float) -> None:
    """Nothing is lost in an outage; few calls ask, and all goes on within 10 s of its end."""
    down = (5.0, 65.0)

    async def main() -> tuple[Outage, list[float], list[Completion]]:
        outage = Outage(down=down, hangs_s=hangs_s)
        routed = routes(
            {"one": outage, **dict.fromkeys(NAMES[1:], outage)},
            targets=["one/a"],
            limits=None,
            clock=virtual_clock,
            sleep=asyncio.sleep,
        )
        numbers, ended, answers = iter(range(20_000)), [], []

        async def work() -> None:
            for _ in numbers:
                answers.append(await ask(routed, chat(deadline=Deadline(90, virtual_clock))))
                ended.append(virtual_clock())

        await asyncio.gather(*[work() for _ in range(256)])
        assert routed.impaired() == []
        return outage, ended, answers

    outage, ended, answers = run_virtually(main())
    assert len(answers) == 20_000
    before = [at for at in outage.calls if down[0] <= at < down[0] + 1]
    asked = [at for at in outage.calls if down[0] + 1 <= at < down[1]]
    assert len(before) <= 2 * 256
    assert len(asked) <= 2 * 60 / 4 + 6
    resumed = [at for at in ended if down[1] <= at < down[1] + 10]
    assert min(resumed) < down[1] + 5
    assert len([at for at in ended if down[1] + 9 <= at < down[1] + 10]) > 1_000


def test_held_call_has_its_whole_time_again() -> None:
    """However long an outage swallows a record's attempts, it costs nothing of its deadline."""

    async def main() -> list[Completion]:
        outage = Outage(down=(0, 600), hangs_s=40)
        routed = routes(
            {"one": outage, **dict.fromkeys(NAMES[1:], outage)},
            targets=["one/a"],
            limits=None,
            clock=virtual_clock,
            sleep=asyncio.sleep,
        )
        calls = [ask(routed, chat(deadline=Deadline(90, virtual_clock))) for _ in range(8)]
        return await asyncio.gather(*calls)

    assert max(answer.attempts for answer in run_virtually(main())) > 3


class Fragile(FakeProvider):
    """A provider that one question makes fail, every time."""

    async def complete(self, call: Call) -> Completion:
        await asyncio.sleep(0.01)
        if call.messages[0]["content"] == "poison":
            raise unavailable()
        return await super().complete(call)


def test_call_that_makes_its_provider_fail_is_given_up() -> None:
    """Where others are answered in between it is no outage: one dead letter, and all others."""

    async def main() -> list[Any]:
        fragile = Fragile("one")
        routed = routes(
            dict.fromkeys(NAMES, fragile),
            targets=["one/a"],
            limits=None,
            clock=virtual_clock,
            sleep=asyncio.sleep,
            rng=Random(1),
        )
        calls = []
        for text in ("poison", "fine", "fine", "fine"):
            call = chat(text, deadline=Deadline(90, virtual_clock))
            calls.append(asyncio.create_task(ask(routed, call)))
            await asyncio.sleep(60)
        for task in calls:
            task.cancel()
        return await asyncio.gather(*calls, return_exceptions=True)

    poison, *fine = run_virtually(main())
    assert type(poison) is RetriesExhausted
    assert poison.attempts >= 15
    assert [type(answer) for answer in fine] == [Completion] * 3


def test_held_call_can_be_cancelled() -> None:
    """A call that is held ends when it is cancelled, and the others go on."""

    async def main() -> list[Any]:
        outage = Outage(down=(0, 20))
        routed = routes(
            {"one": outage, **dict.fromkeys(NAMES[1:], outage)},
            targets=["one/a"],
            limits=None,
            clock=virtual_clock,
            sleep=asyncio.sleep,
        )
        calls = [asyncio.create_task(ask(routed)) for _ in range(10)]
        await asyncio.sleep(10)
        for call in calls[:5]:
            call.cancel()
        return await asyncio.gather(*calls, return_exceptions=True)

    ends = run_virtually(main())
    assert [type(end) for end in ends] == [asyncio.CancelledError] * 5 + [Completion] * 5


@pytest.mark.parametrize("field", ["targets", "context_length", "content_filter"])
def test_special_targets_are_checked(field: str) -> None:
    """Every kind of target must name a configured provider."""
    fields = {"targets": ["one/a"], field: ["nowhere/x"]}

    with pytest.raises(ValueError, match="nowhere/x"):
        Settings(
            providers={"one": ProviderSettings(kind="offline")},
            models={"default": ModelSettings(**fields)},
        )


def late() -> ProviderTimeout:
    error = ProviderTimeout("fake: no complete answer within 60.00 s", provider="fake")
    error.is_paid = True
    return error


@pytest.mark.parametrize("error", [late(), rate_limited(30)], ids=["timeout", "429"])
async def test_next_target_is_asked_after_the_first(
    error: Failure, fakes: dict[str, FakeProvider]
) -> None:
    """With another target left, a timeout or 429 is not tried again and not waited for."""
    fakes["one"].enqueue(error)
    clock = FakeClock()

    completion = await ask(routes(fakes, clock=clock, sleep=clock.sleep))

    assert (completion.provider, completion.attempts) == ("two", 2)
    assert clock.slept == []


@pytest.mark.parametrize("error", [late(), rate_limited(30)], ids=["timeout", "429"])
async def test_first_target_is_asked_again_where_that_is_wanted(
    error: Failure, fakes: dict[str, FakeProvider]
) -> None:
    """With `on_timeout = "retry"` the first target has all its attempts first."""
    fakes["one"].enqueue(error)

    completion = await ask(routes(fakes, on_timeout="retry"))

    assert (completion.provider, completion.attempts) == ("one", 2)


async def test_refusal_is_waited_for_where_no_other_answers(fakes: dict[str, FakeProvider]) -> None:
    """A 429 that was left early ends no record while the other target is down."""
    fakes["one"].enqueue(rate_limited())
    fakes["two"].enqueue(unavailable(), unavailable())

    completion = await ask(routes(fakes))

    assert (completion.provider, completion.attempts) == ("one", 4)


async def test_last_target_is_patient(fakes: dict[str, FakeProvider]) -> None:
    """Nothing is left after the last target: it is asked again after a 429."""
    fakes["one"].enqueue(unavailable(), unavailable())
    fakes["two"].enqueue(rate_limited())

    completion = await ask(routes(fakes))

    assert (completion.provider, completion.attempts) == ("two", 4)


class Slow:
    """A provider in virtual time that answers later than anybody waits for."""

    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s
        self.begun = 0

    async def complete(self, call: Call) -> Completion:
        self.begun += 1
        await asyncio.sleep(self.latency_s)
        return Completion(output="", model="m", provider="slow")

    async def aclose(self) -> None:
        pass


def virtual_routes(providers: Any, **fields: Any) -> Routes:
    return routes(providers, limits=None, clock=virtual_clock, sleep=asyncio.sleep, **fields)


@pytest.mark.parametrize("timeout_s", [60.0, 300.0])
@pytest.mark.parametrize("on_timeout", ["next", "retry"])
def test_share_of_the_deadline_is_kept_for_the_next(on_timeout: str, timeout_s: float) -> None:
    """A first target that hangs leaves a third of the deadline to the healthy one after it."""

    async def main() -> tuple[Completion, float]:
        providers: dict[str, Any] = {name: Slow(0.5) for name in NAMES} | {"one": Slow(1e6)}
        routed = virtual_routes(providers, on_timeout=on_timeout, timeout_s=timeout_s)
        completion = await ask(routed, chat(deadline=Deadline(90, virtual_clock)))
        return completion, virtual_clock()

    completion, passed_s = run_virtually(main())
    assert completion.provider == "slow"
    assert 60 <= passed_s <= 61


def test_model_slower_than_its_timeout_ends() -> None:
    """Eight records for a model that never answers in time: few calls, and a dead letter each."""

    async def main() -> tuple[int, list[Any], float]:
        slow = Slow(1e6)
        routed = virtual_routes(dict.fromkeys(NAMES, slow), targets=["one/a"], timeout_s=5)
        calls = [ask(routed, chat(deadline=Deadline(90, virtual_clock))) for _ in range(8)]
        ends = await asyncio.gather(*calls, return_exceptions=True)
        return slow.begun, ends, virtual_clock()

    begun, ends, passed_s = run_virtually(main())
    assert {type(end) for end in ends} == {RetriesExhausted}
    assert begun == 8 * 3
    assert passed_s < 300


class Choosy(FakeProvider):
    """A provider that refuses some questions with a 403, and all of them once its key is gone.

    With status 400 the refusal is one that may quote the record, with 200 it is a web page.
    """

    def __init__(self, name: str, *, status: int = 403) -> None:
        super().__init__(name)
        self.has_key = True
        self.status = status

    async def complete(self, call: Call) -> Completion:
        await asyncio.sleep(0.2)
        if not self.has_key or call.messages[0]["content"] == "refused":
            self.history.append(call)
            error = ProviderForbidden("one: refused", provider="one", status=self.status)
            error.is_quote = self.status == 400
            raise error
        return await super().complete(call)


def choosy_routes(provider: Choosy) -> Routes:
    return routes(
        {**dict.fromkeys(NAMES, provider), "free": FakeProvider("free")},
        targets=["one/a"],
        limits=None,
        clock=virtual_clock,
        sleep=asyncio.sleep,
        rng=Random(1),
    )


async def timed(routed: Routes, texts: Sequence[str], *, at_once: int) -> tuple[list[Any], float]:
    """Return what became of each text, and how long it took all that are not refused."""
    ends: dict[int, Any] = {}
    numbers, last = iter(range(len(texts))), 0.0

    async def work() -> None:
        nonlocal last
        for number in numbers:
            call = chat(texts[number], deadline=Deadline(90, virtual_clock))
            try:
                ends[number] = await ask(routed, call)
            except Failure as failure:
                ends[number] = failure
            else:
                last = virtual_clock()

    begun = virtual_clock()
    await asyncio.gather(*[work() for _ in range(at_once)])
    return [ends[number] for number in range(len(texts))], last - begun


def test_record_that_is_refused_by_itself_is_filtered() -> None:
    """A record that is refused while others are answered is a policy's; the others lose no time."""

    async def main(texts: Sequence[str]) -> tuple[list[Any], float, int]:
        provider = Choosy("one")
        routed = choosy_routes(provider)
        ends, took_s = await timed(routed, texts, at_once=32)
        assert routed.impaired() == []
        return ends, took_s, len(provider.history)

    texts = ["fine"] * 800
    for number in range(8):
        texts[number * 50 + 25] = "refused"
    ends, took_s, calls = run_virtually(main(texts))
    _, without_s, _ = run_virtually(main(["fine"] * 792))

    answered_by = [(text, end.provider) for end, text in zip(ends, texts, strict=True)]
    assert set(answered_by) == {("fine", "one"), ("refused", "free")}
    assert calls == 792 + 8 * 3
    assert took_s <= 1.1 * without_s


@pytest.mark.parametrize("status", [400, 429, 200], ids=["quoted", "final-429", "web page"])
def test_record_that_is_refused_alone_is_rejected(status: int) -> None:
    """A 400 in its own words, or a 429 that is not to be tried again, opens nothing for others."""

    async def main() -> tuple[list[Any], list[str]]:
        routed = choosy_routes(Choosy("one", status=status))
        texts = ["refused", *["fine"] * 40, "refused", *["fine"] * 40]
        ends, _ = await timed(routed, texts, at_once=4)
        return ends, list(routed.impaired())

    ends, impaired = run_virtually(main())

    assert impaired == []
    rejected = [str(end) for end in ends if type(end) is ProviderRejected]
    assert rejected == ["one: refused; only this record is refused"] * 2
    assert [type(end) for end in ends].count(Completion) == 80


def test_record_that_an_error_quotes_opens_nothing_alone() -> None:
    """Before anybody was answered, one record's own words are no evidence either."""

    async def main() -> tuple[list[Any], list[str], int]:
        provider = Choosy("one", status=400)
        routed = choosy_routes(provider)
        ends, _ = await timed(routed, ["refused"], at_once=1)
        return ends, list(routed.impaired()), len(provider.history)

    ends, impaired, asked = run_virtually(main())

    assert impaired == []
    assert [type(end) for end in ends] == [ProviderRejected]
    assert asked == 5


@pytest.mark.parametrize("count", [1, 3])
def test_few_records_are_held_where_a_web_page_answers(count: int) -> None:
    """As of a proxy in the way: that nobody is answered says nothing of a record."""

    async def main() -> list[Any]:
        provider = Choosy("one", status=200)
        routed = choosy_routes(provider)
        await timed(routed, ["fine"] * 10, at_once=2)
        provider.has_key = False
        held = asyncio.create_task(timed(routed, ["fine"] * count, at_once=count))
        await asyncio.sleep(600)
        assert routed.impaired() == ["one/a"]
        provider.has_key = True
        return (await held)[0]

    assert {type(end) for end in run_virtually(main())} == {Completion}


@pytest.mark.parametrize(
    "status", [403, 400, 429, 200], ids=["forbidden", "quoted", "final-429", "web page"]
)
def test_key_that_is_gone_is_no_policy(status: int) -> None:
    """Where nobody is answered any more, records are held, and none is given up."""

    async def main() -> tuple[list[Any], list[str], int]:
        provider = Choosy("one", status=status)
        routed = choosy_routes(provider)
        await timed(routed, ["fine"] * 10, at_once=2)
        provider.has_key = False
        held = asyncio.create_task(timed(routed, ["fine"] * 20, at_once=20))
        await asyncio.sleep(60)
        impaired, asked = routed.impaired(), len(provider.history)
        provider.has_key = True
        ends, _ = await held
        return ends, list(impaired), asked

    ends, impaired, asked = run_virtually(main())
    assert impaired == ["one/a"]
    assert {type(end) for end in ends} == {Completion}
    assert asked < 10 + 20 * 2 + 60


@pytest.mark.parametrize("status", [403, 429])
async def test_target_that_never_answered_is_closed_to_all(
    status: int, fakes: dict[str, FakeProvider]
) -> None:
    """A first 403 is of the account: nothing says that others are answered; so is a final 429."""
    fakes["one"].enqueue(ProviderForbidden("one: refused", provider="one", status=status))
    routed = routes(fakes)

    completion = await ask(routed)

    assert completion.provider == "two"
    assert routed.impaired() == ["one/a"]


@pytest.mark.parametrize("per_s", [50.0, 1e6], ids=["50-per-s", "at-once"])
def test_calls_that_wait_for_a_target_leave_it_when_it_is_down(per_s: float) -> None:
    """More calls than a hanging target takes at once: each costs one timeout at most."""

    async def main() -> tuple[int, list[float]]:
        first, waits = Slow(1e6), []
        providers: dict[str, Any] = {name: Slow(0.5) for name in NAMES} | {"one": first}
        routed = virtual_routes(providers, timeout_s=2.0)

        async def answered(number: int) -> None:
            await asyncio.sleep(number / per_s)
            begun = virtual_clock()
            await ask(routed, chat(deadline=Deadline(90, virtual_clock)))
            waits.append(virtual_clock() - begun)

        await asyncio.gather(*map(answered, range(100)))
        return first.begun, waits

    begun, waits = run_virtually(main())
    assert begun <= 64
    assert max(waits) <= 2.0 + 0.5 + 0.1


def test_calls_wait_for_a_target_that_answers() -> None:
    """A place among many calls is waited for, however long, while others are answered."""

    async def main() -> int:
        first = Slow(1.9)
        providers: dict[str, Any] = {name: Slow(0.5) for name in NAMES} | {"one": first}
        routed = virtual_routes(providers, timeout_s=2.0)

        async def answered(number: int) -> None:
            await asyncio.sleep(number / 50)
            await ask(routed, chat(deadline=Deadline(90, virtual_clock)))

        await asyncio.gather(*map(answered, range(300)))
        return first.begun

    assert run_virtually(main()) > 200
