"""The interfaces of what hears of steps: metrics and traces."""

from contextlib import AbstractContextManager
from typing import Protocol


class StepObserver(Protocol):
    """Hears what becomes of steps; metrics implement it."""

    def stepped(self, kind: str, outcome: str) -> None:
        """A step of ``kind`` (``model``, ``step``, ``tool``) ended.

        Args:
            kind: Of the step.
            outcome: ``done``, ``replayed`` (its stored result was given) or ``failed``.
        """
        ...

    def diverged(self) -> None:
        """A redelivered record asked something else than before."""
        ...


class StepSpans(Protocol):
    """Puts steps into spans; see ``llm/durable/traced.py``."""

    def made(self, kind: str, name: str, number: str) -> AbstractContextManager[object]:
        """Return what is entered while a step is made and stored."""
        ...

    def replayed(self, kind: str, name: str, number: str) -> None:
        """A stored step was given again."""
        ...
