"""Server-sent events: a response that begins with its first event, so that errors keep a status."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import orjson
from aiohttp import web

from streamapp.errors import Failure, RetriesExhausted
from streamapp.llm.chunks import CallDelta
from streamapp.web.errors import failure_body


class EventStream:
    """A response of ``text/event-stream``; nothing is sent before the first event.

    As a context manager it turns a failure of the block into a last event ``error``, once a
    first event is sent; before that the failure leaves the block and has a status of its own.
    """

    def __init__(self, request: web.Request) -> None:
        self._request = request
        #: Returns the last events of a stream that breaks off, each with its name.
        self.on_failure: Callable[[Failure], Sequence[tuple[str, bytes]]] = _error_event
        self._response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",  # a proxy such as nginx would hold events back
            }
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not self.has_begun or not isinstance(exc, Exception):
            return False
        if isinstance(exc, Failure):
            for name, data in self.on_failure(exc):
                await self.send(data, event=name)
        elif not isinstance(exc, ConnectionError):  # that is a client that left
            if self._request.transport:
                self._request.transport.close()
            return False
        return True

    @property
    def has_begun(self) -> bool:
        """Whether the status and a first event are sent."""
        return self._response.prepared

    def add_header(self, name: str, value: str) -> None:
        """Add a header; it has to come before the first event."""
        self._response.headers[name] = value

    async def send(self, data: bytes, *, event: str | None = None) -> None:
        """Send one event; ``data`` is one line."""
        if not self.has_begun:
            await self._response.prepare(self._request)
        name = f"event: {event}\n".encode() if event else b""
        await self._response.write(b"%bdata: %b\n\n" % (name, data))

    async def end(self) -> web.StreamResponse:
        """End the stream and return the response for aiohttp."""
        with suppress(ConnectionError):
            await self._response.write_eof()
        return self._response


def _error_event(failure: Failure) -> list[tuple[str, bytes]]:
    return [("error", orjson.dumps(failure_body(failure)))]


class ChunksSent:
    """Sends a streamed answer chunk by chunk; what was sent cannot be taken back.

    Args:
        send: Sends text.
        send_call: Sends a delta of a tool call; None where calls are told at the end.
        on_hit: Called before the first chunk of an answer that another call paid for.
    """

    def __init__(
        self,
        send: Callable[[str], Awaitable[None]],
        *,
        send_call: Callable[[CallDelta], Awaitable[None]] | None = None,
        on_hit: Callable[[], None] = lambda: None,
    ) -> None:
        self._send = send
        self._send_call = send_call
        self._on_hit = on_hit
        self.any = False

    @property
    def is_open(self) -> bool:
        """Whether nothing is sent."""
        return not self.any

    async def begin(self, *, is_cached: bool = False) -> None:
        """Refuse a second attempt once a chunk of the first one is sent.

        Raises:
            RetriesExhausted: The answer broke off half way.
        """
        if self.any:
            raise RetriesExhausted("the answer broke off after its first chunks were sent")
        if is_cached:
            self._on_hit()

    async def add(self, text: str) -> None:
        """Send the next chunk."""
        self.any = True
        await self._send(text)

    async def retract(self) -> None:
        """Keep what was sent: an answer that is paid for does not end for its thoughts."""

    async def add_call(self, delta: CallDelta) -> None:
        """Send the next delta of a tool call."""
        if self._send_call:
            self.any = True
            await self._send_call(delta)
