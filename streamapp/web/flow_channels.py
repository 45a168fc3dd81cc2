"""The channels of flows in the AsyncAPI document: topics of the user's own."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import JsonSchemaMode

from streamapp.flows.headers import COST, ID, MODEL, PROMPT
from streamapp.flows.replies import CORRELATION_ID, REPLY_TO
from streamapp.flows.topics import FlowTopics
from streamapp.settings.flows import Format
from streamapp.web.openapi import REFERENCE, Schema

#: The media type of each format; the framed ones have a schema registry's frame before them.
MEDIA_TYPES: Mapping[Format, str] = {
    "json": "application/json",
    "text": "text/plain",
    "avro": "application/vnd.apache.avro",
    "json-schema": "application/json",
    "protobuf": "application/x-protobuf",
}
FRAMED = frozenset({"avro", "json-schema", "protobuf"})


class FlowChannels:
    """Collects what the flows add to the document.

    Args:
        response: The schema of response records.
        dead_letter_headers: That of the headers of dead letters.

    Attributes:
        channels: By name, which is the topic's.
        operations: By name.
        components: Schemas of the types of flows in Python.
    """

    def __init__(self, response: Schema, dead_letter_headers: Schema) -> None:
        self._response = response
        self._dead_letter_headers = dead_letter_headers
        self.channels: dict[str, Schema] = {}
        self.operations: dict[str, Schema] = {}
        self.components: dict[str, Schema] = {}

    def add(self, name: str, flow: FlowTopics) -> None:
        """Add the topics of a flow; one of a chain is written and read."""
        reads = self._payload(name, "in", flow.reads, "validation")
        said = f"Read by the flow {name}."
        message = _message(flow.format, reads)
        if flow.reply_topics:
            message["headers"] = _texts([REPLY_TO, CORRELATION_ID], required=[])
        self._add(name, "receive", flow.input, said, message)
        emits = self._payload(name, "out", flow.emits, "serialization")
        if flow.shape == "response":
            emits = self._response
        written = _message(flow.output_format, emits)
        written["headers"] = _texts([ID, MODEL, COST, PROMPT], required=[ID, MODEL])
        for topic in flow.outputs:
            self._add(name, "send", topic, f"Written by the flow {name}.", written)
        for topic in flow.reply_topics:
            said = f"Answers of flows to records that name it in the header {REPLY_TO}."
            self._add(name, "send", topic, said, written)
        dead: Schema = {"headers": self._dead_letter_headers}
        dead |= _message(flow.format, {"description": "The original bytes."})
        said = f"What the flow {name} could not answer: key and value as they came."
        self._add(name, "send", flow.dead_letters, said, dead)

    def _add(self, flow: str, action: str, topic: str, text: str, message: Schema) -> None:
        channel = self.channels.setdefault(
            topic,
            {
                "address": topic,
                "description": text,
                "messages": {"record": message},
                "bindings": {"kafka": {"topic": topic, "bindingVersion": "0.5.0"}},
            },
        )
        if text not in channel["description"]:
            channel["description"] += f" {text}"
        self.operations[f"{action}_{flow}_{topic}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{topic}"},
            "messages": [{"$ref": f"#/channels/{topic}/messages/record"}],
        }

    def _payload(
        self, flow: str, side: str, adapter: TypeAdapter[Any] | None, mode: JsonSchemaMode
    ) -> Schema:
        if adapter is None:
            return {}
        prefix = f"{flow}.{side}."
        try:
            schema = adapter.json_schema(
                mode=mode, ref_template=REFERENCE.format(model=f"{prefix}{{model}}")
            )
        except PydanticInvalidForJsonSchema:
            return {}
        for name, shared in schema.pop("$defs", {}).items():
            self.components[f"{prefix}{name}"] = shared
        return schema


def _message(format: Format, payload: Schema) -> Schema:
    found: Schema = {"contentType": MEDIA_TYPES[format], "payload": payload}
    if format in FRAMED:
        found["description"] = "In the frame of a schema registry: a zero byte, the schema's id."
    return found


def _texts(names: list[str], *, required: list[str]) -> Schema:
    properties = {name: {"type": "string"} for name in names}
    return {"type": "object", "properties": properties, "required": required}
