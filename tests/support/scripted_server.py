"""A server that gives its replies in turn, whatever is asked, and keeps the requests."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import orjson
from aiohttp import web


class ScriptedReply(Protocol):
    """One HTTP answer."""

    @property
    def status(self) -> int: ...
    @property
    def json(self) -> Any: ...
    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class ScriptedServer:
    """Gives ``replies`` in order; the last one repeats."""

    def __init__(self, replies: Sequence[ScriptedReply]) -> None:
        self._replies = replies
        self.requests: list[Any] = []

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.root_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        reply = self._replies[min(len(self.requests), len(self._replies) - 1)]
        self.requests.append(orjson.loads(await request.read()))
        headers = {"content-type": "application/json", **reply.headers}
        body = reply.body or orjson.dumps(reply.json)
        return web.Response(body=body, status=reply.status, headers=headers)
