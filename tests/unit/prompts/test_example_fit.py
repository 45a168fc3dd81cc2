"""Examples that a text cannot take: they are left out, and told with what to change."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
import structlog

from streamapp.prompts.cpu_limit import CPU_LIMIT_S
from streamapp.prompts.example_fit import Fit
from streamapp.prompts.example_set import Example
from streamapp.prompts.examples import ExamplesManager
from streamapp.prompts.prompt import Prompt, Version
from streamapp.prompts.registry import PromptRegistry
from streamapp.prompts.settings import ExampleSettings, PromptSettings
from streamapp.prompts.template import Template
from tests.fakes import FakeClock

SUM = "<!-- system -->\nReckon in {{ unit }}.\n<!-- user -->\nQ: {{ question }}"
CHOICE = (
    "{{ text }} is one of {{ labels|join(', ') }}{% if hint is defined %} ({{ hint }}){% endif %}"
)
RECORD = {"question": "1+1", "unit": "apples"}
TEXT = {"text": "rain", "labels": ["wet", "dry"], "hint": "look up"}


class World:
    """A prompt with a set of examples, as a record meets them."""

    def __init__(self, body: str, examples: Sequence[dict[str, Any]], **settings: Any) -> None:
        self._set = json.dumps([{"variables": one, "output": "10"} for one in examples]).encode()
        self._settings = ExampleSettings(file="set.json", **settings)
        self._manager = ExamplesManager(self._fetch, clock=FakeClock(), embed=self._embed)
        version = Version(1, body, PromptSettings(examples=self._settings), Template(body))
        prompts = {"p": Prompt("p", {1: version}, {"production": 1})}
        self._registry = PromptRegistry(prompts, examples=self._manager)

    async def questions(self, record: dict[str, Any]) -> list[str]:
        """Return what the user says, the record's own question last."""
        await self._manager.refresh([self._settings])
        version = self._registry.resolve("p", sticky=b"k")
        messages = await version.messages(record, embed=self._embed)
        return [message["content"] for message in messages if message["role"] == "user"]

    async def _fetch(self, settings: ExampleSettings) -> bytes:
        return self._set

    async def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[float(len(text)), 1.0] for text in texts]


@pytest.mark.parametrize("select", ["first", "random"])
async def test_a_record_s_own_question_is_no_example(select: str) -> None:
    """A mistyped name does not answer the question by the example's output."""
    examples = [{"qestion": "5+5"}, {"question": "2+3"}, {"question": "4+4", "unti": "pears"}]

    found = await World(SUM, examples, select=select, count=2).questions(RECORD)

    assert found == ["Q: 2+3", "Q: 1+1"]


async def test_the_most_similar_example_is_left_out_where_it_does_not_fit() -> None:
    """It is chosen of the whole set, by its vector."""
    examples = [{"question": "2+33"}, {"question": "4+444"}, {"qestion": "5+5"}]

    found = await World(SUM, examples, select="similar", count=1).questions(RECORD)

    assert found == ["Q: 1+1"]


async def test_an_example_of_other_parts_alone_is_left_out() -> None:
    """What stands in the system's part makes no question."""
    assert await World(SUM, [{"unit": "pears"}]).questions(RECORD) == ["Q: 1+1"]


async def test_what_no_example_gives_is_the_record_s() -> None:
    """What the text needs, until an example brings its own; then all have to."""
    shared = await World(CHOICE, [{"text": "sun"}]).questions(TEXT)
    own = await World(CHOICE, [{"text": "sun", "labels": ["a"]}, {"text": "fog"}]).questions(TEXT)

    assert shared[0] == "sun is one of wet, dry"  # the hint is to the record's own text
    assert own[:-1] == ["sun is one of a"]


async def test_an_optional_variable_of_another_example_is_not_the_record_s() -> None:
    """It may be missing, as it may in a record."""
    found = await World(CHOICE, [{"text": "sun", "hint": "warm"}, {"text": "fog"}]).questions(TEXT)

    assert found[:-1] == ["sun is one of wet, dry (warm)", "fog is one of wet, dry"]


@pytest.mark.parametrize("wrong", [5, []], ids=["kind", "empty"])
async def test_a_value_that_no_filter_takes_is_told(wrong: Any) -> None:
    """It is left out by each record anyway: nobody would know."""
    world = World("{{ text|first }}{{ text|length }}", [{"text": wrong}, {"text": "sun"}], count=1)

    with structlog.testing.capture_logs() as lines:
        found = await world.questions(TEXT)

    assert found == ["s3", "r4"]
    [line] = lines
    assert line["reason"].startswith("1 of 2 examples is left out: example 1: ")


def test_a_whole_set_is_tried_within_the_time_of_one_rendering() -> None:
    """It is tried on the loop, where all records wait: the rest is taken unseen."""
    readings = iter((5.0, 5.0 + CPU_LIMIT_S / 2, 5.0 + CPU_LIMIT_S))
    bad = Example(variables={"text": 5}, output="a")

    fit = Fit(Template("{{ text|length }}"), [bad, bad], cpu_s=lambda: next(readings))

    assert len(fit.examples) == 1
    assert (fit.problem or "").startswith("1 of 2 examples is left out: example 1: ")


async def test_what_is_left_out_makes_room() -> None:
    """The count is of examples that fit."""
    world = World(SUM, [{"qestion": "5+5"}, {"question": "2+3"}, {"question": "4+4"}], count=2)

    assert await world.questions(RECORD) == ["Q: 2+3", "Q: 4+4", "Q: 1+1"]


@pytest.mark.parametrize(
    ("body", "example", "problem"),
    [
        (SUM, {"qestion": "5+5"},
         "the text has no variable 'qestion', did you mean 'question'?"),
        (SUM, {"unit": "pears"}, "it gives no variable of the last part: question"),
        (CHOICE, {"text": "fog"},
         "the variable 'labels', which others of the set give, is missing: give it"),
        ("{% for x in text %}{{ x }}{% endfor %}", {"text": "fog"},
         "the variable 'text' must be a list of at most 1000 items"),
    ],
)  # fmt: skip
async def test_what_is_left_out_is_logged_once(
    body: str, example: dict[str, Any], problem: str
) -> None:
    """With the version, the example's place and the variable; without a value."""
    good = {"question": "2+3"} if body == SUM else {"text": ["sun"]}
    world = World(body, [good | ({"labels": ["a"]} if body == CHOICE else {}), example])

    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            await world.questions(RECORD | TEXT | {"text": ["rain"]})

    reason = f"1 of 2 examples is left out: example 2: {problem}"
    assert [(line["event"], line["prompt"], line["reason"]) for line in lines] == [
        ("examples.left_out", "p:1", reason)
    ]
