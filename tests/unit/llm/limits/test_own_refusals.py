"""One record that is refused for its own sake holds no others, and teaches nothing of them."""

import asyncio
from dataclasses import dataclass, replace
from random import Random

import pytest

from streamapp.errors import Failure, RateHints, RateLimited
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.limits.own_refusals import OwnRefusals
from streamapp.llm.routing.retry import Retrying
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat
from tests.unit.llm.limits.test_limiter import Server, limited

WISH_S = 60.0


@dataclass
class Choosy(Server):
    """Refuses one record each time, and wants to be left alone for a minute."""

    async def complete(self, call: Call) -> Completion:
        if call.messages[0]["content"] == "odd":
            self.refused.append(virtual_clock())
            raise RateLimited("too many tokens", provider="p", retry_after_s=WISH_S)
        return await super().complete(call)


def test_record_that_is_refused_each_time_pauses_others_once() -> None:
    """Ten refusals with a wish of a minute cost the others one minute, not ten."""

    async def main() -> tuple[list[float], int]:
        server = Choosy()
        policy, _ = limited(server)
        answering = Retrying(policy, rng=Random(0), sleep=asyncio.sleep)
        waits: list[float] = []

        async def ask(text: str) -> None:
            began = virtual_clock()
            try:
                await answering.complete(chat(text, deadline=Deadline(90, virtual_clock)))
            except Failure:
                return
            waits.append(virtual_clock() - began)

        tasks = []
        for number in range(3_000):
            tasks.append(asyncio.create_task(ask("odd" if number == 50 else str(number))))
            await asyncio.sleep(0.2)
        await asyncio.gather(*tasks)
        return waits, len(server.refused)

    waits, refused = run_virtually(main())
    assert refused == 10
    assert sum(wait > 1 for wait in waits) <= WISH_S / 0.2 * 1.2


def test_refusals_of_a_rate_are_everybodys() -> None:
    """Where others are refused as well, each refusal counts, also a record's second one."""
    refusals, record = OwnRefusals(), object()

    assert refusals.refused(record) == (False, False)
    for _ in range(30):
        refusals.answered(object())
    for _ in range(4):
        assert refusals.refused(object()) == (False, False)
    assert refusals.refused(record) == (False, False)


def test_second_refusal_with_many_answers_between_is_the_records() -> None:
    """An answer to the record itself forgets that."""
    refusals, record = OwnRefusals(), object()
    for _ in range(2):
        assert refusals.refused(record) == (False, False)
        for _ in range(20):
            refusals.answered(object())
        assert refusals.refused(record) == (True, False)
        refusals.answered(record)


@pytest.mark.parametrize(
    ("answers", "others", "refusals"),
    [(1, 0, 14), (20, 0, 4), (1, 4, 51), (0, 1, None), (0, 0, None)],
    ids=["one answer between", "many", "after as many", "nobody answered", "alone"],
)
def test_refusals_that_a_rate_would_hardly_explain_are_surely_its_own(
    answers: int, others: int, refusals: int | None
) -> None:
    """Each one counts by how often those were refused that were answered since the one before."""
    kept, record = OwnRefusals(), object()
    kept.refused(record)

    def is_sure() -> bool:
        other = object()
        for _ in range(others):
            kept.refused(other)
        for _ in range(answers):
            kept.answered(other)
        return kept.refused(record)[1]

    assert next((number for number in range(1, 1000) if is_sure()), None) == refusals


def test_one_large_answer_does_not_slow_down_small_ones() -> None:
    """What is left of a limit of tokens is shared out by what most requests have."""

    class Telling(Server):
        async def complete(self, call: Call) -> Completion:
            self.tokens = 29_000 if call.messages[0]["content"] == "50" else 100
            completion = await super().complete(call)
            hints = RateHints(tokens_per_s=500) if self.tokens > 100 else None
            return replace(completion, hints=hints)

    async def main() -> float:
        policy, limits = limited(Telling())
        for number in range(100):
            await policy.complete(chat(str(number)))
        return limits.learners["m"].rate_per_s

    assert run_virtually(main()) >= 5
