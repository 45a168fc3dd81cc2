"""Strict JSON Schemas: the form in which a vendor takes one, where there is such a form."""

from collections.abc import Mapping
from typing import Any

#: The keywords of which every combination is taken.
_KEYWORDS = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf"}
    | {"$ref", "$defs", "title", "description"}
)
_NOTES = frozenset({"title", "description"})
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_LEVELS = 10
_PROPERTIES = 5_000
_ENUM_VALUES = 1_000
_CHARS = 120_000


def strict_form(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return ``schema`` as OpenAI's strict mode takes it, or None where there is no such form.

    The form allows the same answers: notes beside a ``$ref`` are left out, and values of an
    ``enum`` or a ``const`` without a type get theirs. Strict are closed objects all of whose
    properties are required, all the way down from the root, with a type for every node.

    Source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    """
    form = _Strict().form(schema)
    return form if form is not None and form.get("type") == "object" else None


class _Strict:
    """Counts what is limited over a whole schema."""

    def __init__(self) -> None:
        self._properties = self._values = self._chars = 0

    def form(self, node: Any, level: int = 1) -> dict[str, Any] | None:
        if not isinstance(node, Mapping) or not node or not node.keys() <= _KEYWORDS:
            return None
        result: dict[str, Any] | None = dict(node)
        if "$defs" in node:
            defs = self._forms(node["$defs"], level)
            if level != 1 or defs is None or result is None:
                return None
            result["$defs"] = defs
        if "$ref" in node:
            return self._reference(node, level)
        kind = node.get("type") or _type_of_values(node)
        if "anyOf" in node:
            result = self._union(result, node, level) if "type" not in node else None
        elif kind is None or not set(_as_list(kind)) <= _TYPES or result is None:
            return None
        else:
            result["type"] = kind
            result = self._typed(result, _as_list(kind), level)
        return result if self._is_within_limits(level) else None

    def _reference(self, node: Mapping[str, Any], level: int) -> dict[str, Any] | None:
        target = node["$ref"]
        is_local = isinstance(target, str) and (target == "#" or target.startswith("#/$defs/"))
        is_alone = node.keys() <= {"$ref"} | _NOTES
        return {"$ref": target} if level > 1 and is_local and is_alone else None

    def _union(
        self, result: dict[str, Any] | None, node: Mapping[str, Any], level: int
    ) -> dict[str, Any] | None:
        if level == 1 or result is None or not node.keys() <= {"anyOf"} | _NOTES:
            return None
        branches = [self.form(branch, level) if level > 1 else None for branch in node["anyOf"]]
        return {**result, "anyOf": branches} if branches and all(branches) else None

    def _typed(self, result: dict[str, Any], kinds: list[str], level: int) -> dict[str, Any] | None:
        values = [*result.get("enum", ()), *([result["const"]] if "const" in result else [])]
        self._values += len(values)
        self._chars += sum(len(value) for value in values if isinstance(value, str))
        if "object" in kinds:
            properties = result.get("properties")
            if (
                not isinstance(properties, Mapping)
                or result.get("additionalProperties") is not False
            ):
                return None
            if set(result.get("required", ())) != set(properties):
                return None
            self._properties += len(properties)
            self._chars += sum(map(len, properties))
            result["properties"] = self._forms(properties, level + 1)
            if result["properties"] is None:
                return None
        elif result.keys() & {"properties", "required", "additionalProperties"}:
            return None
        if "array" in kinds:
            result["items"] = self.form(result.get("items"), level + 1)
        elif "items" in result:
            return None
        return result if result.get("items", True) is not None else None

    def _forms(self, nodes: Any, level: int) -> dict[str, Any] | None:
        if not isinstance(nodes, Mapping):
            return None
        forms = {name: self.form(node, max(level, 2)) for name, node in nodes.items()}
        return None if None in forms.values() else forms

    def _is_within_limits(self, level: int) -> bool:
        return (
            level <= _LEVELS
            and self._properties <= _PROPERTIES
            and self._values <= _ENUM_VALUES
            and self._chars <= _CHARS
        )


def _type_of_values(node: Mapping[str, Any]) -> str | None:
    """Return the one type of a node's values; None where there are several, or none."""
    values = node.get("enum", [node["const"]] if "const" in node else [])
    names = {_NAMES.get(type(value)) for value in values}
    return names.pop() if len(names) == 1 else None


def _as_list(kind: Any) -> list[str]:
    return kind if isinstance(kind, list) else [kind]


def fits_output_config(schema: Any) -> bool:
    """Whether Anthropic can force an answer into ``schema``: closed objects, no recursion.

    Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs
    """
    is_object = isinstance(schema, Mapping) and schema.get("type") == "object"
    return is_object and _is_closed(schema, schema, frozenset())


def _is_closed(schema: Any, root: Mapping[str, Any], within: frozenset[str]) -> bool:
    if not isinstance(schema, Mapping) or not schema or not schema.keys() <= _KEYWORDS:
        return False
    reference = schema.get("$ref")
    if reference is not None:
        name = str(reference).removeprefix("#/$defs/")
        target = root.get("$defs", {}).get(name)
        if name in within or not _is_closed(target, root, within | {name}):
            return False
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return False
    children = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    if "items" in schema:
        children.append(schema["items"])
    return all(_is_closed(child, root, within) for child in children)
