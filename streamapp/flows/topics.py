"""The topics of flows by name, without what reads and writes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from streamapp.flows.coroutine_flow import PythonFlow
from streamapp.processors.registry import Registry
from streamapp.settings import Settings
from streamapp.settings.flows import Format


@dataclass(frozen=True, slots=True)
class FlowTopics:
    """Where a flow reads and writes, and what.

    Attributes:
        shape: Of what it writes; None where that is what a coroutine returned.
        reads: The type of its values; None where that is not known.
        emits: Of what it writes, likewise.
    """

    input: str
    outputs: tuple[str, ...]
    dead_letters: str
    reply_topics: tuple[str, ...] = ()
    format: Format = "json"
    output_format: Format = "json"
    shape: Literal["response", "output", "merge"] | None = "response"
    reads: TypeAdapter[Any] | None = None
    emits: TypeAdapter[Any] | None = None


def flow_topics(settings: Settings, registry: Registry) -> Mapping[str, FlowTopics]:
    """Return the topics of the user's flows, those in Python first."""
    found = {
        flow.name: FlowTopics(
            flow.input,
            flow.outputs,
            flow.dead_letters,
            flow.reply_topics,
            flow.formats.format,
            flow.formats.output_format,
            shape=None,
            reads=flow.annotations.value,
            emits=flow.annotations.emitted,
        )
        for flow in registry.processors
        if isinstance(flow, PythonFlow)
    }
    for name, table in settings.flows.items():
        found[name] = FlowTopics(
            table.input,
            (table.output,),
            table.dead_letter_topic,
            table.reply_topics,
            table.format,
            table.output_format,
            table.shape,
        )
    return found
