"""The headers of every response: the request's id, and restrictions for browsers."""

from collections.abc import Mapping, MutableMapping
from uuid import uuid4

from aiohttp import web

_ID = web.RequestKey("id", str)

#: Pages bring their own scripts and styles, named by hash; nothing else loads or frames.
NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

SECURITY: Mapping[str, str] = {
    "Content-Security-Policy": NOTHING,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Answers are somebody's data: no proxy or disk keeps them.
    "Cache-Control": "no-store",
}


def request_id(request: web.BaseRequest) -> str:
    """Return the id that the response to ``request`` tells its caller."""
    id: str = request.setdefault(_ID, f"req_{uuid4().hex}")
    return id


def fill(headers: MutableMapping[str, str]) -> None:
    """Add what a view has not set itself."""
    headers.setdefault("X-Request-Id", f"req_{uuid4().hex}")
    headers["Server"] = "streamapp"
    for name, value in SECURITY.items():
        headers.setdefault(name, value)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Fill the headers of a response; aiohttp calls it for every one to a request it could read."""
    response.headers["X-Request-Id"] = request_id(request)
    fill(response.headers)
