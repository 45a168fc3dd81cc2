"""The interface of whoever hears of agents and tool calls: metrics and traces."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class ToolObserver(Protocol):
    """Hears of agents and of their tools; never of what tools are given or give."""

    def agent(self, model: str) -> AbstractContextManager[object]:
        """Return what is entered for the time of one loop."""
        ...

    def tool(self, name: str) -> AbstractContextManager[object]:
        """Return what is entered for the time of one tool call."""
        ...

    def called(self, name: str, outcome: str, duration_s: float) -> None:
        """A tool call ended."""
        ...


class Unobserved:
    """Nobody hears of them."""

    def agent(self, model: str) -> AbstractContextManager[object]:
        """Nothing is entered."""
        return nullcontext()

    def tool(self, name: str) -> AbstractContextManager[object]:
        """Nothing is entered."""
        return nullcontext()

    def called(self, name: str, outcome: str, duration_s: float) -> None:
        """Nobody counts it."""
