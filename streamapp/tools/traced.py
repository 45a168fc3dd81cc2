"""Spans of agents and of their tools, by OpenTelemetry's names for generative AI.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-agent-spans/
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from streamapp.tools.observer import ToolObserver

if TYPE_CHECKING:  # an extra
    from streamapp.telemetry.tracing import Tracing


class TracedTools:
    """Puts each loop and each tool call into a span."""

    def __init__(self, observer: ToolObserver, tracing: "Tracing") -> None:
        self._observer = observer
        self._tracing = tracing

    def agent(self, name: str, model: str) -> AbstractContextManager[object]:
        """Return the span of a loop."""
        span = self._tracing.span(f"invoke_agent {name}".rstrip())
        if span.is_sampled:
            span.set({"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": model})
            if name:
                span.set({"gen_ai.agent.name": name})
        return span

    def tool(self, name: str, number: str) -> AbstractContextManager[object]:
        """Return the span of a tool call, which is a step."""
        span = self._tracing.span(f"execute_tool {name}")
        if span.is_sampled:
            span.set(
                {
                    "gen_ai.operation.name": "execute_tool",
                    "gen_ai.tool.name": name,
                    "gen_ai.tool.type": "function",
                    "streamapp.step.number": number,
                    "streamapp.step.kind": "tool",
                    "streamapp.step.outcome": "done",
                }
            )
        return span

    def called(self, name: str, outcome: str, duration_s: float) -> None:
        """Mark the span of a call that gave no result."""
        self._observer.called(name, outcome, duration_s)
        span = self._tracing.current.get()
        if span is not None and outcome != "ok":
            span.fail(outcome)

    def waited(self, server: str, wait_s: float) -> None:
        """Add the wait for a server as a span."""
        self._observer.waited(server, wait_s)
        self._tracing.past("wait for tools", wait_s, {"streamapp.mcp_server": server})

    def missed(self, names: Sequence[str]) -> None:
        """Put the names into the span of the record."""
        self._observer.missed(names)
        span = self._tracing.current.get()
        if span is not None and span.is_sampled:
            span.set({"streamapp.missing_tools": ", ".join(names)})
