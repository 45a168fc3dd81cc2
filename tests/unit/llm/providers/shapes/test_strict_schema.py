"""Schemas that are sent as strict, and their form."""

from typing import Any

import pytest

from streamapp.llm.providers.shapes.strict_schema import fits_output_config, strict_form

CITY = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


def of(node: Any, **fields: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {"a": node},
        "required": ["a"],
        **fields,
    }


def deep(levels: int) -> Any:
    node: Any = {"type": "string"}
    for _ in range(levels):
        node = of(node)
    return node


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(of({}), id="typeless"),
        pytest.param(of({"description": "x"}), id="note-alone"),
        pytest.param(of({"type": "array"}), id="array-without-items"),
        pytest.param(of({"type": ["array", "null"]}), id="nullable-array-without-items"),
        pytest.param(of({"type": "object"}), id="open-object"),
        pytest.param(of({"type": "object", "additionalProperties": False}), id="no-properties"),
        pytest.param(of({**CITY, "required": []}), id="optional"),
        pytest.param({"anyOf": [CITY]}, id="root-union"),
        pytest.param({**CITY, "anyOf": [CITY]}, id="root-object-with-union"),
        pytest.param({"$ref": "#/$defs/C", "$defs": {"C": CITY}}, id="root-reference"),
        pytest.param(of({"$ref": "other.json"}), id="foreign-reference"),
        pytest.param(of({"$ref": "#", "type": "object"}), id="reference-with-sibling"),
        pytest.param(of({"enum": ["a", 1]}), id="mixed-enum"),
        pytest.param(of({"type": "string", "pattern": "x"}), id="pattern"),
        pytest.param(of({"type": "string", "default": "x"}), id="default"),
        pytest.param(of({"oneOf": [CITY]}), id="one-of"),
        pytest.param(of(CITY, **{"$defs": {"D": {"type": "object"}}}), id="open-definition"),
        pytest.param(of({"enum": [str(n) for n in range(1_001)]}), id="too-many-values"),
        pytest.param(deep(11), id="too-deep"),
        pytest.param({"type": "array", "items": CITY}, id="root-array"),
    ],
)
def test_what_breaks_a_rule_is_not_strict(schema: dict[str, Any]) -> None:
    """A schema that OpenAI's strict mode would refuse is not sent as strict."""
    assert strict_form(schema) is None


@pytest.mark.parametrize(
    ("node", "form"),
    [
        ({"$ref": "#/$defs/C", "description": "Where"}, {"$ref": "#/$defs/C"}),
        ({"enum": ["x", "y"]}, {"enum": ["x", "y"], "type": "string"}),
        ({"const": 3}, {"const": 3, "type": "integer"}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        (
            {"anyOf": [{"$ref": "#/$defs/C"}, {"type": "null"}]},
            {"anyOf": [{"$ref": "#/$defs/C"}, {"type": "null"}]},
        ),
        ({"type": "array", "items": CITY}, {"type": "array", "items": CITY}),
        ({"$ref": "#"}, {"$ref": "#"}),
    ],
    ids=["note-beside-reference", "enum", "const", "nullable", "union", "array", "recursion"],
)
def test_form_allows_the_same(node: Any, form: Any) -> None:
    """What only lacks a type, or has a note where none may be, is sent in a form that is strict."""
    schema = of(node, **{"$defs": {"C": CITY}})

    assert strict_form(schema) == of(form, **{"$defs": {"C": CITY}})


def test_anthropic_takes_no_recursion() -> None:
    """Anthropic's output format wants closed objects and an end to references."""
    assert fits_output_config(of({"$ref": "#/$defs/C"}, **{"$defs": {"C": CITY}}))
    assert not fits_output_config(
        of({"$ref": "#/$defs/D"}, **{"$defs": {"D": of({"$ref": "#/$defs/D"})}})
    )
