"""Answers that must fit a schema."""

from collections.abc import Sequence
from typing import Any

import pytest

from streamapp.errors import InvalidRecord, OutputInvalid
from streamapp.llm.completion import Completion
from streamapp.llm.schemas.schema import Schemas
from streamapp.llm.schemas.structured import Structured
from streamapp.records.response import Usage
from tests.fakes import FakeProvider
from tests.unit.llm.calls import LABELS, chat, unavailable


@pytest.fixture
def structured(llm: FakeProvider) -> Structured:
    """Two re-asks around the fake provider."""
    return Structured(llm, schemas=Schemas())


def roles(messages: Sequence[Any]) -> list[str]:
    return [message["role"] for message in messages]


async def test_text_passes_without_a_schema(llm: FakeProvider, structured: Structured) -> None:
    """A call without a schema gives the text as it is."""
    llm.enqueue('{"label": "good"}')

    completion = await structured.complete(chat())

    assert completion.output == '{"label": "good"}'


@pytest.mark.parametrize(
    "answer",
    ['{"label": "good"}', ' \n{"label":"good"}\n', '```json\n{"label": "good"}\n```'],
    ids=["plain", "spaces", "fence"],
)
async def test_valid_answer_is_parsed(
    answer: str, llm: FakeProvider, structured: Structured
) -> None:
    """A valid answer comes back as the parsed object."""
    llm.enqueue(answer)

    completion = await structured.complete(chat(output_schema=LABELS))

    assert completion.output == {"label": "good"}
    assert completion.attempts == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("good", "not valid JSON"),
        ('{"label": NaN}', "not valid JSON"),
        ('{"label": "ugly"}', "'ugly' is not one of"),
        ('["good"]', "is not of type 'object'"),
    ],
)
async def test_wrong_answer_is_asked_for_again(
    wrong: str, reason: str, llm: FakeProvider, structured: Structured
) -> None:
    """The model sees its wrong answer and what is wrong; all asks are summed."""
    llm.enqueue(wrong, '{"label": "bad"}')

    completion = await structured.complete(chat("judge", output_schema=LABELS))

    assert completion.output == {"label": "bad"}
    assert completion.attempts == 2
    assert completion.usage == Usage(input_tokens=6, output_tokens=4)
    first, second = llm.history
    assert roles(first.messages) == ["user"]
    assert roles(second.messages) == ["user", "assistant", "user"]
    assert second.messages[0]["content"] == "judge"
    assert second.messages[1]["content"] == wrong
    assert reason in second.messages[2]["content"]


async def test_reask_shows_the_last_answer_only(llm: FakeProvider, structured: Structured) -> None:
    """Each re-ask starts from the question, so that it does not grow with each failure."""
    llm.enqueue("one", "two", '{"label": "bad"}')

    await structured.complete(chat(output_schema=LABELS))

    assert roles(llm.history[2].messages) == ["user", "assistant", "user"]
    assert llm.history[2].messages[1]["content"] == "two"


async def test_asks_are_bounded(llm: FakeProvider, structured: Structured) -> None:
    """After two re-asks the output is invalid; the message names field and rule, not the answer."""
    llm.enqueue(*['{"label": "CANARY"}'] * 3)

    with pytest.raises(OutputInvalid) as caught:
        await structured.complete(chat(output_schema=LABELS))

    assert caught.value.attempts == len(llm.history) == 3
    assert str(caught.value) == (
        "no answer fits the schema in 3 asks; in the last one, field 'label' is none of the"
        " allowed values"
    )
    assert "CANARY" not in str(caught.value)


async def test_bad_schema_costs_no_call(llm: FakeProvider, structured: Structured) -> None:
    """A schema that cannot be used is refused before the provider is called."""
    with pytest.raises(InvalidRecord):
        await structured.complete(chat(output_schema={"type": "nothing"}))

    assert llm.history == []


async def test_failure_counts_earlier_asks(llm: FakeProvider, structured: Structured) -> None:
    """A failure during a re-ask counts the attempts of the asks before it."""
    failure = unavailable()
    failure.attempts = 4
    llm.enqueue("wrong", failure)

    with pytest.raises(type(failure)):
        await structured.complete(chat(output_schema=LABELS))

    assert failure.attempts == 5


async def test_long_wrong_answer_is_cut(llm: FakeProvider, structured: Structured) -> None:
    """A re-ask quotes a bounded part of a huge wrong answer."""
    llm.enqueue('{"label": "' + "x" * 1_000_000 + '"}', '{"label": "bad"}')

    await structured.complete(chat(output_schema=LABELS))

    assert sum(len(message["content"]) for message in llm.history[1].messages) < 25_000


