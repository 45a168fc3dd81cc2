"""A span for each step of a record that makes several."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # an extra
    from streamapp.telemetry.tracing import Tracing


class TracedSteps:
    """Puts steps into spans; tools have their own, by OpenTelemetry's name for them."""

    def __init__(self, tracing: "Tracing") -> None:
        self._tracing = tracing

    def made(self, kind: str, name: str, number: str) -> AbstractContextManager[object]:
        """Return the span of a step that is made and stored."""
        if kind == "tool":  # see tools/traced.py
            return nullcontext()
        span = self._tracing.span(_title(kind, name))
        if span.is_sampled:
            span.set(_attributes(kind, name, number, "done"))
        return span

    def replayed(self, kind: str, name: str, number: str) -> None:
        """Add a span without length: the step was made before, by another worker perhaps."""
        self._tracing.past(_title(kind, name), 0.0, _attributes(kind, name, number, "replayed"))


def _title(kind: str, name: str) -> str:
    """Return the name of the span: of a call that of its kind, as its route stands below it."""
    return "step model" if kind == "model" else f"step {name}"


def _attributes(kind: str, name: str, number: str, outcome: str) -> dict[str, str]:
    return {
        "streamapp.step.number": number,
        "streamapp.step.kind": kind,
        "streamapp.step.name": name,
        "streamapp.step.outcome": outcome,
    }
