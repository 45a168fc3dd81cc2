"""Connections: as many as leave Kafka its files, and refusals that aiohttp makes by itself."""

import asyncio
import resource
from asyncio import Transport
from collections.abc import Coroutine, Sequence
from typing import Any

from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError, LineTooLong
from aiohttp.web import (
    AppRunner,
    BaseRequest,
    HTTPException,
    RequestHandler,
    Server,
    StreamResponse,
)

from streamapp.errors import Kind
from streamapp.web.errors import error_response, http_error_response
from streamapp.web.headers import fill

#: Most connections, where the process may open enough files: HTTP takes half of those.
CONNECTIONS = 2048


def connection_limit() -> int:
    """Return how many connections may be open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else min(CONNECTIONS, soft // 2)


class Connection(RequestHandler):
    """A connection, on which what aiohttp refuses by itself has the body of any other error."""

    __slots__ = ()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """Return the last answer of the connection.

        Raises:
            ConnectionError: An answer has begun already.
        """
        if isinstance(exc, HttpProcessingError):
            # Not for aiohttp: it logs and sends back what stands there, credentials too.
            response = error_response(400, _problem(exc), code="bad_request")
        else:
            super().handle_error(request, status, exc, message)
            response = error_response(status, "internal error", code=Kind.INTERNAL.value)
        fill(response.headers)
        response.force_close()
        return response

    def finish_response(
        self, request: BaseRequest, resp: StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[StreamResponse, bool]]:
        """Send an answer; an ``Expect`` that nobody knows is refused before any middleware."""
        if isinstance(resp, HTTPException):
            resp = http_error_response(resp)
        return super().finish_response(request, resp, start_time)


class CappedServer(Server):
    """A server that closes its oldest idle connection for a new one past the limit."""

    def __init__(self, made: Server, *, limit: int) -> None:
        super().__init__(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,
        )
        self._limit = limit

    def __call__(self) -> Connection:
        """Return what speaks on a new connection."""
        return Connection(self, loop=asyncio.get_running_loop(), **self._kwargs)

    def connection_made(self, handler: RequestHandler, transport: Transport) -> None:
        """Count a connection."""
        super().connection_made(handler, transport)
        make_room(self.connections, self._limit)


class CappedRunner(AppRunner):
    """Runs an app on a `CappedServer`."""

    def __init__(self, *args: Any, limit: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limit = limit

    async def _make_server(self) -> Server:
        return CappedServer(await super()._make_server(), limit=self._limit)


def make_room(connections: Sequence[Any], limit: int) -> None:
    """Close the oldest ones past the limit, those without a request first, never the newest.

    Args:
        connections: aiohttp's request handlers, the oldest first.
        limit: How many may stay.
    """
    # Many arrive in one turn of the loop, before the first one is gone: what is being closed
    # already makes no more room.
    *others, _ = live = [c for c in connections if not c._force_close]
    if (excess := len(live) - limit) > 0:
        # Those with a request on them have deadlines of their own; with none idle, the oldest
        # goes all the same: an attacker's own, by then, rather than the next caller.
        idle = [c for c in others if c._current_request is None]
        for connection in (idle or others)[:excess]:
            connection.force_close()


def _problem(error: HttpProcessingError) -> str:
    """Return what is no HTTP, without what stands there."""
    if isinstance(error, LineTooLong):
        return "a line of the head is longer than 8 KiB"
    # The parser's own words come first, then what it has read; aiohttp's name headers alone.
    said, shows, _ = error.message.partition(":\n\n")
    is_told = shows or type(error) is BadHttpMessage
    return f"this is no HTTP/1.1{': ' + ' '.join(said.split()) if is_told else ''}"
