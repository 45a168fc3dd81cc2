"""JSON Schemas that come from outside: from a record or a prompt file."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError


def check_object_schema(schema: Mapping[str, Any]) -> None:
    """Check that ``schema`` is a JSON Schema (draft 2020-12) of an object, whole in itself.

    Takes a millisecond: keep the result where it is asked for each record.

    Raises:
        ValueError: Says what to change; holds nothing of the schema.
    """
    if schema.get("type", "object") != "object":
        raise ValueError("must describe an object: set its type to 'object'")
    try:
        Draft202012Validator.check_schema(schema)
        is_valid = True
        is_whole = all(reference.startswith("#") for reference in _references(schema))
    except (SchemaError, RecursionError):
        is_valid = False
    if not is_valid:  # raised outside of the block: the cause holds the schema
        raise ValueError("is not a valid JSON Schema (draft 2020-12)")
    if not is_whole:
        raise ValueError("refers to another document: define it under '$defs' and refer to that")


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for name in ("$ref", "$dynamicRef"):
            if isinstance(node.get(name), str):
                yield node[name]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _references(child)
