"""A server that keeps each request and answers what it was told to."""

from typing import Any, Self

import orjson
from aiohttp import web


class Recorder:
    """Keeps path with query, headers and body of each request; answers ``answer`` as JSON."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.requests: list[tuple[str, dict[str, str], Any]] = []

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.root_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = orjson.loads(await request.read())
        self.requests.append((request.path_qs, headers, body))
        return web.json_response(self.answer)
