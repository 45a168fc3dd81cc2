"""The session of a provider: its connections, and requests that are sent only while they may be."""

import asyncio
from collections.abc import Mapping
from contextvars import Context

import aiohttp
import structlog
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest, ClientResponse, ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from streamapp.llm.attempt import permitted

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S = 10.0

_KEEPALIVE_S = 30.0
_DNS_TTL_S = 60


class PermittedRequest(ClientRequest):
    """A request that asks again for its permission once it has a connection.

    A connection takes its time, and a worker may be frozen meanwhile.
    """

    async def send(self, conn: Connection) -> ClientResponse:
        """Send it over ``conn``; raises `LeaseLost` where another worker answers the record."""
        await permitted()
        return await super().send(conn)


class NewestFirst(aiohttp.TCPConnector):
    """Connections of which the last one used is used again, so that the others time out.

    aiohttp takes the one that has waited longest: after a burst each of a few calls a second
    keeps another of its connections, for as long as there are calls.

    And it takes one on which something came that nobody had asked for, such as an answer that a
    proxy sent twice: the next call would get that, and each one after it the answer of the call
    before.

    And it opens each in the context of the call that wanted it: a record, with its answer, would
    be kept for as long as its connection is open.
    """

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        opening = asyncio.get_running_loop().create_task(
            super()._create_connection(req, traces, timeout), context=Context()
        )
        try:
            # Cancelled with its call in its own last turn, it would lose what it has opened.
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close)
            opening.cancel()
            raise

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            if connection.protocol is None or not connection.protocol.should_close:
                break
            log.warning("provider.unasked_answer", host=key.host)
            connection.close()
        return connection

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, should_close: bool = False
    ) -> None:
        super()._release(key, protocol, should_close=should_close)
        kept = self._conns.get(key)
        if kept and kept[-1][0] is protocol:
            kept.rotate(1)


def _close(opened: "asyncio.Task[ResponseHandler]") -> None:
    """Close a connection whose call was cut off as it opened."""
    if not opened.cancelled() and opened.exception() is None:
        opened.result().close()


def open_session(
    headers: Mapping[str, str], connector: aiohttp.BaseConnector | None = None
) -> aiohttp.ClientSession:
    """Return a session of the running loop.

    Args:
        headers: Sent with each request.
        connector: Its connections; by default as many as are asked for, over TCP.
    """
    return aiohttp.ClientSession(
        # No pool limit: the in-flight window and the limiter bound the connections.
        connector=connector
        or NewestFirst(limit=0, ttl_dns_cache=_DNS_TTL_S, keepalive_timeout=_KEEPALIVE_S),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        request_class=PermittedRequest,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
    )
