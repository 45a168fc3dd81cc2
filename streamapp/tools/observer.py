"""The interface of what hears of agents and tool calls, and their metrics."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)


class ToolObserver(Protocol):
    """Hears of agents and of their tools; never of what tools are given or give."""

    def agent(self, name: str, model: str) -> AbstractContextManager[object]:
        """Return what is entered for the time of one loop.

        Args:
            name: Of its prompt; empty without one.
            model: Its route's name.
        """
        ...

    def tool(self, name: str, number: str) -> AbstractContextManager[object]:
        """Return what is entered for the time of one tool call.

        Args:
            name: The tool's.
            number: Of its step.
        """
        ...

    def called(self, name: str, outcome: str, duration_s: float) -> None:
        """A tool call ends; within what `tool` returned."""
        ...

    def waited(self, server: str, wait_s: float) -> None:
        """A record waited for an MCP server that was not reached before."""
        ...

    def missed(self, names: Sequence[str]) -> None:
        """A record is answered without tools of these names or patterns: no server has them."""
        ...


class ToolMeter(Protocol):
    """Counts tool calls; ``telemetry/metrics.py`` implements it."""

    def tool_called(self, tool: str, outcome: str, duration_s: float) -> None:
        """A tool call ended."""
        ...

    def server_awaited(self, server: str, wait_s: float) -> None:
        """A record waited for an MCP server."""
        ...

    def tool_missed(self, tool: str) -> None:
        """A record was answered without a tool of that name or pattern."""
        ...


class MeteredTools:
    """Counts tool calls, and tells of tools that are missing.

    Args:
        meter: The worker's; nobody counts or is told where None.
    """

    def __init__(self, meter: ToolMeter | None = None) -> None:
        self._meter = meter

    def agent(self, name: str, model: str) -> AbstractContextManager[object]:
        """Nothing is entered."""
        return nullcontext()

    def tool(self, name: str, number: str) -> AbstractContextManager[object]:
        """Nothing is entered."""
        return nullcontext()

    def called(self, name: str, outcome: str, duration_s: float) -> None:
        """Count it."""
        if self._meter is not None:
            self._meter.tool_called(name, outcome, duration_s)

    def waited(self, server: str, wait_s: float) -> None:
        """Count the time."""
        if self._meter is not None:
            self._meter.server_awaited(server, wait_s)

    def missed(self, names: Sequence[str]) -> None:
        """Count each, and log them all."""
        if self._meter is not None:
            log.warning("tools.missing", tools=list(names))
            for name in names:
                self._meter.tool_missed(name)
