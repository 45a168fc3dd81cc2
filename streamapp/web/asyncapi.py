"""The AsyncAPI 3.0 document: the topics, their keys, headers and records."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version

from streamapp.errors import InternalError
from streamapp.flows.topics import FlowTopics
from streamapp.prompts.events import Event
from streamapp.prompts.example_set import Example
from streamapp.records.dead_letter import DeadLetter
from streamapp.records.request import Request
from streamapp.records.response import Response
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import TopicSpec
from streamapp.web.flow_channels import FlowChannels
from streamapp.web.openapi import REFERENCE, ComponentSchemas, Schema, record_schema

_TEXT: Mapping[str, tuple[str, str]] = {
    "requests": ("receive", "One request each; the caller's key decides their order."),
    "spend": ("send", "What each worker has spent; the key is window, scope and worker."),
    "limits": ("send", "What each worker has learned of a model's limits; the key is its target."),
    "responses": ("send", "One response for each answered request, with the request's key."),
    "requests-dlt": ("send", "Requests that failed: key and value as they came, why in headers."),
    "requests-dlt-replays": ("send", "Topic, partition and offset of each record sent again."),
    "examples": ("receive", "A set of few-shot examples; the key is its name."),
    "prompts": ("send", "What happened to prompts, in order; the key is the prompt's name."),
}


def asyncapi(
    settings: Settings,
    *,
    topics: Iterable[TopicSpec],
    records: Mapping[str, type[Request]],
    flows: Mapping[str, FlowTopics],
) -> Schema:
    """Return the document; topics of tables are Faust's own and left out.

    Args:
        settings: Name the broker and the prefix of the topics.
        topics: Those that are created at the start.
        records: The record classes by type.
        flows: The user's, by name.
    """
    schemas = ComponentSchemas(
        [
            *((record, "validation") for record in records.values()),
            (Response, "serialization"),
            (Event, "serialization"),
            (list[Example], "validation"),
        ]
    )
    schemas.components["Record"] = record_schema(records, schemas)
    payloads: dict[str, Schema] = {
        "requests": {"$ref": REFERENCE.format(model="Record")},
        "responses": schemas.of(Response, "serialization"),
        "requests-dlt": {"description": "The original bytes."},
        "prompts": schemas.of(Event, "serialization"),
        "examples": schemas.of(list[Example], "validation"),
    }
    prefix = f"{settings.topic_prefix}."
    channels, operations = {}, {}
    for topic in topics:
        if not topic.name.startswith(prefix):
            continue
        name = topic.name.removeprefix(prefix)
        action, text = _TEXT.get(name, ("send", "Written by streamapp."))
        message: Schema = {
            "contentType": "application/json",
            "payload": payloads.get(name, {}),
            "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": "0.5.0"}},
        }
        if name == "requests-dlt":
            message["headers"] = _dead_letter_headers()
        kafka = {"topic": topic.name, "partitions": topic.partitions, "bindingVersion": "0.5.0"}
        channels[name] = {
            "address": topic.name,
            "description": text,
            "messages": {"record": message},
            "bindings": {"kafka": kafka},
        }
        operations[f"{action}_{name}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "messages": [{"$ref": f"#/channels/{name}/messages/record"}],
        }
    of_flows = FlowChannels(payloads["responses"], _dead_letter_headers())
    for name, flow in flows.items():
        of_flows.add(name, flow)
    # A flow may write requests: that channel stands there already, by another name.
    known = {channel["address"]: name for name, channel in channels.items()}
    channels |= {n: c for n, c in of_flows.channels.items() if n not in known}
    for operation in of_flows.operations.values():
        topic = operation["channel"]["$ref"].rpartition("/")[2]
        if topic in known:
            operation["channel"] = {"$ref": f"#/channels/{known[topic]}"}
            operation["messages"] = [{"$ref": f"#/channels/{known[topic]}/messages/record"}]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "streamapp",
            "version": version("streamapp"),
            "description": "Language-model calls for records on Kafka topics.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {"host": ",".join(settings.brokers), "protocol": "kafka"},
        },
        "channels": channels,
        "operations": operations | of_flows.operations,
        "components": {"schemas": schemas.components | of_flows.components},
    }


def _dead_letter_headers() -> Schema:
    """Return the schema of the headers, as a dead letter writes them."""
    dead_letter = DeadLetter.of(
        InternalError(),
        stage="decode",
        topic="",
        partition=0,
        offset=0,
        request_id="",
        now=datetime.now(UTC),
    )
    names = list(dead_letter.headers())
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": names,
    }
