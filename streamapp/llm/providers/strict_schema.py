"""Strict JSON Schemas: whether a vendor can force an answer into one, or refuses it with a 400."""

from collections.abc import Mapping
from typing import Any

#: The keywords of which every combination is taken.
_KEYWORDS = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf"}
    | {"$ref", "$defs", "title", "description"}
)


def fits_strict_mode(schema: Any, *, all_required: bool = True) -> bool:
    """Whether ``schema`` is a closed object of simple keywords all the way down.

    Args:
        schema: Any JSON.
        all_required: Whether every property must be required, as OpenAI's strict mode wants it.

    Sources: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas,
    https://platform.claude.com/docs/en/build-with-claude/structured-outputs
    """
    is_object = isinstance(schema, Mapping) and schema.get("type") == "object"
    return is_object and _is_strict(schema, all_required)


def _is_strict(schema: Any, all_required: bool) -> bool:
    if not isinstance(schema, Mapping) or not schema or not schema.keys() <= _KEYWORDS:
        return False
    properties = schema.get("properties", {})
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return False
        if all_required and set(schema.get("required", ())) != set(properties):
            return False
    children = [*properties.values(), *schema.get("anyOf", ()), *schema.get("$defs", {}).values()]
    if "items" in schema:
        children.append(schema["items"])
    return all(_is_strict(child, all_required) for child in children)
