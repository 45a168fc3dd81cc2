"""A span for each run of a processor."""

from typing import TYPE_CHECKING, Any

from streamapp.errors import Failure
from streamapp.processors.request_handler import RequestHandler
from streamapp.processors.router import Answer
from streamapp.records.request import Request

if TYPE_CHECKING:  # an extra
    from streamapp.telemetry.tracing import Tracing


class TracedRouter:
    """Puts each run of a processor into a span that is named by the record's type."""

    def __init__(self, router: RequestHandler, tracing: "Tracing") -> None:
        self._router = router
        self._tracing = tracing

    def decode(self, value: bytes | None) -> Request:
        """Return the request; raises as the router."""
        return self._router.decode(value)

    async def answer(self, request: Request, *, id: str, **kwargs: Any) -> Answer:
        """Return the answer; raises as the router."""
        with self._tracing.span(request.type) as span:
            if not span.is_sampled:
                return await self._router.answer(request, id=id, **kwargs)
            span.set({"streamapp.record.id": id, "streamapp.record.type": request.type})
            try:
                answer = await self._router.answer(request, id=id, **kwargs)
            except Failure as failure:
                span.set(
                    {"streamapp.kind": failure.kind.value, "streamapp.attempts": failure.attempts}
                )
                raise
            response = answer.response
            span.set({"streamapp.cached": response.cached, "streamapp.attempts": response.attempts})
        return answer
