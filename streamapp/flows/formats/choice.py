"""The decoders and encoders of an app's flows, by the names of their formats."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamapp.errors import ConfigurationError
from streamapp.flows.formats.avro import AvroDecoder, AvroEncoder, avro_schema
from streamapp.flows.formats.codec import (
    Decoder,
    Encoder,
    JsonDecoder,
    JsonEncoder,
    TextDecoder,
    TextEncoder,
)
from streamapp.flows.formats.json_schema import JsonSchemaDecoder, JsonSchemaEncoder, json_schema
from streamapp.flows.formats.protobuf import (
    ProtobufDecoder,
    ProtobufEncoder,
    message_class,
    protobuf_schema,
)
from streamapp.flows.formats.registry import Kind, Schema
from streamapp.flows.formats.schema_store import SchemaStore, Written
from streamapp.settings.flows import Format


@dataclass(frozen=True, slots=True)
class Output:
    """How a topic is written.

    Attributes:
        schema_file: Of the schema; None takes the newest one of the topic, or ``schema``.
        schema: JSON Schema that is at hand already.
        message: ``module:Class`` of Protobuf.
        register: Whether a schema is registered where it is not.
    """

    topic: str
    format: Format
    schema_file: Path | None = None
    schema: str | None = None
    message: str | None = None
    register: bool = False


class Formats:
    """Makes what reads and writes the topics of flows.

    Args:
        store: The schemas of a registry; None without a registry.

    Attributes:
        store: As given.
        written: By what schemas topics are written, each with the flow that does.
    """

    def __init__(self, store: SchemaStore | None = None) -> None:
        self.store = store
        self.written: list[tuple[str, Written]] = []

    def decoder(
        self, format: Format, *, message: str | None, place: Callable[[str], str]
    ) -> Decoder:
        """Return what reads a topic.

        Args:
            format: Of its values, or of its keys.
            message: ``module:Class`` of Protobuf.
            place: Returns how a setting is named to whoever wrote it.

        Raises:
            ConfigurationError: The format needs what is not set.
        """
        match format:
            case "json":
                return JsonDecoder()
            case "text":
                return TextDecoder()
            case "avro":
                return AvroDecoder(self._store(format, place("format")))
            case "json-schema":
                return JsonSchemaDecoder(self._store(format, place("format")))
        named = _message(message, place("message"))
        return ProtobufDecoder(self._store(format, place("format")), named)

    def encoder(self, output: Output, *, flow: str, place: Callable[[str], str]) -> Encoder:
        """Return what writes a topic; as `decoder`."""
        own = place("output_format")
        file = place("output_schema")
        match output.format:
            case "json":
                return JsonEncoder()
            case "text":
                return TextEncoder()
            case "avro":
                schema = None
                if (text := _text(output, file)) is not None:
                    schema = avro_schema(text, place=file)
                written = self._written(output, flow, "AVRO", schema)
                return AvroEncoder(self._store(output.format, own), written)
            case "json-schema":
                schema = None
                if (text := _text(output, file) or output.schema) is not None:
                    schema = json_schema(text, place=file)
                written = self._written(output, flow, "JSON", schema)
                return JsonSchemaEncoder(self._store(output.format, own), written)
        message = _message(output.message, place("output_message"))
        schema = protobuf_schema(message) if output.register else None
        name = message.DESCRIPTOR.full_name
        written = self._written(output, flow, "PROTOBUF", schema, name)
        return ProtobufEncoder(self._store(output.format, own), written, message)

    def _written(
        self, output: Output, flow: str, kind: Kind, schema: Schema | None, message: str = ""
    ) -> Written:
        written = Written(f"{output.topic}-value", kind, schema, output.register, message)
        self.written.append((flow, written))
        return written

    def _store(self, format: str, place: str) -> SchemaStore:
        if self.store is None:
            raise ConfigurationError(
                f'{place}: "{format}" needs a schema registry: set STREAMAPP_SCHEMA_REGISTRY_URL'
            )
        return self.store


def _text(output: Output, place: str) -> str | None:
    if output.schema_file is None:
        return None
    try:
        return output.schema_file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{place}: {output.schema_file}: {reason}") from None


def _message(name: str | None, place: str) -> Any:
    if name is None:
        raise ConfigurationError(f"{place}: name the message class as module:Class")
    return message_class(name, place=place)