async def test_reask_says_that_something_was_paid(
    llm: FakeProvider, structured: Structured
) -> None:
    """A record that waits to ask again has paid: it is not given back for nothing."""
    llm.enqueue("no JSON", '{"label": "good"}')
    call = chat(output_schema=LABELS)

    await structured.complete(call)

    with call.deadline.suspended():
        assert not call.deadline.is_only_waiting


@pytest.mark.parametrize("ends", ["length", "stop"])
async def test_misfit_says_that_something_was_paid(
    ends: str, llm: FakeProvider, structured: Structured
) -> None:
    """So does an answer that is not asked for again, where its record goes on without it."""
    llm.enqueue(*[Completion(output="no", model="m", provider="p", finish_reason=ends)] * 3)
    call = chat(output_schema=LABELS)

    with pytest.raises(OutputInvalid):
        await structured.complete(call)

    with call.deadline.suspended():
        assert not call.deadline.is_only_waiting


@pytest.mark.parametrize(
    "answer",
    [
        'Sure! Here it is:\n```json\n{"label": "good"}\n```\nHope that helps.',
        'First a draft: {"label": "ugly"}. Better: {"label": "good"}',
        'The answer is {"label": "good"}.',
        '[1, 2] and {"label":\n"good"}',
    ],
    ids=["fence-in-prose", "draft-before", "prose", "other-value"],
)
async def test_json_is_found(answer: str, llm: FakeProvider, structured: Structured) -> None:
    """JSON that fits is used at the first ask, wherever it stands in the answer."""
    llm.enqueue(answer)

    completion = await structured.complete(chat(output_schema=LABELS))

    assert completion.output == {"label": "good"}
    assert len(llm.history) == 1


@pytest.mark.parametrize("text", ["", '{"label": "go'], ids=["empty", "half"])
async def test_cut_answer_is_not_asked_again(
    text: str, llm: FakeProvider, structured: Structured
) -> None:
    """An answer that its length ended costs one ask: another one would end the same."""
    llm.enqueue(Completion(output=text, model="m", provider="fake", finish_reason="length"))

    with pytest.raises(OutputInvalid, match="cut at its length") as caught:
        await structured.complete(chat(output_schema=LABELS))

    assert caught.value.attempts == len(llm.history) == 1


async def test_no_empty_turn_is_sent(llm: FakeProvider, structured: Structured) -> None:
    """After an empty answer the question alone is asked again."""
    llm.enqueue(" \n", '{"label": "good"}')

    await structured.complete(chat(output_schema=LABELS))

    assert roles(llm.history[1].messages) == ["user"]


@pytest.mark.parametrize(
    ("digits", "kept"),
    [
        ("25227143063332189585438", 25227143063332189585438),
        ("-9223372036854775809", -9223372036854775809),
        ("0.1234567890123456", 0.1234567890123456),
        ("12.5000000000000000", 12.5),
    ],
)
async def test_numbers_keep_their_digits(
    digits: str, kept: float, llm: FakeProvider, structured: Structured
) -> None:
    """Integers of any length, and decimals that a double holds, come back as they were written."""
    llm.enqueue(f'{{"n": {digits}}}')
    schema = {"type": "object", "properties": {"n": {"type": "number"}}}

    completion = await structured.complete(chat(output_schema=schema))

    assert completion.output == {"n": kept}
    assert type(completion.output["n"]) is type(kept)


async def test_number_that_no_double_holds_is_asked_again(
    llm: FakeProvider, structured: Structured
) -> None:
    """A decimal of more digits is not rounded in silence: the model is told to write fewer."""
    llm.enqueue('{"n": 0.12345678901234567890123}', '{"n": 0.123}')
    schema = {"type": "object", "properties": {"n": {"type": "number"}}}

    completion = await structured.complete(chat(output_schema=schema))

    assert completion.output == {"n": 0.123}
    assert "significant digits" in llm.history[1].messages[-1]["content"]


async def test_half_a_surrogate_is_no_json(llm: FakeProvider, structured: Structured) -> None:
    """What no topic can carry is not taken for an answer."""
    llm.enqueue('{"label": "\\ud83d", "n": 1234567890123456789012}', '{"label": "good"}')

    completion = await structured.complete(chat(output_schema=LABELS))

    assert completion.output == {"label": "good"}
