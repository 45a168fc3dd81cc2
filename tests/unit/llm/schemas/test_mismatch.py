"""The words for an answer that does not fit its schema."""

from typing import Any

import pytest

from streamapp.llm.schemas.mismatch import said_of
from streamapp.llm.schemas.schema import Schemas

SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["a", "b"]},
        "age": {"type": ["integer", "null"]},
        "orders": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"properties": {"type": "string", "minLength": 9}},
                "required": ["properties"],
            },
        },
    },
    "required": ["label"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "field 'label' is missing"),
        ({"label": "CANARY"}, "field 'label' is none of the allowed values"),
        ({"label": "a", "age": "CANARY"}, "field 'age' is not of type integer or null"),
        ({"label": "a", "CANARY": 1}, "the answer has a field that the schema does not allow"),
        ({"label": "a", "orders": [{}]}, "field 'orders.properties' is missing"),
        (
            {"label": "a", "orders": [{"properties": "CANARY"}]},
            "field 'orders.properties' breaks the rule 'minLength'",
        ),
        (["CANARY"], "the answer is not of type object"),
    ],
)
def test_mismatch_is_said_by_names_of_the_schema(answer: Any, said: str) -> None:
    """Which field breaks which rule, and nothing of what the answer holds."""
    error = Schemas().mismatch(SCHEMA, answer)

    assert error is not None
    assert said_of(error) == said
