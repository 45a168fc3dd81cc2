"""An OpenTelemetry collector for tests: takes OTLP over HTTP and keeps the spans.

It answers as it is told to: with a status, or never.
"""

import asyncio
import gzip
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

from tests.support.waiting import until


@dataclass(frozen=True, slots=True)
class Span:
    """One span as it arrived; ids are hexadecimal, ``parent`` is empty for a root."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    start_ns: int
    end_ns: int
    is_error: bool
    attributes: dict[str, Any]
    events: tuple[str, ...]
    resource: dict[str, Any]


class Collector:
    """The server; an async context manager that runs it in the current loop.

    Attributes:
        spans: In the order of their end.
        headers: Of the last request.
        requests: How many came.
        status: What it answers; None for never.
    """

    def __init__(self, *, status: int | None = 200) -> None:
        self.spans: list[Span] = []
        self.headers: dict[str, str] = {}
        self.requests = 0
        self.status = status
        self._released = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.endpoint = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._released.set()
        await self._runner.cleanup()

    async def of_trace(self, trace_id: str, *names: str, timeout_s: float = 30) -> list[Span]:
        """Wait until the trace has spans of these names; return all of it."""

        def found() -> list[Span]:
            return [span for span in self.spans if span.trace_id == trace_id]

        await until(lambda: set(names) <= {span.name for span in found()}, timeout_s, state=found)
        return found()

    async def _take(self, request: web.Request) -> web.Response:
        self.requests += 1
        self.headers = dict(request.headers)
        body = await request.read()
        if self.status is None:
            await self._released.wait()
        elif self.status == 200:
            is_packed = request.headers.get("Content-Encoding") == "gzip"
            self._keep(gzip.decompress(body) if is_packed else body)
        return web.Response(status=self.status or 503)

    def _keep(self, body: bytes) -> None:
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _attributes(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [_span(span, resource) for span in scope.spans]


def _span(span: ProtoSpan, resource: dict[str, Any]) -> Span:
    return Span(
        name=span.name,
        kind=ProtoSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        is_error=span.status.code == 2,
        attributes=_attributes(span.attributes),
        events=tuple(event.name for event in span.events),
        resource=resource,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
