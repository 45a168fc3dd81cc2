"""A small valid instance of a JSON Schema, as an answer without a model."""

from collections.abc import Mapping
from typing import Any

_NODES = 1_000
_MERGES = 64
_DEPTH = 32
_OPTIONAL_DEPTH = 4


def instance_of(schema: Mapping[str, Any]) -> Any:
    """Return an instance of ``schema``, valid for the keywords that models are asked for.

    Knows ``const``, ``enum``, ``type``, properties, arrays, bounds, ``allOf``, the first branch
    of ``anyOf`` and ``oneOf``, and local ``$ref``; not ``pattern``, ``format`` or ``not``.
    """
    return _Builder(schema).build(schema, depth=0)


class _Builder:
    """Builds at most `_NODES` values, `_DEPTH` deep: some schemas have no finite instance."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = _NODES

    def build(self, schema: Any, *, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > _DEPTH:
            return None
        schema = self._merged(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        kind = schema.get("type", "object" if "properties" in schema else "string")
        match kind[0] if isinstance(kind, list) else kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "number" | "integer":
                return _number(schema)
            case "string":
                return "-" * min(schema.get("minLength", 0), _NODES)
            case "boolean":
                return False
        return None

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        names = list(schema.get("required", ()))
        if depth < _OPTIONAL_DEPTH:
            names += [name for name in properties if name not in names]
        return {
            name: self.build(properties.get(name, {}), depth=depth + 1)
            for name in names[: max(self._left, 0)]
        }

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        count = min(schema.get("minItems", 0), max(self._left, 0))
        return [self.build(schema.get("items", {}), depth=depth + 1) for _ in range(count)]

    def _merged(self, schema: Any) -> dict[str, Any]:
        """Return ``schema`` with what it refers to and one of its choices written into it."""
        merged: dict[str, Any] = {}
        pending = [schema]
        for _ in range(_MERGES):
            if not pending:
                break
            branch = pending.pop(0)
            if not isinstance(branch, Mapping):
                continue
            pending += branch.get("allOf", [])
            pending += [*branch.get("anyOf", [])[:1], *branch.get("oneOf", [])[:1]]
            reference = branch.get("$ref")
            if isinstance(reference, str) and reference.startswith("#"):
                pending.append(self._at(reference))
            merged = {**branch, **merged}
        return merged

    def _at(self, pointer: str) -> Any:
        node: Any = self._root
        for part in pointer.removeprefix("#").split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            node = node.get(name) if isinstance(node, Mapping) else None
        return node


def _number(schema: Mapping[str, Any]) -> float | int:
    """Return the number nearest to 0 within the bounds."""
    step = schema.get("multipleOf", 1)
    lows = [schema["minimum"]] if "minimum" in schema else []
    if "exclusiveMinimum" in schema:
        lows.append(schema["exclusiveMinimum"] + step)
    highs = [schema["maximum"]] if "maximum" in schema else []
    if "exclusiveMaximum" in schema:
        highs.append(schema["exclusiveMaximum"] - step)
    value: float | int = min([max([0, *lows]), *highs])
    return value
