"""Instances of schemas."""

from typing import Any

import pytest

from streamapp.llm.schemas.instance import instance_of
from streamapp.llm.schemas.schema import Schemas

TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "child": {"$ref": "#"}},
    "required": ["name"],
}


@pytest.mark.parametrize(
    "rules",
    [
        {"enum": ["x", "y"]},
        {"const": 7},
        {"type": "string", "minLength": 3, "maxLength": 5},
        {"type": "integer", "minimum": 3},
        {"type": "integer", "exclusiveMinimum": 3, "maximum": 4},
        {"type": "number", "maximum": -1},
        {"type": "number", "exclusiveMaximum": 0},
        {"type": "integer", "minimum": 10, "multipleOf": 5},
        {"type": "boolean"},
        {"type": "null"},
        {"type": ["integer", "null"]},
        {"type": "array", "items": {"type": "integer"}, "minItems": 2},
        {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        {"allOf": [{"type": "integer"}, {"minimum": 5}]},
        {"$ref": "#/$defs/a~1b"},
        {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x", "y"]},
        {},
    ],
    ids=str,
)
def test_instance_fits(rules: dict[str, Any]) -> None:
    """The instance fits its schema."""
    definitions = {"a/b": {"type": "object", "required": ["z"], "properties": {"z": {"const": 1}}}}
    schema = {"type": "object", "properties": {"p": rules}, "required": ["p"]}
    schema["$defs"] = definitions

    assert Schemas().mismatch(schema, instance_of(schema)) is None


def test_recursive_schema_ends() -> None:
    """A schema that may recurse gives a small instance that fits."""
    assert Schemas().mismatch(TREE, instance_of(TREE)) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {**TREE, "required": ["name", "child"]},
        {"type": "array", "items": {"type": "array", "minItems": 10**9}, "minItems": 10**9},
        {"type": "string", "minLength": 10**9},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
    ],
    ids=str,
)
def test_endless_schema_ends(schema: dict[str, Any]) -> None:
    """A schema without a small instance ends all the same, with something small."""
    assert len(str(instance_of(schema))) < 100_000
