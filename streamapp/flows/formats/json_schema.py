"""JSON in the frame of a schema registry, checked against its JSON Schema both ways."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from streamapp.errors import ConfigurationError, InvalidRecord, OutputInvalid, Undecodable
from streamapp.flows.formats.codec import as_json
from streamapp.flows.formats.frame import body, framed, schema_id
from streamapp.flows.formats.registry import Schema
from streamapp.flows.formats.schema_store import SchemaStore, Written
from streamapp.records.codec import parse_value


class JsonSchemaDecoder:
    """Reads framed JSON."""

    def __init__(self, store: SchemaStore) -> None:
        self._store = store
        self._validators: dict[int, Any] = {}

    def is_loaded(self, value: bytes) -> bool:
        """See `Decoder`."""
        try:
            return self._store.knows(schema_id(value))
        except Undecodable:
            return True  # to be refused by `decode`

    async def load(self, value: bytes) -> None:
        """See `Decoder`."""
        await self._store.load(schema_id(value))

    def decode(self, value: bytes) -> Any:
        """See `Decoder`; raises `InvalidRecord` where the schema is not fulfilled."""
        id = schema_id(value)
        if id not in self._validators:
            self._validators[id] = _validator(self._store.get(id), f"schema {id}")
        found = parse_value(body(value))
        if (place := _misfit(self._validators[id], found)) is not None:
            raise InvalidRecord(f"the value does not fit its schema {id}: {place}")
        return found

    def json_of(self, value: bytes) -> bytes:
        """See `JsonText`."""
        return body(value)


class JsonSchemaEncoder:
    """Writes framed JSON; arguments as those of `AvroEncoder`."""

    def __init__(self, store: SchemaStore, written: Written) -> None:
        self._store = store
        self._written = written
        self._found: tuple[int, Any] | None = None

    @property
    def is_loaded(self) -> bool:
        """See `Encoder`."""
        return self._found is not None

    async def load(self) -> None:
        """See `Encoder`."""
        if self._found is None:
            id, schema = await self._store.load_written(self._written)
            self._found = (id, _validator(schema, f"schema {id}"))

    def encode(self, value: Any) -> bytes:
        """See `Encoder`."""
        return self.encode_json(as_json(value))

    def encode_json(self, text: bytes) -> bytes:
        """See `JsonWriter`."""
        assert self._found is not None, "it is not loaded"
        id, validator = self._found
        if (place := _misfit(validator, json.loads(text))) is not None:
            raise OutputInvalid(
                f"the output does not fit schema {id} of {self._written.subject}: {place}"
            )
        return framed(id, text)


def json_schema(text: str, *, place: str) -> Schema:
    """Return the schema that a file or a model gives; raises `ConfigurationError`."""
    schema = Schema("JSON", text)
    try:
        _compiled(schema)
    except ValueError as error:
        raise ConfigurationError(f"{place}: it is no JSON Schema: {error}") from None
    return schema


def _validator(schema: Schema, name: str) -> Any:
    if schema.kind != "JSON":
        raise Undecodable(f"{name} is {schema.kind}, and no JSON Schema: set the format so")
    try:
        return _compiled(schema)
    except ValueError as error:
        raise Undecodable(f"{name} is no JSON Schema ({type(error).__name__})") from error


def _compiled(schema: Schema) -> Any:
    known = {name: json.loads(used.text) for name, used in _references(schema)}

    def retrieve(uri: str) -> Any:
        name = uri.removeprefix("json-schema:///")
        if name in known:
            return known[name]
        raise ValueError("it refers to what the registry does not name")

    return jsonschema_rs.validator_for(json.loads(schema.text), retriever=retrieve)


def _references(schema: Schema) -> Iterator[tuple[str, Schema]]:
    for name, used in schema.references:
        yield from _references(used)
        yield name, used


def _misfit(validator: Any, value: Any) -> str | None:
    """Return the first place that does not fit, and by which rule; never its value."""
    for error in validator.iter_errors(value):
        # A field of the schema's own; names that a record brought are among its values.
        path = "/".join(str(part) for part in error.schema_path if isinstance(part, str))
        return path or "the value"
    return None
