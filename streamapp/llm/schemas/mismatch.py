"""The words for an answer that does not fit its schema, free of what the answer holds."""

from collections.abc import Iterable
from typing import Any

from jsonschema.exceptions import ValidationError

from streamapp.llm.schemas.schema import PLACE_CHARS
from streamapp.records.problems import escape


def said_of(error: ValidationError) -> str:
    """Return what is wrong with an answer, by names that stand in its schema alone."""
    fields = list(_fields(error.absolute_schema_path))
    if error.validator == "required":
        wanted: Any = error.validator_value
        given: Any = error.instance
        names = (name for name in wanted if name not in given)
        return f"{_placed([*fields, next(names, '')])} is missing"
    place = _placed(fields) if fields else "the answer"
    match error.validator:
        case "type":
            types: Any = error.validator_value
            wanted = " or ".join(types) if isinstance(types, list) else types
            return f"{place} is not of type {wanted}"
        case "enum" | "const":
            return f"{place} is none of the allowed values"
        case "additionalProperties" | "unevaluatedProperties":
            return f"{place} has a field that the schema does not allow"
    return f"{place} breaks the rule '{error.validator}'"


def _placed(fields: list[str]) -> str:
    return f"field '{'.'.join(map(escape, fields))[:PLACE_CHARS]}'"


def _fields(path: Iterable[str | int]) -> Iterable[str]:
    """Yield the names of the properties that a path through a schema leads along."""
    parts = iter(path)
    for part in parts:
        if part == "properties":
            yield str(next(parts, ""))
