"""JSON in the frame of a schema registry, checked against its JSON Schema both ways."""

import json
from typing import Any

from streamapp.errors import ConfigurationError, InvalidRecord, OutputInvalid, Undecodable
from streamapp.flows.formats.codec import as_json
from streamapp.flows.formats.frame import body, framed, schema_id
from streamapp.flows.formats.registered import (
    RegisteredDecoder,
    RegisteredEncoder,
    references_of,
)
from streamapp.flows.formats.registry import Schema
from streamapp.flows.formats.schema_store import SchemaStore, Written
from streamapp.records.codec import parse_value


class JsonSchemaDecoder(RegisteredDecoder):
    """Reads framed JSON."""

    def __init__(self, store: SchemaStore) -> None:
        _engine()  # not only with the first record
        super().__init__(store, _validator)

    def decode(self, value: bytes) -> Any:
        """See `Decoder`; raises `InvalidRecord` where the schema is not fulfilled."""
        id = schema_id(value)
        validator = self.prepared(id)
        found = parse_value(body(value))
        if (place := _misfit(validator, found)) is not None:
            raise InvalidRecord(f"the value does not fit its schema {id}: {place}")
        return found

    def json_of(self, value: bytes) -> bytes:
        """See `JsonText`."""
        return body(value)


class JsonSchemaEncoder(RegisteredEncoder):
    """Writes framed JSON; arguments as those of `AvroEncoder`."""

    def __init__(self, store: SchemaStore, written: Written) -> None:
        _engine()
        super().__init__(store, written, _validator)

    def encode(self, value: Any) -> bytes:
        """See `Encoder`."""
        return self.encode_json(as_json(value))

    def encode_json(self, text: bytes) -> bytes:
        """See `JsonWriter`."""
        id, validator = self.found()
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
    known = {name: json.loads(used.text) for name, used in references_of(schema)}

    def retrieve(uri: str) -> Any:
        name = uri.removeprefix("json-schema:///")
        if name in known:
            return known[name]
        raise ValueError("it refers to what the registry does not name")

    return _engine().validator_for(json.loads(schema.text), retriever=retrieve)


def _engine() -> Any:
    # 3 MB that a worker without such topics does without.
    import jsonschema_rs

    return jsonschema_rs


def _misfit(validator: Any, value: Any) -> str | None:
    """Return the first place that does not fit, and by which rule; never its value."""
    for error in validator.iter_errors(value):
        # A field of the schema's own; names that a record brought are among its values.
        path = "/".join(str(part) for part in error.schema_path if isinstance(part, str))
        missing = getattr(error.kind, "property", None)
        return (path or "the value") + (f": {missing!r} is missing" if missing else "")
    return None
