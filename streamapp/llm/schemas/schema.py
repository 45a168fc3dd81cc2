"""JSON Schemas that records and prompts bring along: checked, compiled once, bounded in cost."""

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from streamapp.errors import InvalidRecord
from streamapp.llm.schemas.pattern import PatternCost, PatternError, compiled_pattern
from streamapp.records.problems import escape

MAX_SCHEMA_BYTES = 32 * 1024
MAX_CPU_S = 0.5
#: Longest place in a schema that a message names, characters.
PLACE_CHARS = 128

_COMPILED = 256
_UNSUPPORTED = frozenset({"$dynamicRef", "$dynamicAnchor", "patternProperties"})


class SchemaCost(Exception):
    """A validation took too much CPU."""


class Schemas:
    """Compiles schemas and keeps the latest of them.

    Anyone who may write a record may bring a schema, and it runs on the event loop: nothing is
    fetched, patterns run in linear or bounded time, and a validation has a limit of CPU
    time, in which a stopped process does not age.
    """

    def __init__(
        self, *, max_cpu_s: float = MAX_CPU_S, cpu_s: Callable[[], float] = time.thread_time
    ) -> None:
        self._max_cpu_s = max_cpu_s
        self._cpu_s = cpu_s
        self._until_s = 0.0
        self._compiled: OrderedDict[bytes, Validator] = OrderedDict()
        self._pattern = lru_cache(_COMPILED)(compiled_pattern)
        keywords: dict[str, Any] = {
            **Draft202012Validator.VALIDATORS,
            "pattern": self._matches,
            "uniqueItems": _unique_items,
        }
        limited = {name: self._limited(check) for name, check in keywords.items()}
        self._new: Any = extend(Draft202012Validator, limited)  # type: ignore[no-untyped-call] # jsonschema

    def check(self, schema: Mapping[str, Any]) -> None:
        """Refuse a schema that cannot be used.

        Raises:
            InvalidRecord: It is no JSON Schema, too long, or uses what we do not support.
        """
        self._validator(schema)

    def mismatch(self, schema: Mapping[str, Any], instance: Any) -> ValidationError | None:
        """Return why ``instance`` does not fit ``schema``, or None where it does.

        Raises:
            InvalidRecord: The schema cannot be used, or costs too much to check.
        """
        validator = self._validator(schema)
        self._until_s = self._cpu_s() + self._max_cpu_s
        try:
            error: ValidationError | None = best_match(validator.iter_errors(instance))
        except (SchemaCost, RecursionError):
            raise InvalidRecord("schema is too costly to check an answer against") from None
        except Unresolvable:
            raise InvalidRecord("schema holds a $ref to nothing") from None
        return error

    def _validator(self, schema: Mapping[str, Any]) -> Validator:
        try:
            key = orjson.dumps(schema)
        except TypeError as error:
            raise InvalidRecord("schema is not JSON") from error
        validator = self._compiled.get(key)
        if validator is None:
            if len(key) > MAX_SCHEMA_BYTES:
                raise InvalidRecord(f"schema is longer than {MAX_SCHEMA_BYTES} bytes")
            validator = self._compile(dict(schema))
            self._compiled[key] = validator
            if len(self._compiled) > _COMPILED:
                self._compiled.popitem(last=False)
        else:
            self._compiled.move_to_end(key)
        return validator

    def _compile(self, schema: dict[str, Any]) -> Validator:
        # The draft is ours to choose: `$schema` would bring jsonschema's own class back.
        schema.pop("$schema", None)
        try:
            Draft202012Validator.check_schema(schema)
            for node in _nodes(schema):
                self._check_node(node)
        except SchemaError as error:
            # Without its cause, which holds values of the record.
            problem = f"schema is no valid JSON Schema (draft 2020-12){_where(error)}"
            raise InvalidRecord(problem) from None
        except RecursionError:
            raise InvalidRecord("schema nests too deep") from None
        validator: Validator = self._new(schema, registry=Registry())
        return validator

    def _check_node(self, node: Mapping[str, Any]) -> None:
        reference = node.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            raise InvalidRecord("schema refers to another document: define it under $defs")
        if isinstance(node.get("$schema"), str):
            raise InvalidRecord("schema has $schema below its top: remove it")
        if found := sorted(_UNSUPPORTED & node.keys()):
            raise InvalidRecord(f"schema uses {found[0]}, which is not supported")
        if isinstance(node.get("pattern"), str):
            try:
                self._pattern(node["pattern"])
            except PatternError:
                raise InvalidRecord("schema has a pattern that cannot be matched") from None

    def _limited(self, check: Callable[..., Any]) -> Callable[..., Any]:
        def limited(*args: Any) -> Any:
            if self._cpu_s() > self._until_s:
                raise SchemaCost
            return check(*args)

        return limited

    def _matches(
        self, validator: Any, pattern: str, instance: Any, schema: Any
    ) -> Iterator[ValidationError]:
        if isinstance(instance, str):
            try:
                is_match = self._pattern(pattern)(instance)
            except PatternCost:
                raise SchemaCost from None
            if not is_match:
                yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _where(error: SchemaError) -> str:
    """Return the place of what is wrong, without a value."""
    path = ".".join(escape(str(part)) for part in error.absolute_path)[:PLACE_CHARS]
    return f": see '{path}' in it" if path else ""


def _nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Walk every object in a schema, those in values included: refusing too much is safe."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from _nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _nodes(value)


def _unique_items(
    validator: Any, wanted: bool, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if wanted and isinstance(instance, list):
        distinct = {json.dumps(item, sort_keys=True) for item in instance}
        if len(distinct) < len(instance):
            yield ValidationError("the items are not unique")
