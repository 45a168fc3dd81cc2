"""The middlewares of every request: authentication, and errors as the contract's bodies."""

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from streamapp.errors import Failure, Kind
from streamapp.web.errors import Refusal, error_response, failure_response, http_error_response

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Middleware = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

_PORT = re.compile(r":\d*$")

#: Open to everyone: the probes, and the static shells that hold no data.
OPEN_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/", "/docs"})


@web.middleware
async def map_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with the contract's error body whatever goes wrong inside."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return refusal.response
    except Failure as failure:
        return failure_response(failure)
    except web.HTTPException as error:
        return http_error_response(error)
    except Exception as error:
        # Its text may hold values of the request: only where it came from is told.
        log.error("web.unexpected_error", error=type(error).__name__, where=_origin(error))
        return error_response(500, "internal error", code=Kind.INTERNAL.value)


def refuse_foreign_pages(own_hosts: Collection[str], *, web_url: str = "") -> Middleware:
    """Return the middleware that lets no page of another site use the reader's browser.

    A browser names the page's origin with every request that can do something: it must be the
    address that was asked. Where no keys are set, a name of a foreign site that resolves to
    this machine is refused too.

    Args:
        own_hosts: Names under which this worker is reached; empty where keys are asked for.
        web_url: Where it is reached through a proxy that does not pass the name on.
    """
    proxied = urlsplit(web_url).netloc

    @web.middleware
    async def check_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        is_foreign = origin is not None and _place(origin) not in (request.host, proxied)
        name = request.host.rpartition(":")[0] if _PORT.search(request.host) else request.host
        if is_foreign or (own_hosts and name.strip("[]").lower() not in own_hosts):
            return error_response(
                403, "requests of pages of other sites are refused", code="foreign_origin"
            )
        return await handler(request)

    return check_origin


def require_key(keys: Sequence[str]) -> Middleware:
    """Return the middleware that lets requests with one of the bearer ``keys`` pass.

    All keys are compared, each in constant time, so that the time tells nothing.
    """
    digests = [_digest(key.encode()) for key in keys]

    @web.middleware
    async def check_key(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in OPEN_PATHS and not is_known(request):
            return error_response(
                401,
                "send one of the API keys: Authorization: Bearer KEY",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return await handler(request)

    def is_known(request: web.Request) -> bool:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        given = _digest(key.strip().encode(errors="surrogateescape"))
        matches = sum([hmac.compare_digest(given, digest) for digest in digests])
        return scheme.lower() == "bearer" and matches > 0

    return check_key


def _place(origin: str) -> str:
    """Return host and port; of ``null`` and other opaque origins, what no host is."""
    scheme, _, place = origin.partition("://")
    return place if scheme in ("http", "https") and place else "null"


def _digest(key: bytes) -> bytes:
    """Return bytes of one length, so that a comparison does not tell the key's length."""
    return hashlib.sha256(key).digest()


def _origin(error: BaseException) -> str:
    traceback = error.__traceback__
    while traceback and traceback.tb_next:
        traceback = traceback.tb_next
    if traceback is None:
        return "unknown"
    return f"{Path(traceback.tb_frame.f_code.co_filename).name}:{traceback.tb_lineno}"
