"""The HTTP client of MCP servers: the SDK's, with answers of bounded size."""

from collections.abc import AsyncIterator, Mapping

from httpx2 import (
    AsyncBaseTransport,
    AsyncByteStream,
    AsyncClient,
    AsyncHTTPTransport,
    Request,
    Response,
    StreamError,
    Timeout,
)

from streamapp.tools.mcp_program import MESSAGE_BYTES

#: Longest silence of a server that holds a stream of events open, seconds; the SDK's own bound.
#: Its events are bounded by the SDK.
EVENTS_S = 300.0


def http_client(headers: Mapping[str, str], *, timeout_s: float) -> AsyncClient:
    """Return a client; the caller closes it.

    Args:
        headers: Of each request.
        timeout_s: Of a connection, and of what is sent; seconds.
    """
    return AsyncClient(
        headers={"accept-encoding": "identity", **headers},
        timeout=Timeout(timeout_s, read=EVENTS_S),
        transport=BoundedTransport(AsyncHTTPTransport()),
    )


class BoundedTransport(AsyncBaseTransport):
    """Reads no more of an answer than `MESSAGE_BYTES`.

    Args:
        transport: Makes the requests; closed with this one.
    """

    def __init__(self, transport: AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: Request) -> Response:
        """Return the answer; reading more of it than allowed raises `StreamError`."""
        response = await self._transport.handle_async_request(request)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, AsyncByteStream)
            response.stream = _Bounded(response.stream)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


class _Bounded(AsyncByteStream):
    def __init__(self, stream: AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > MESSAGE_BYTES:
                raise StreamError(f"more than {MESSAGE_BYTES:,} bytes: ask for less")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
