"""A small valid instance of a JSON Schema: what an answer without a model can look like."""

from collections.abc import Mapping
from typing import Any

_SCALARS: dict[str, Any] = {"null": None, "boolean": False, "object": {}, "array": []}
_DEPTH = 16


def instance_of(schema: Mapping[str, Any] | bool, text: str = "") -> Any:
    """Return an instance of ``schema`` that is valid for the keywords models are asked for.

    Handles ``const``, ``enum``, ``type``, required and optional properties, arrays, bounds,
    ``allOf``/``anyOf``/``oneOf`` and local ``$ref``; not ``pattern``, ``format`` or ``not``.

    Args:
        schema: JSON Schema, Draft 2020-12.
        text: What strings are cut from; empty strings without it.
    """
    root = schema if isinstance(schema, Mapping) else {}
    return _instance(schema, root, text, _DEPTH)


def _instance(schema: Any, root: Mapping[str, Any], text: str, depth: int) -> Any:
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = _type_of(schema)
    if kind == "object":
        return _object(schema, root, text, depth)
    if kind == "array":
        count = schema.get("minItems", 0)
        return [_instance(schema.get("items", {}), root, text, depth - 1) for _ in range(count)]
    if kind in ("number", "integer"):
        return _number(schema)
    if kind == "string":
        return _string(schema, text)
    return _SCALARS[kind]


def _resolved(schema: Any, root: Mapping[str, Any]) -> dict[str, Any]:
    """Follow local references and merge the branches that must or may hold."""
    if not isinstance(schema, Mapping):
        return {}
    merged = dict(schema)
    for _ in range(_DEPTH):
        branches = list(merged.pop("allOf", []))
        for choice in ("anyOf", "oneOf"):
            branches.extend(merged.pop(choice, [])[:1])
        reference = merged.pop("$ref", None)
        if isinstance(reference, str) and reference.startswith("#"):
            branches.append(_at(root, reference))
        if not branches:
            break
        for branch in branches:
            merged = {**branch, **merged} if isinstance(branch, Mapping) else merged
    return merged


def _at(root: Mapping[str, Any], pointer: str) -> Any:
    node: Any = root
    for part in pointer.removeprefix("#").strip("/").split("/"):
        if part:
            name = part.replace("~1", "/").replace("~0", "~")
            node = node.get(name, {}) if isinstance(node, Mapping) else {}
    return node


def _type_of(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return str(kind[0] if isinstance(kind, list) else kind)


def _object(
    schema: Mapping[str, Any], root: Mapping[str, Any], text: str, depth: int
) -> dict[str, Any]:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    # Optional ones stop first, so that a recursive schema ends.
    names = [*required, *(name for name in properties if name not in required and depth > 0)]
    if depth < -_DEPTH:
        return {}
    return {name: _instance(properties.get(name, {}), root, text, depth - 1) for name in names}


def _number(schema: Mapping[str, Any]) -> float | int:
    step = schema.get("multipleOf", 1)
    low = schema.get("minimum")
    if "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + step
    high = schema.get("maximum")
    if "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - step
    value: float | int = 0
    if low is not None and value < low:
        value = low
    if high is not None and value > high:
        value = high
    return value


def _string(schema: Mapping[str, Any], text: str) -> str:
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    return text[:most].ljust(least, "-")
