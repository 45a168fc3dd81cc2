"""Fields of pydantic models in words: what they take, their bounds, and the line under each."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from textwrap import dedent
from typing import Any

from pydantic import BaseModel

from reference.markdown import code, words
from streamapp.records.sampling import EMPTY_SCHEMAS

Schema = Mapping[str, Any]

_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "object": "object",
    "null": "`null`",
}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "{} characters or more",
    "maxLength": "at most {} characters",
    "minItems": "{} or more",
    "maxItems": "at most {}",
}


@cache
def documented(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the text under each field in the source, and in the docstring's ``Attributes``."""
    found: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        if issubclass(parent, BaseModel) and parent is not BaseModel:
            found |= dict(_attributes(parent)) | dict(_under_fields(parent))
    return found


def in_words(schema: Schema, definitions: Schema) -> str:
    """Return what a field takes, in a few words."""
    if "$ref" in schema:
        schema = {**definitions[schema["$ref"].rpartition("/")[2]], **schema}
    if "anyOf" in schema or "oneOf" in schema:
        kinds = schema.get("anyOf", schema.get("oneOf"))
        # Said once for all fields: what is empty is absent.
        either = [in_words(one, definitions) for one in kinds if one not in EMPTY_SCHEMAS]
        return " or ".join(dict.fromkeys(one for one in either if one != "`null`"))
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"])
    if "const" in schema:
        return code(schema["const"])
    if schema.get("format") == "date-time":
        return "time, ISO 8601"
    if schema.get("type") == "array":
        inner = in_words(schema.get("items", {}), definitions)
        inner = f"({inner})" if "," in inner else inner
        return words(f"list of {inner}", *_bounds(schema))
    if properties := schema.get("properties"):
        return "object with " + words(*map(code, properties))
    return words(_TYPES.get(schema.get("type", ""), ""), *_bounds(schema)) or "anything"


def _bounds(schema: Schema) -> Iterator[str]:
    for name, text in _BOUNDS.items():
        if name in schema and (name, schema[name]) not in (("minLength", 1), ("minItems", 1)):
            yield text.format(f"{schema[name]:,}")
        elif name in schema:
            yield "not empty"


def _under_fields(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    tree = ast.parse(dedent(inspect.getsource(model))).body[0]
    assert isinstance(tree, ast.ClassDef)
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, text


def _attributes(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Read ``NAME: text`` lines, each with its deeper lines, below ``Attributes:``."""
    _, _, listed = inspect.cleandoc(model.__doc__ or "").partition("\nAttributes:\n")
    name = ""
    texts: dict[str, list[str]] = {}
    for line in listed.split("\n\n")[0].splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            name, _, line = line.strip().partition(": ")
        texts.setdefault(name, []).append(line.strip())
    for name, lines in texts.items():
        yield name, " ".join(lines).replace("``", "`").replace("None", "`null`")
