"""What the provider without a model answers to each record type."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from streamapp.llm.completion import Completion
from streamapp.llm.providers.offline import OfflineProvider
from streamapp.llm.schemas.schema import Schemas
from streamapp.prompts.registry import PromptRegistry
from tests.unit.llm.calls import LABELS, chat, embeddings

TEXT = "Kafka keeps records in order. It is fast. Many teams use it every day."
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "email": {"type": "string"},
        "age": {"type": "integer", "minimum": 18},
        "kind": {"enum": ["a", "b"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "address": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
    "required": ["name", "email", "age", "kind", "tags", "address"],
}


async def answer(text: str = "the rendered prompt", **fields: Any) -> Completion:
    return await OfflineProvider("mine").complete(chat(text, **fields))


async def test_answers_are_honest() -> None:
    """The model says that there is none."""
    assert (await answer()).model == "offline"
    assert (await answer()).output == "[offline] the rendered prompt"


def asked(prompt: str, **variables: Any) -> list[dict[str, str]]:
    """Return the messages of a built-in prompt."""
    return PromptRegistry.load(Path("prompts")).resolve(prompt, sticky=b"").render(variables)


@pytest.mark.parametrize(
    ("max_words", "summary"),
    [
        (8, "Kafka keeps records in order. It is fast."),
        (7, "Kafka keeps records in order."),
        (2, "Kafka keeps"),
    ],
)
async def test_summary_is_the_first_sentences(max_words: int, summary: str) -> None:
    """A summary is whole sentences from the start, cut only where the first one is too long."""
    messages = asked("summarize", text=TEXT, max_words=max_words)

    assert (await answer(messages=messages)).output == summary


@pytest.mark.parametrize(
    ("text", "label"),
    [("I want a refund now", "refund please"), ("Where is it?", "order status")],
)
async def test_label_shares_words_with_the_text(text: str, label: str) -> None:
    """The label with most words of the text is chosen; the first one where none has any."""
    labels = ["order status", "refund please"]
    messages = asked("classify", text=text, labels=labels)
    schema = {**LABELS, "properties": {"label": {"type": "string", "enum": labels}}}

    found = await answer(messages=messages, output_schema=schema)

    assert orjson.loads(found.output) == {"label": label}


@pytest.mark.parametrize("text", ["Hello", "a <text>\nb\n</text> c", "</text-1>\n<text-2>"])
async def test_translation_is_marked_as_none(text: str) -> None:
    """A translation is the text, marked as not translated, whatever tags it holds itself."""
    messages = asked("translate", text=text, target_language="fr")

    assert (await answer(messages=messages)).output == f"[offline, fr] {text}"


async def test_extraction_finds_what_is_named() -> None:
    """An extraction fits the schema and holds what the text names."""
    text = "Name: Ada Lovelace\nWrite to ada@example.org, please. Her age is 36."
    messages = asked("extract", text=text, schema=orjson.dumps(PERSON).decode())

    found = orjson.loads((await answer(messages=messages, output_schema=PERSON)).output)

    assert Schemas().mismatch(PERSON, found) is None
    assert (found["name"], found["email"], found["age"]) == ("Ada Lovelace", "ada@example.org", 36)


async def test_extraction_keeps_to_the_schema() -> None:
    """What the text says is left out where the schema forbids it."""
    found = orjson.loads((await answer("age: 7", output_schema=PERSON)).output)

    assert found["age"] == 18


async def test_any_schema_is_fitted() -> None:
    """Record types of users get a valid instance too."""
    found = orjson.loads((await answer("It is a bad one.", output_schema=LABELS)).output)

    assert found == {"label": "bad"}


async def test_chat_echoes_the_last_user_message() -> None:
    """A chat is answered with its last user message, its text parts included."""
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "reply"},
        {"role": "user", "content": [{"type": "text", "text": "last"}]},
    ]
    call = replace(chat(), messages=messages)

    assert (await OfflineProvider("mine").complete(call)).output == "[offline] last"


async def test_vectors_are_of_unit_length() -> None:
    """Vectors have 8 dimensions and length 1, and depend on the text alone."""
    first = (await OfflineProvider("one").complete(embeddings("a", "b"))).output
    second = (await OfflineProvider("two").complete(embeddings("a"))).output

    assert [len(vector) for vector in first] == [8, 8]
    assert math.hypot(*first[0]) == pytest.approx(1)
    assert first[0] == second[0] != first[1]


@pytest.mark.parametrize("parameters", [None, {}, {"type": "object"}], ids=str)
async def test_tool_without_parameters_is_called_with_none(parameters: Any) -> None:
    """A function may take nothing, and say so in any way."""
    said = {} if parameters is None else {"parameters": parameters}
    tool = {"type": "function", "function": {"name": "now", **said}}
    call = chat(parameters={"tools": [tool]})

    (wanted,) = (await OfflineProvider("mine").complete(call)).tool_calls

    assert wanted["function"] == {"name": "now", "arguments": "{}"}


async def test_tool_is_called_with_the_defaults_of_its_arguments() -> None:
    """An empty text in their place is what nobody would ask it for; one that is wrong stays out."""
    properties = {
        "day": {"type": "string", "default": "today"},
        "hour": {"type": "integer", "default": "noon"},
    }
    schema = {"type": "object", "properties": properties}
    tool = {"type": "function", "function": {"name": "open", "parameters": schema}}

    (wanted,) = (
        await OfflineProvider("mine").complete(chat(parameters={"tools": [tool]}))
    ).tool_calls

    assert json.loads(wanted["function"]["arguments"]) == {"day": "today", "hour": 0}
