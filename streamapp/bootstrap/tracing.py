"""Tracing around the parts of an app: from a record's headers to those of its answer.

Off is the default and costs a record nothing: `Untraced` gives back what it is given.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from streamapp.errors import ConfigurationError
from streamapp.llm.costs.prices import Prices
from streamapp.llm.durable.observer import StepSpans
from streamapp.llm.durable.traced import TracedSteps
from streamapp.llm.observer import CallObserver
from streamapp.llm.provider import Completer
from streamapp.llm.traced import TracedObserver, TracedProvider
from streamapp.processors.request_handler import RequestHandler
from streamapp.processors.traced import TracedRouter
from streamapp.settings import Settings
from streamapp.settings.opentelemetry import tracing_settings
from streamapp.streaming.delivery.emitter import RecordEmitter, Send
from streamapp.streaming.tracing import Run, TracedEmitter, TracedRun, traced_send
from streamapp.tools.observer import ToolObserver
from streamapp.tools.traced import TracedTools
from streamapp.web.middleware import Middleware
from streamapp.web.traced import span_requests

if TYPE_CHECKING:  # an extra
    from streamapp.telemetry.tracing import Tracing


def traces(settings: Settings) -> "Untraced":
    """Return what puts spans around the parts of an app, or leaves them as they are.

    Raises:
        ConfigurationError: Traces are wanted, and what they need is not installed.
    """
    wanted = tracing_settings()
    if not wanted.is_on:
        return Untraced()
    try:
        from streamapp.telemetry.tracing import Tracing, otlp
    except ImportError:
        raise ConfigurationError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set: from a clone pip install '.[otel]', or unset it"
        ) from None
    tracing = Tracing(otlp(), service=settings.app_id, captures_content=wanted.captures_content)
    return Traced(tracing, settings)


class Untraced:
    """Traces are off."""

    def provider(self, name: str, provider: Completer, prices: Prices) -> Completer:
        """Return what attempts at a provider go through."""
        return provider

    def observer(self, observer: CallObserver) -> CallObserver:
        """Return who hears of waits and retries."""
        return observer

    def router(self, router: RequestHandler) -> RequestHandler:
        """Return what answers requests."""
        return router

    def steps(self) -> StepSpans | None:
        """Return what puts steps into spans."""
        return None

    def tools(self, observer: ToolObserver) -> ToolObserver:
        """Return who hears of agents and tools."""
        return observer

    def emitter(self, emitter: RecordEmitter, *, dead_letters: Collection[str]) -> RecordEmitter:
        """Return what delivers outcomes."""
        return emitter

    def run(self, run: Run) -> Run:
        """Return what brings a record to its outcome."""
        return run

    def send(self, send: Send) -> Send:
        """Return what writes records that came over HTTP."""
        return send

    @property
    def middlewares(self) -> Sequence[Middleware]:
        """What requests over HTTP go through first."""
        return ()

    async def aclose(self) -> None:
        """Send what is not sent yet."""


class Traced(Untraced):
    """Traces are on."""

    def __init__(self, tracing: "Tracing", settings: Settings) -> None:
        self._tracing = tracing
        self._settings = settings

    def provider(self, name: str, provider: Completer, prices: Prices) -> Completer:
        """Put each attempt into a span."""
        settings, tracing = self._settings.providers[name], self._tracing
        return TracedProvider(
            provider, name=name, settings=settings, prices=prices, tracing=tracing
        )

    def observer(self, observer: CallObserver) -> CallObserver:
        """Show waits as spans, retries as events."""
        return TracedObserver(observer, self._tracing)

    def router(self, router: RequestHandler) -> RequestHandler:
        """Put each processor's run into a span."""
        return TracedRouter(router, self._tracing)

    def steps(self) -> StepSpans | None:
        """Put each step of a record that makes several into a span."""
        return TracedSteps(self._tracing)

    def tools(self, observer: ToolObserver) -> ToolObserver:
        """Put each agent, and each tool call, into a span."""
        return TracedTools(observer, self._tracing)

    def emitter(self, emitter: RecordEmitter, *, dead_letters: Collection[str]) -> RecordEmitter:
        """Put each delivery into a span, and name it in the answer's headers."""
        return TracedEmitter(emitter, self._tracing, dead_letters=dead_letters)

    def run(self, run: Run) -> Run:
        """Put each record into a span that goes on with its producer's trace."""
        return TracedRun(run, self._tracing, group=self._settings.app_id)

    def send(self, send: Send) -> Send:
        """Let the record go on with the trace of its request."""
        return traced_send(send, self._tracing)

    @property
    def middlewares(self) -> Sequence[Middleware]:
        """Put each request that does something into a span."""
        return (span_requests(self._tracing),)

    async def aclose(self) -> None:
        """Send the last spans, for a bounded time."""
        await self._tracing.aclose()
