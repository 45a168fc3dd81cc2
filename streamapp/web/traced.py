"""A span for each request over HTTP that does something."""

from typing import TYPE_CHECKING

from aiohttp import web

from streamapp.telemetry.subject import TRACE_ID
from streamapp.telemetry.trace_headers import PARENT, STATE
from streamapp.web.middleware import Handler, Middleware

if TYPE_CHECKING:  # an extra
    from streamapp.telemetry.tracing import Tracing


def span_requests(tracing: "Tracing") -> Middleware:
    """Return the middleware that goes on with the caller's trace."""

    @web.middleware
    async def put_into_span(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "POST":  # probes, scrapes, dashboards
            return await handler(request)
        resource = request.match_info.route.resource
        route = resource.canonical if resource else "unknown"
        names = {name: request.headers[name] for name in (PARENT, STATE) if name in request.headers}
        span = tracing.begin(f"POST {route}", "server", parent=tracing.parent(names))
        with span, tracing.shared(span):
            span.set({"http.request.method": request.method, "http.route": route})
            # The task goes on with the connection's next request.
            token = TRACE_ID.set(span.trace_id)
            try:
                response = await handler(request)
            finally:
                TRACE_ID.reset(token)
            span.set({"http.response.status_code": response.status})
            if response.status >= 500:
                span.fail(str(response.status))
        return response

    return put_into_span
