"""Answers that break off after a part of them was passed on for good."""

import asyncio
from typing import Any

import pytest

from streamapp.errors import (
    AnswerBroken,
    ContentFiltered,
    ContextLengthExceeded,
    Kind,
    ParameterRefused,
    PartSent,
    ProviderDenied,
    ProviderError,
)
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.billing import Bill
from streamapp.llm.costs.prices import prices_of
from streamapp.llm.routing.economy import Economy
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from streamapp.web.events import ChunksSent
from tests.fakes import FakeProvider, TakenChunks
from tests.support.waiting import until
from tests.unit.llm.calls import LABELS, chat, garbled, late, rate_limited, reset, unavailable


class Breaking(FakeProvider):
    """Writes a text, then raises what was enqueued for the call; writes a whole one for None."""

    def __init__(self, name: str, *ends: ProviderError | None) -> None:
        super().__init__(name)
        self.ends = [*ends]
        self.gate = asyncio.Event()
        self.gate.set()

    async def complete(self, call: Call) -> Completion:
        end = self.ends.pop(0) if self.ends else None
        if end is None:
            return await super().complete(call)
        self.history.append(call)
        if call.chunks:
            await call.chunks.begin()
            await call.chunks.add("one ")
        if not self.gate.is_set():
            await self.gate.wait()
        raise end


class Sent(ChunksSent):
    """Keeps what it sends."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        super().__init__(self._keep)

    async def _keep(self, text: str) -> None:
        self.texts.append(text)


class Desk:
    """A route with two targets, and what is paid for there."""

    def __init__(self, *ends: ProviderError | None) -> None:
        self.first, self.second = Breaking("a", *ends), Breaking("b")
        self.bills: list[Bill] = []
        default = ModelSettings(
            targets=["a/m1", "b/m2"], context_length=["b/long"], content_filter=["b/free"]
        )
        settings = Settings(
            providers={name: ProviderSettings(kind="offline") for name in "ab"},
            models={"default": default},
        )
        self.routes = Routes(
            settings,
            {"a": self.first, "b": self.second},
            economy=Economy(prices=prices_of(settings), payers=[self.bills.append]),
            sleep=lambda seconds: asyncio.sleep(0),
        )

    async def ask(self, chunks: Any, **fields: Any) -> Completion:
        return await self.routes.resolve(None).complete(chat(chunks=chunks, **fields))

    @property
    def asked(self) -> tuple[int, int]:
        return len(self.first.history), len(self.second.history)


FAILURES: Any = [
    AnswerBroken("a: broke off", provider="a"),
    reset(),
    unavailable(),
    late(),
    rate_limited(),
    garbled(),
    ProviderDenied("a: the key", provider="a", status=401),
    ContentFiltered("a: withheld", provider="a"),
    ContextLengthExceeded("a: too long", provider="a"),
    ParameterRefused("a: seed", provider="a"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
async def test_nobody_is_asked_again(failure: ProviderError) -> None:
    """Whatever ends the attempt ends the call: another answer could not be used, but is paid."""
    desk, sent = Desk(failure), Sent()

    with pytest.raises(PartSent) as caught:
        await desk.ask(sent)

    assert str(caught.value) == (
        f"the answer broke off at a/m1 after a part of it was sent: {failure}"
    )
    assert caught.value.kind is failure.kind
    assert (caught.value.attempts, caught.value.paid) == (1, int(failure.is_paid))
    assert (desk.asked, sent.texts, len(desk.bills)) == ((1, 0), ["one "], int(failure.is_paid))


async def test_failures_are_those_of_the_target_that_had_them() -> None:
    """Five in a row take it for down, and no other one; then the other one is asked."""
    desk = Desk(*(unavailable() for _ in range(5)))

    for _ in range(5):
        with pytest.raises(PartSent):
            await desk.ask(Sent())
    down = [name for name, state in desk.routes.breaker_states().items() if state]
    answer = await desk.ask(Sent())

    assert (down, answer.provider) == (["a"], "b")


async def test_attempts_before_the_first_text_are_counted() -> None:
    """Up to there the call is asked again as any other one."""
    desk = Desk(None, garbled())
    desk.first.enqueue(garbled())

    with pytest.raises(PartSent, match="broke off at a/m1") as caught:
        await desk.ask(Sent())

    assert (caught.value.attempts, caught.value.paid) == (2, 2)
    assert desk.asked == (2, 0)


async def test_attempts_at_earlier_targets_are_counted() -> None:
    """The one whose text was sent is named, and is not the first one here."""
    desk = Desk()
    desk.first.enqueue(ProviderDenied("a: the key", provider="a", status=401))
    desk.second.ends.append(garbled())

    with pytest.raises(PartSent, match="broke off at b/m2") as caught:
        await desk.ask(Sent())

    assert (caught.value.attempts, caught.value.paid) == (2, 1)
    assert desk.asked == (1, 1)


async def test_taker_that_takes_back_has_another_answer() -> None:
    """Chunks on Kafka begin anew, at the next target."""
    desk, taken = Desk(ContentFiltered("a: withheld", provider="a")), TakenChunks()

    answer = await desk.ask(taken)

    assert (answer.provider, taken.begun, taken.texts) == ("b", 2, ["answer to: hello"])


async def test_answer_that_was_sent_and_does_not_fit_is_not_asked_for_again() -> None:
    """A corrected one could not be sent."""
    desk, sent = Desk(), Sent()
    desk.first.enqueue("no label", '{"label": "good"}')

    with pytest.raises(
        PartSent, match="was sent, and does not fit the schema: there is no JSON"
    ) as (caught):
        await desk.ask(sent, output_schema=LABELS)

    assert (caught.value.kind, caught.value.attempts) == (Kind.OUTPUT_INVALID, 1)
    assert (desk.asked, sent.texts) == ((1, 0), ["no label"])


@pytest.mark.parametrize("is_first_gone", [False, True], ids=["waits", "left"])
async def test_equal_call_of_another_caller_is_answered(is_first_gone: bool) -> None:
    """What was sent to one caller is no matter of those who share its call."""
    desk, sent = Desk(garbled()), Sent()
    desk.first.gate.clear()
    first = asyncio.create_task(desk.ask(sent))
    await until(lambda: sent.texts, 5)
    others = [asyncio.create_task(desk.ask(Sent())) for _ in range(2)]
    await asyncio.sleep(0)
    if is_first_gone:
        first.cancel()
        await asyncio.wait([first])
    desk.first.gate.set()

    answers = await asyncio.gather(*others)

    assert [answer.output for answer in answers] == ["answer to: hello"] * 2
    assert desk.asked == (2, 0)
    if not is_first_gone:
        with pytest.raises(PartSent, match="broke off at a/m1"):
            await first
