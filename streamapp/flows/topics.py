"""The topics of flows by name, without what reads and writes them."""

from collections.abc import Mapping
from dataclasses import dataclass

from streamapp.flows.coroutine_flow import PythonFlow
from streamapp.processors.registry import Registry
from streamapp.settings import Settings


@dataclass(frozen=True, slots=True)
class FlowTopics:
    """Where a flow reads and writes."""

    input: str
    outputs: tuple[str, ...]
    dead_letters: str


def flow_topics(settings: Settings, registry: Registry) -> Mapping[str, FlowTopics]:
    """Return the topics of the user's flows, those in Python first."""
    found = {
        flow.name: FlowTopics(flow.input, flow.outputs, flow.dead_letters)
        for flow in registry.processors
        if isinstance(flow, PythonFlow)
    }
    for name, table in settings.flows.items():
        found[name] = FlowTopics(table.input, (table.output,), table.dead_letter_topic)
    return found
