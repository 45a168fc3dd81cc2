"""Problems of a record name places of the record, as whoever wrote it knows them."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from streamapp.processors.chat import Chat
from streamapp.prompts.example_set import Example
from streamapp.records.problems import describe, place_of


def said(**fields: Any) -> str:
    value = {"type": "chat", "messages": [{"role": "user", "content": "a"}], **fields}
    with pytest.raises(ValidationError) as caught:
        Chat.model_validate(value, strict=True)
    return describe(caught.value, Chat, value)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"messages": [{"role": "user", "content": "a", "more": 1}]}, "messages.0.more"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages.0.tool_call_id"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages.0.content.0.text",
        ),
        ({"tools": [{"type": "function", "function": {}}]}, "tools.0.function.name"),
        (
            {"tool_choice": {"type": "function", "function": {"name": 1}}},
            "tool_choice.function.name",
        ),
        ({"tool_choice": "never"}, "tool_choice"),
        ({"stop": [1]}, "stop.0"),
    ],
)
def test_place_is_one_of_the_record(fields: dict[str, Any], place: str) -> None:
    """No kind that was tried on the way is in the name of a field."""
    assert f"field '{place}'" in said(**fields)


def test_a_name_within_an_object_is_told_with_the_one_that_it_is_like() -> None:
    """As one at the top is; in a list of objects, and where there is no value to look at."""
    [example] = [{"variables": {"x": 1}, "ouput": 1, "output": 1}]
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[Example]).validate_python([example])

    assert describe(caught.value, Example) == ("field '0.ouput' is unknown, did you mean 'output'?")


def test_kinds_that_are_possible_are_told() -> None:
    """Where a field says of what kind an object is, its values are ours to tell."""
    problem = said(messages=[{"role": "user", "content": [{"type": "video", "video": "secret"}]}])

    assert "its 'type' is one of 'text', 'image_url'" in problem
    assert "secret" not in problem
    assert "video" not in problem


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"messages": [{"role": "usr", "content": "a"}]},
            "field 'messages.0': must be an object whose 'role' is one of 'system', 'developer'",
        ),
        ({"messages": ["secret"]}, "field 'messages.0': must be an object whose 'role' is one"),
        (
            {"messages": [{"role": "user", "content": None}]},
            "field 'messages.0.content': must be text or a list of parts",
        ),
        (
            {"tool_choice": {"type": "secret"}},
            "field 'tool_choice': must be none, auto, required, a function or allowed_tools",
        ),
    ],
    ids=["role", "no object", "content", "choice"],
)
def test_what_may_stand_there_is_told_by_the_names_of_fields(
    fields: dict[str, Any], problem: str
) -> None:
    """Kinds that only we tell apart have no name that a caller knows."""
    assert said(**fields).startswith(problem)
    assert "secret" not in said(**fields)


class Typed(BaseModel):
    """Fields of each kind that a text can be tried as, as lax models take them."""

    whole: int = 0
    number: float = 0
    switch: bool = False
    exact: Decimal = Decimal(0)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"whole": "secret"}, "field 'whole': Input should be a valid integer"),
        ({"whole": "9" * 5_000}, "field 'whole': Unable to parse input string as an integer"),
        ({"number": "secret"}, "field 'number': Input should be a valid number"),
        ({"switch": "secret"}, "field 'switch': Input should be a valid boolean"),
        ({"exact": "secret"}, "field 'exact': Input should be a valid decimal"),
    ],
)
def test_a_text_that_is_none_of_its_kind_is_told_in_words(
    fields: dict[str, Any], problem: str
) -> None:
    """Without the text itself."""
    with pytest.raises(ValidationError) as caught:
        Typed.model_validate(fields)

    told = describe(caught.value, Typed)

    assert told.startswith(problem)
    assert "secret" not in told
    assert "9" not in told


def test_place_without_the_value_is_left_alone() -> None:
    """Where nothing is known of the value, nothing is taken for a kind."""
    assert place_of(("a", "kind", 0), None) == ("a", "kind", 0)
