"""The samples of a flow: lines of a file as records of its input, and what it writes for them."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from streamapp.cli.lines import Line
from streamapp.errors import ConfigurationError
from streamapp.flows.coroutine_flow import PythonFlow, PythonFormats
from streamapp.flows.file_flow import FileFlow
from streamapp.flows.flow import Flow
from streamapp.flows.formats.choice import Formats
from streamapp.flows.source_record import SourceRecord
from streamapp.flows.topics import flow_topics
from streamapp.processors.registry import Registry
from streamapp.records.request import Request
from streamapp.records.response import Response
from streamapp.settings import Settings
from streamapp.settings.flows import REQUESTS, FlowSettings, Format


class FlowSamples:
    """Reads lines as a flow reads records, without a schema registry.

    A format with a frame is read as JSON: what is in the frame. Schemas are not looked at.

    Args:
        settings: Name the flows of the file.
        registry: Knows those in Python, and the record types.
        name: Of the flow.

    Attributes:
        is_framed: Whether the flow's own format, or that of its output, is another one.

    Raises:
        ConfigurationError: There is no such flow, or it is wrong.
    """

    def __init__(self, settings: Settings, registry: Registry, name: str) -> None:
        own = flow_topics(settings, registry)
        if name not in own:
            known = ", ".join((REQUESTS, *own))
            raise ConfigurationError(f"there is no flow '{name}'; there are {known}")
        self.is_framed = {own[name].format, own[name].output_format} - {"json", "text"} != set()
        self._flow = _plain(settings, registry, name)

    @property
    def input(self) -> str:
        """The topic that the flow reads."""
        return self._flow.input

    def source(self, line: Line, key: bytes | None) -> SourceRecord:
        """Return the line as a record of the input's partition 0."""
        return SourceRecord(
            self._flow.input, 0, line.number - 1, key, line.value, timestamp_s=time.time()
        )

    def own_id(self, source: SourceRecord) -> str | None:
        """Return the id that the flow's template gives; None of a flow in Python."""
        return self._flow.own_id(source)

    def read(self, source: SourceRecord) -> Request | None:
        """Return the request that the flow makes of it; raises a `Failure`, as the flow."""
        return self._flow.read(source)

    def written(self, source: SourceRecord, response: Response) -> Sequence[Mapping[str, Any]]:
        """Return what the flow writes for an answer: topic, key and value of each record."""
        return [
            {"topic": one.topic, "key": _shown(one.key, is_key=True), "value": _shown(one.value)}
            for one in self._flow.write(source, response)
        ]


def _plain(settings: Settings, registry: Registry, name: str) -> Flow:
    """Return the flow with its framed formats read and written as JSON."""
    if (table := settings.flows.get(name)) is not None:
        return FileFlow(name, _plain_table(table), registry)
    [flow] = (
        one for one in registry.processors if isinstance(one, PythonFlow) and one.name == name
    )
    said = flow.formats
    formats = PythonFormats(_plain_format(said.format), _plain_format(said.output_format))
    return replace(flow, formats=formats).with_formats(Formats())


def _plain_table(table: FlowSettings) -> FlowSettings:
    return table.model_copy(
        update={
            "format": _plain_format(table.format),
            "key_format": _plain_format(table.key_format),
            "output_format": _plain_format(table.output_format),
            "message": None,
            "output_message": None,
            "output_schema": None,
            "register_schemas": False,
        }
    )


def _plain_format(format: Format) -> Format:
    return "text" if format == "text" else "json"


def _shown(value: bytes | None, *, is_key: bool = False) -> Any:
    """Return bytes for a JSON object: their own JSON where they are some, else as text."""
    if value is None:
        return None
    text = value.decode("utf-8", "replace")
    if is_key:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
