"""Avro in the frame of a schema registry.

A value is read by the schema that it was written by, so that a topic may hold several versions.
Decimals, times, UUIDs and bytes come as Python's own and are written as they were.
"""

import json
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any

from streamapp.errors import ConfigurationError, OutputInvalid, Undecodable
from streamapp.flows.formats.frame import body, framed, schema_id
from streamapp.flows.formats.registered import (
    RegisteredDecoder,
    RegisteredEncoder,
    references_of,
)
from streamapp.flows.formats.registry import Schema
from streamapp.flows.formats.schema_store import SchemaStore, Written


class AvroDecoder(RegisteredDecoder):
    """Reads framed Avro."""

    def __init__(self, store: SchemaStore) -> None:
        super().__init__(store, _parsed_as)

    def decode(self, value: bytes) -> Any:
        """See `Decoder`."""
        from fastavro import schemaless_reader

        id = schema_id(value)
        parsed = self.prepared(id)
        stream = BytesIO(body(value))
        try:
            found = schemaless_reader(stream, parsed, None)
        except Exception as error:  # of whatever kind the bytes cause
            problem = f"the value does not fit its schema {id} ({type(error).__name__})"
        else:
            if stream.read(1) == b"":
                return found
            problem = f"the value is longer than its schema {id} says"
        raise Undecodable(problem)  # outside of the block: the error may hold the value


class AvroEncoder(RegisteredEncoder):
    """Writes framed Avro.

    Args:
        store: Knows the schema's id.
        written: By what values are written.
    """

    def __init__(self, store: SchemaStore, written: Written) -> None:
        super().__init__(store, written, _parsed_as)

    def encode(self, value: Any) -> bytes:
        """See `Encoder`."""
        from fastavro import schemaless_writer
        from fastavro.validation import ValidationError, validate

        id, parsed = self.found()
        stream = BytesIO()
        try:
            schemaless_writer(stream, parsed, value)
        except Exception as error:  # of whatever kind the value causes
            where = type(error).__name__
        else:
            return framed(id, stream.getvalue())
        try:
            validate(value, parsed)
        except ValidationError as error:
            where = ", ".join(_fields_of(error)) or where
        except Exception as error:
            where = type(error).__name__
        raise self._misfit(where)

    def check_fields(self, names: Iterable[str]) -> None:
        """See `Narrowing`."""
        _, parsed = self.found()
        if isinstance(parsed, Mapping) and "fields" in parsed:
            known = {field["name"] for field in parsed["fields"]}
            if unknown := sorted(set(names) - known):
                raise self._misfit(f"it has no field {unknown[0][:64]}")

    def _misfit(self, where: str) -> OutputInvalid:
        id, _ = self.found()
        return OutputInvalid(
            f"the output does not fit schema {id} of {self._written.subject}: {where}"
        )


def avro_schema(text: str, *, place: str) -> Schema:
    """Return the schema that a file holds.

    Raises:
        ConfigurationError: It is none.
    """
    schema = Schema("AVRO", text)
    try:
        _parsed(schema)
    except ImportError:
        raise ConfigurationError(
            f"{place}: Avro needs an extra, from a clone: pip install '.[schema-registry]'"
        ) from None
    except Exception as error:
        raise ConfigurationError(f"{place}: it is no Avro schema: {error}") from None
    return schema


def _parsed_as(schema: Schema, name: str) -> Any:
    if schema.kind != "AVRO":
        raise Undecodable(f"{name} is {schema.kind}, and no Avro: set the format accordingly")
    try:
        return _parsed(schema)
    except Exception as error:
        raise Undecodable(f"{name} is no Avro schema ({type(error).__name__})") from error


def _parsed(schema: Schema) -> Any:
    from fastavro import parse_schema

    named: dict[str, Any] = {}
    for _, reference in references_of(schema):
        parse_schema(json.loads(reference.text), named_schemas=named)
    text = schema.text.strip()
    # The registry has a schema that is one name without quotes, too.
    return parse_schema(json.loads(text) if text[0] in '{["' else text, named_schemas=named)


def _fields_of(error: Any) -> list[str]:
    """Return the fields that do not fit, without their values."""
    names = (getattr(one, "field", None) for one in getattr(error, "errors", []))
    return sorted({str(name) for name in names if name})
