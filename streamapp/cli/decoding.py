"""The check of a record's value, by the topic that a command is about to write it to."""

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from streamapp.cli.flow_samples import FlowSamples
from streamapp.cli.group import EXIT_CONFIGURATION, Ended
from streamapp.errors import ConfigurationError, InvalidRecord, TooLarge, Undecodable, UnknownType
from streamapp.flows.source_record import SourceRecord
from streamapp.flows.topics import flow_topics
from streamapp.processors.registry import OWN_TYPES, Registry
from streamapp.prompts.reference import Reference
from streamapp.records.problems import no_such_route
from streamapp.records.request import Request
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import RECORD_LIMIT


def decoder(
    settings: Settings, topic: str, *, command: str, mend: str
) -> Callable[[bytes], object]:
    """Return the check of a value; another topic than that of requests has a shape of its own.

    Args:
        settings: Name the flows and processors.
        topic: Where the value is to stand.
        command: Who asks, for the message.
        mend: What to do in place of it where a value is no text.

    Raises:
        Ended: A flow reads frames of a schema registry there.
    """
    registry = Registry.load(settings.processor_modules)
    if topic == settings.topic("requests"):
        return request_decoder(settings, registry)
    for flow in flow_topics(settings, registry).values():
        if flow.input == topic and flow.format == "json":
            return _json
        if flow.input == topic and flow.format != "text":
            raise Ended(
                f"{command}: the flow of {topic} reads {flow.format}, in the frame of a schema"
                f" registry, and {command} writes text as it is: {mend}",
                EXIT_CONFIGURATION,
            )
    return _sized


def request_decoder(settings: Settings, registry: Registry) -> Callable[[bytes], Request]:
    """Return the check of a request's value."""
    return partial(_request, registry, frozenset(settings.models))


def flow_check(
    settings: Settings, name: str, source: SourceRecord, decode: Callable[[bytes], object]
) -> Callable[[bytes], object]:
    """Return ``decode`` and, behind it, what a flow says of a value in the place of ``source``.

    Where the flow is not configured here, or reads another topic by now, ``decode`` is all.
    """
    try:
        samples = FlowSamples(settings, Registry.load(settings.processor_modules), name)
    except ConfigurationError:
        return decode

    def check(value: bytes) -> object:
        decode(value)
        return samples.read(replace(source, value=value))

    return check if samples.input == source.topic else decode


def _request(registry: Registry, routes: Collection[str], value: bytes) -> Request:
    """Return a request that can be one; a prompt's name is looked up by the worker alone.

    Raises:
        TooLarge: A record cannot carry it.
        InvalidRecord: Its model is none of the ``routes``, where some are known, or as `decode`.
    """
    try:
        request = registry.decode(_sized(value))
    except UnknownType as error:
        raise UnknownType(f"{error}; {OWN_TYPES}") from None
    if request.model and routes and request.model not in routes:
        raise InvalidRecord(no_such_route(request.model, routes))
    if request.prompt:
        Reference.parse(request.prompt)
    return request


def _json(value: bytes) -> object:
    try:
        return json.loads(_sized(value))
    except (ValueError, RecursionError) as error:
        raise Undecodable(f"the value is not JSON: {error}") from error


def _sized(value: bytes) -> bytes:
    if len(value) > RECORD_LIMIT:
        raise TooLarge(f"longer than {RECORD_LIMIT:,} bytes")
    return value
