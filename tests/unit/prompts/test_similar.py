"""Examples by likeness: which ones, what the vectors cost, and what stands in without any."""

import asyncio
import json
from collections.abc import Sequence
from heapq import nlargest
from operator import mul
from random import Random
from typing import Any

import pytest

from streamapp.errors import BudgetExceeded, RetriesExhausted
from streamapp.llm.deadline import DEADLINE, Deadline
from streamapp.llm.timeout import time_limit
from streamapp.prompts.example_fit import Fit
from streamapp.prompts.example_set import Examples
from streamapp.prompts.examples import ExamplesManager
from streamapp.prompts.nearest import Neighbours, Unit, unit
from streamapp.prompts.prompt import Prompt, Version
from streamapp.prompts.registry import PromptRegistry
from streamapp.prompts.settings import ExampleSettings, PromptSettings
from streamapp.prompts.similar import BATCH, PAUSE_S, TEXT_LIMIT, Nearest, text_of
from streamapp.prompts.template import Template
from tests.fakes import FakeClock
from tests.support.virtual_time import run_virtually, virtual_clock

SIMILAR = ExampleSettings(file="set.jsonl", count=2, select="similar", refresh_s=10)
WORDS = ("red apple", "green apple", "fast car", "slow car", "blue sky")


def vector(text: str) -> list[float]:
    """Return a vector that is near to another where the texts share letters."""
    return [float(text.count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]


class Model:
    """Makes vectors and counts what it was asked; fails, or hangs, when told to."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.failure: Exception | None = None
        self.hangs = False

    async def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked.append(list(texts))
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure:
            raise self.failure
        return [vector(text) for text in texts]


class World:
    """A manager over one set, and what a record gets of it."""

    def __init__(self, *, has_route: bool = True, timeout_s: float = 30.0) -> None:
        self.clock, self.sets, self.records = FakeClock(), Model(), Model()
        self.words: Sequence[str] = WORDS
        self.template = Template("{{ x }}")
        self.manager = ExamplesManager(
            self._fetch,
            clock=self.clock,
            embed=self.sets if has_route else None,
            rng=Random(1),
            timeout_s=timeout_s,
            time_limit=time_limit,
        )

    async def refresh(self) -> None:
        await self.manager.refresh([SIMILAR])

    def fit(self) -> Fit:
        return self.manager.fit(SIMILAR, self.template, version="p:1")

    def nearest(self) -> Nearest | None:
        return self.manager.nearest(SIMILAR, self.fit())

    async def examples_for(self, text: str, **more: Any) -> list[str]:
        nearest = self.nearest()
        found: Examples = self.manager.chosen(SIMILAR, self.fit(), sticky=b"k")
        if nearest:
            found = await nearest({"x": text, **more}, self.records)
        return [str(example.variables["x"]) for example in found]

    async def _fetch(self, settings: ExampleSettings) -> bytes:
        return json.dumps([{"variables": {"x": w}, "output": "a"} for w in self.words]).encode()


@pytest.fixture
async def world() -> World:
    """A set whose vectors are there."""
    world = World()
    await world.refresh()
    return world


async def test_the_examples_most_like_the_question_are_taken(world: World) -> None:
    """The most similar stands last, next to the question; other variables do not matter."""
    assert await world.examples_for("a green apple") == ["red apple", "green apple"]
    assert await world.examples_for("my car is slow", max_words=5) == ["fast car", "slow car"]
    assert world.records.asked == [["a green apple"], ["my car is slow"]]


def test_question_whose_vector_waits_for_kafka_gets_its_own_examples() -> None:
    """The vector is a step of the record: its delivery is no fault of the model that made it."""
    world = World()
    asyncio.run(world.refresh())

    async def scene() -> Examples:
        deadline = Deadline(90, virtual_clock)
        DEADLINE.set(deadline)

        async def embed(texts: Sequence[str]) -> list[list[float]]:
            with deadline.standing():
                await asyncio.sleep(600)
            return [vector(text) for text in texts]

        nearest = world.nearest()
        assert nearest
        return await nearest({"x": "a green apple"}, embed)

    found = run_virtually(scene())

    assert [one.variables["x"] for one in found] == ["red apple", "green apple"]
    assert world.manager.impaired() == []


async def test_the_vectors_of_a_set_are_asked_for_once(world: World) -> None:
    """A refresh that brings nothing new costs nothing; a new example costs itself."""
    assert world.sets.asked == [list(WORDS)]
    world.clock.advance(10)
    await world.refresh()
    assert len(world.sets.asked) == 1

    world.words = [*WORDS[1:], "slow snail"]
    world.clock.advance(10)
    await world.refresh()

    assert world.sets.asked[1:] == [["slow snail"]]
    assert "red apple" not in await world.examples_for("red apple")


async def test_a_large_set_is_asked_for_in_batches() -> None:
    """As many texts a call as models take."""
    world = World()
    world.words = [f"word {number}" for number in range(2 * BATCH + 1)]

    await world.refresh()

    assert [len(texts) for texts in world.sets.asked] == [BATCH, BATCH, 1]


async def test_without_a_route_the_first_examples_stand_in() -> None:
    """The worker says so, with what to set."""
    world = World(has_route=False)

    await world.refresh()

    assert await world.examples_for("slow car") == ["red apple", "green apple"]
    [problem] = world.manager.impaired()
    assert "set.jsonl" in problem
    assert "STREAMAPP_EMBED_MODEL" in problem


@pytest.mark.parametrize("how", ["fails", "hangs", "garbage"])
async def test_without_vectors_of_the_set_the_first_examples_stand_in(how: str) -> None:
    """The worker says so, asks again after a pause, and has them from then on."""
    world = World(timeout_s=0.05 if how == "hangs" else 30.0)
    world.sets.failure = {"fails": RetriesExhausted("x"), "garbage": ValueError("x")}.get(how)
    world.sets.hangs = how == "hangs"
    await world.refresh()
    assert await world.examples_for("slow car") == ["red apple", "green apple"]
    assert "no vectors of the set" in world.manager.impaired()[0]
    await world.refresh()
    assert len(world.sets.asked) == 1

    world.sets.failure, world.sets.hangs = None, False
    world.clock.advance(PAUSE_S)
    await world.refresh()

    assert world.manager.impaired() == []
    assert await world.examples_for("slow car") == ["fast car", "slow car"]


@pytest.mark.parametrize("hangs", [True, False])
async def test_an_outage_of_the_model_costs_one_question_a_pause(hangs: bool) -> None:
    """The first that fails gets the first examples, and so do all others, without asking."""
    world = World(timeout_s=0.5 if hangs else 30.0)
    await world.refresh()
    world.records.hangs = hangs
    world.records.failure = RetriesExhausted("away")
    for _ in range(3):
        assert await world.examples_for("slow car") == ["red apple", "green apple"]
    assert len(world.records.asked) == 1
    assert "no vector of a question" in world.manager.impaired()[0]

    world.clock.advance(PAUSE_S)
    probe = world.nearest()
    assert probe
    assert world.nearest() is None  # one tries, the others go on
    world.records.hangs, world.records.failure = False, None
    await probe({"x": "slow car"}, world.records)

    assert world.manager.impaired() == []
    assert await world.examples_for("slow car") == ["fast car", "slow car"]


async def test_a_spent_budget_is_the_records_own_affair(world: World) -> None:
    """It gets the first examples; others are not held back by it."""
    world.records.failure = BudgetExceeded("x")
    assert await world.examples_for("slow car") == ["red apple", "green apple"]
    world.records.failure = None

    assert await world.examples_for("slow car") == ["fast car", "slow car"]
    assert world.manager.impaired() == []


async def test_nothing_is_asked_where_there_is_nothing_to_choose(world: World) -> None:
    """A set that is used whole, and a question without the examples' variables."""
    world.words = WORDS[:2]
    world.clock.advance(10)
    await world.refresh()

    assert await world.examples_for("car") == ["red apple", "green apple"]
    assert world.records.asked == []


async def test_what_nobody_names_any_more_is_forgotten() -> None:
    """A source that fails degrades the worker only while a prompt or a record uses it."""
    world = World(has_route=False)
    await world.refresh()
    assert world.manager.impaired()

    await world.manager.refresh([])

    assert world.manager.impaired() == []
    assert await world.examples_for("car") == []
    await world.manager.refresh([])  # a record asked by the version's number
    assert world.manager.impaired()
    world.clock.advance(600)
    await world.manager.refresh([])
    assert world.manager.impaired() == []


async def test_a_prompt_shows_what_is_like_its_question(world: World) -> None:
    """The registry hands the choice over, and the messages hold it."""
    body = "Q: {{ x }}"
    settings = PromptSettings(examples=SIMILAR)
    prompt = Prompt("p", {1: Version(1, body, settings, Template(body))}, {"production": 1})
    version = PromptRegistry({"p": prompt}, examples=world.manager).resolve("p", sticky=b"k")

    messages = await version.messages({"x": "car, slow"}, embed=world.records)

    assert [message["content"] for message in messages] == [
        "Q: fast car", "a", "Q: slow car", "a", "Q: car, slow",
    ]  # fmt: skip


def test_the_shortlist_keeps_the_likeness() -> None:
    """Of 300 vectors about 10 topics the nearest are of the question's own, and hardly worse."""
    rng = Random(7)
    topics = [[rng.gauss(0, 1) for _ in range(256)] for _ in range(10)]

    def about(number: int) -> Unit:
        return unit([number + rng.gauss(0, 0.8) for number in topics[number % 10]])

    units = [about(number) for number in range(300)]
    neighbours = Neighbours(units)
    for number in range(20):
        question = about(number)
        cosines = [sum(map(mul, question, other)) for other in units]

        found = neighbours.nearest(question, 3)

        assert {place % 10 for place in found} == {number % 10}
        assert sum(cosines[place] for place in found) > 0.95 * sum(nlargest(3, cosines))


@pytest.mark.parametrize("numbers", [[], [float("nan")], [float("inf"), 1.0]])
def test_what_is_no_vector_is_refused(numbers: list[float]) -> None:
    """Empty, or not finite."""
    with pytest.raises(ValueError, match="no vector"):
        unit(numbers)


def test_vectors_of_several_lengths_are_refused() -> None:
    """A model that was changed in between."""
    with pytest.raises(ValueError, match="zip"):
        Neighbours([unit([1.0, 2.0]), unit([1.0])])
    with pytest.raises(ValueError, match="zip"):
        Neighbours([unit([1.0, 2.0])]).nearest(unit([1.0]), 1)


def test_a_text_is_what_variables_say_in_bounds() -> None:
    """Values by their names, lists in one line, cut at what a model takes."""
    variables: dict[str, Any] = {"b": ["x", 1], "a": "text", "other": "no"}

    assert text_of(variables, ["a", "b", "missing"]) == "text\nx, 1"
    assert len(text_of({"a": "x" * 100_000}, ["a"])) == TEXT_LIMIT
