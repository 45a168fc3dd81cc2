"""A token endpoint for client credentials, whose tokens Kafka's unsecured validator takes."""

import base64
import json
import time
from typing import Any, Self

from aiohttp import web

CLIENT_ID, CLIENT_SECRET = "worker", "CANARY-oauth-secret"


def unsigned_token(*, subject: str = "streams", lifetime_s: float = 60) -> str:
    """Return a JSON web token without a signature.

    In whole seconds, as servers do: the broker takes none that begins later in its millisecond.
    """
    now = int(time.time())
    claims = {"sub": subject, "iat": now, "exp": now + lifetime_s}
    return f"{_part({'alg': 'none'})}.{_part(claims)}."


class TokenServer:
    """Listens on loopback; an async context manager.

    Attributes:
        given: Tokens given so far.
        lifetime_s: Of the tokens to come.
        is_wrong: Whether they are none that a broker takes.
    """

    def __init__(self) -> None:
        self.given = 0
        self.lifetime_s = 60.0
        self.is_wrong = False
        app = web.Application()
        app.router.add_post("/token", self._answer)
        self._runner = web.AppRunner(app)

    @property
    def url(self) -> str:
        """The endpoint's address."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}/token"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        pair = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {pair}":
            return web.json_response({"error": "invalid_client"}, status=401)
        if form.get("grant_type") != "client_credentials" or form.get("scope") != "kafka":
            return web.json_response({"error": "invalid_request"}, status=400)
        self.given += 1
        token = unsigned_token(lifetime_s=-60 if self.is_wrong else self.lifetime_s)
        return web.json_response({"access_token": token, "expires_in": self.lifetime_s})


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
