"""Protobuf in the frame of a schema registry, by message classes that a flow names.

Fields come by their names in the file: numbers, text, bytes and lists as Python's own, enums by
name, well-known times as times. What is written is built of the same.
"""

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC
from importlib import import_module
from typing import Any

from streamapp.errors import ConfigurationError, OutputInvalid, Undecodable
from streamapp.flows.formats.frame import body, framed, message_path, schema_id, with_path
from streamapp.flows.formats.proto_file import ProtoFile
from streamapp.flows.formats.registered import RegisteredDecoder, RegisteredEncoder
from streamapp.flows.formats.registry import Schema
from streamapp.flows.formats.schema_store import SchemaStore, Written

_TIMESTAMP = "google.protobuf.Timestamp"


class ProtobufDecoder(RegisteredDecoder):
    """Reads framed messages of one class, as the file of their schema says which they are."""

    def __init__(self, store: SchemaStore, message: Any) -> None:
        super().__init__(store, _file)
        self._message = message
        self._path = _path(message.DESCRIPTOR)

    def decode(self, value: bytes) -> dict[str, Any]:
        """See `Decoder`."""
        id, name = schema_id(value), self._message.DESCRIPTOR.full_name
        file = self.prepared(id)
        path, payload = message_path(body(value))
        if not _is_meant(file, path, name, usual=self._path):
            raise Undecodable(f"it is another message of schema {id} than {name}")
        try:
            return _fields(self._message.FromString(payload))
        except Exception as error:
            problem = f"it is no message {name} of schema {id} ({type(error).__name__})"
        raise Undecodable(problem)  # outside of the block: the error may hold the value


class ProtobufEncoder(RegisteredEncoder):
    """Writes framed messages of one class.

    Args:
        store: Knows the schema's id.
        written: By what values are written.
        message: The class.
    """

    def __init__(self, store: SchemaStore, written: Written, message: Any) -> None:
        name, usual = written.message, _path(message.DESCRIPTOR)
        super().__init__(
            store, written, lambda schema, _: ProtoFile(schema.text).path_of(name, usual=usual)
        )
        self._message = message

    def encode(self, value: Any) -> bytes:
        """See `Encoder`."""
        id, path = self.found()
        name = self._message.DESCRIPTOR.full_name
        if not isinstance(value, Mapping):
            raise OutputInvalid(f"the output is no object, so no message {name}")
        known = set(self._message.DESCRIPTOR.fields_by_name)
        if unknown := sorted(set(value) - known):
            where = f"it has no field {unknown[0][:64]}"
        else:
            try:
                message = self._message(**{n: v for n, v in value.items() if v is not None})
                return framed(id, with_path(path, message.SerializeToString()))
            except (ValueError, TypeError) as error:
                where = type(error).__name__
        raise OutputInvalid(f"the output does not fit the message {name}: {where}")


def message_class(name: str, *, place: str) -> Any:
    """Return the class that ``module:Class`` names.

    Raises:
        ConfigurationError: There is none.
    """
    module, _, attribute = name.partition(":")
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        if found.DESCRIPTOR.full_name and found.FromString:
            return found
    except ImportError as error:
        raise ConfigurationError(
            f"{place}: {name}: {error}; is its folder on PYTHONPATH, and the extra"
            " schema-registry installed?"
        ) from None
    except (AttributeError, ValueError):
        pass
    raise ConfigurationError(f"{place}: {name} is no Protobuf message class: write module:Class")


def protobuf_schema(message: Any) -> Schema:
    """Return the file of a message class as a registry takes it."""
    return Schema("PROTOBUF", b64encode(message.DESCRIPTOR.file.serialized_pb).decode())


def _path(descriptor: Any) -> tuple[int, ...]:
    """Return where the class has a message in its file, outermost first."""
    path: tuple[int, ...] = ()
    while descriptor is not None:
        above = descriptor.containing_type
        beside = above.nested_types if above else descriptor.file.message_types_by_name.values()
        path = (list(beside).index(descriptor), *path)
        descriptor = above
    return path


def _is_meant(file: ProtoFile, path: tuple[int, ...], name: str, *, usual: tuple[int, ...]) -> bool:
    """Whether a place in a file is that of a message.

    Clients order those beside maps as they like: where the message around it has one of the name,
    the class's own place is meant for it.
    """
    above = name.rpartition(".")[0]
    is_usual = path == usual and len(path) > 1 and file.has_map_in(path[:-1])
    is_usual = is_usual and above in file.names_at(path[:-1])
    return name in file.names_at(path) or (is_usual and file.path_of(name) is not None)


def _file(schema: Schema, name: str) -> ProtoFile:
    if schema.kind != "PROTOBUF":
        raise Undecodable(f"{name} is {schema.kind}, and no Protobuf: set the format so")
    return ProtoFile(schema.text)


def _fields(message: Any) -> dict[str, Any]:
    return {field.name: _field(message, field) for field in message.DESCRIPTOR.fields}


def _field(message: Any, field: Any) -> Any:
    value = getattr(message, field.name)
    if _is_map(field):
        of = field.message_type.fields_by_name["value"]
        return {key: _single(value[key], of) for key in value}
    if field.is_repeated:
        return [_single(one, field) for one in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _single(value, field)


def _is_map(field: Any) -> bool:
    kind = field.message_type
    return kind is not None and bool(kind.GetOptions().map_entry)


def _single(value: Any, field: Any) -> Any:
    if field.message_type is not None:
        if field.message_type.full_name == _TIMESTAMP:
            return value.ToDatetime(tzinfo=UTC)
        return _fields(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return value
