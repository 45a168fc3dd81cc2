"""How many connections a worker holds: files that HTTP takes are files that Kafka cannot have."""

import resource
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
        return _Capped(server, self._limit)  # type: ignore[return-value]  # stands in for it


class _Capped:
    """A server that makes room before it takes a connection."""

    def __init__(self, server: Server, limit: int) -> None:
        self._server = server
        self._limit = limit

    def __call__(self) -> RequestHandler:
        connections = self._server.connections
        if len(connections) >= self._limit:
            # Those with a request on them have deadlines of their own; with none idle, the
            # oldest goes all the same: an attacker's own, by then, rather than the next caller.
            idle = (c for c in connections if c._current_request is None)
            next(idle, connections[0]).force_close()
        return self._server()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)
