"""The limit of open connections: files that HTTP takes are files that Kafka cannot have."""

import resource
from asyncio import Transport
from collections.abc import Sequence
from typing import Any

from aiohttp.web import AppRunner, RequestHandler, Server

#: Most connections, where the process may open enough files: HTTP takes half of those.
CONNECTIONS = 2048


def connection_limit() -> int:
    """Return how many connections may be open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else min(CONNECTIONS, soft // 2)


class CappedRunner(AppRunner):
    """Runs an app whose server closes its oldest idle connection for a new one past the limit."""

    def __init__(self, *args: Any, limit: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limit = limit

    async def _make_server(self) -> Server:
        server: Any = await super()._make_server()
        register = server.connection_made

        def connection_made(handler: RequestHandler, transport: Transport) -> None:
            register(handler, transport)
            make_room(server.connections, self._limit)

        server.connection_made = connection_made
        return server  # type: ignore[no-any-return]  # untyped only to be added to


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
