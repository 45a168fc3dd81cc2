"""The middlewares of every request: authentication, parameters, and errors as OpenAI's bodies."""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from streamapp.errors import Failure, Kind, ModelForbidden
from streamapp.records.problems import escape, near
from streamapp.settings import PREFIX
from streamapp.web.errors import Refusal, error_response, failure_response, http_error_response
from streamapp.web.keys import KeyRate, Keys, remember
from streamapp.web.operations.operation import INFER, NOBODY, REPLAY, Access

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Middleware = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

_PORT = re.compile(r":\d*$")

#: Open to everyone: the probes, and the static shells that hold no data.
OPEN_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/", "/docs"})


def count_answers(note: Callable[[int, float], None]) -> Middleware:
    """Return the middleware that notes the status of every answer, and the seconds until it.

    Faust counts what its views return: what they raise as 500, and not at all what is refused
    before them.
    """

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        begun_at = monotonic()
        response = await handler(request)
        note(response.status, monotonic() - begun_at)
        return response

    return count


@web.middleware
async def map_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with OpenAI's error body whatever goes wrong inside."""
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
        name = request.host.rpartition(":")[0] if _PORT.search(request.host) else request.host
        if own_hosts and name.strip("[]").lower() not in own_hosts:
            # As through a tunnel or a proxy: mostly no page at all.
            return _foreign(
                f"without keys only localhost is answered, not '{escape(name)}': set"
                f" {PREFIX}API_KEYS"
            )
        origin = request.headers.get("Origin")
        if origin is not None and _place(origin) not in (request.host, proxied):
            return _foreign("requests of pages of other sites are refused")
        return await handler(request)

    return check_origin


def require_key(keys: Keys, wanted: Mapping[tuple[str, str], Access]) -> Middleware:
    """Return the middleware that lets requests pass whose key may do what they ask.

    Args:
        keys: All of them.
        wanted: What each operation needs, by method and path; any other is for no key.
    """

    @web.middleware
    async def check_key(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in OPEN_PATHS:
            return await handler(request)
        key = keys.find(request.headers.get("Authorization", ""))
        if key is None:
            return error_response(
                401,
                "send one of the API keys: Authorization: Bearer KEY",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        remember(request, key)
        if operation := _operation(request):
            access = wanted.get(operation, NOBODY)
            key.check_scope(access.scopes)
            if access.is_of_group:
                key.check_whole_group()
            if key.rate and access in (INFER, REPLAY):
                return await _within(key.rate, handler, request)
        return await handler(request)

    return check_key


def refuse_unknown_parameters(known: Mapping[tuple[str, str], Collection[str]]) -> Middleware:
    """Return the middleware that passes over no mistyped parameter in silence.

    Args:
        known: The parameters of operations, by method and path; any other takes what it is given.
    """

    @web.middleware
    async def check_parameters(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.query_string and (operation := _operation(request)):
            names = known.get(operation, request.query)
            for name in request.query:
                if name not in names:
                    guess = near(name, names) or f"; there are: {', '.join(names)}"
                    message = f"parameter '{escape(name)}' is unknown{guess}"
                    code = Kind.INVALID.value
                    return error_response(422, message, code=code, param=escape(name))
        return await handler(request)

    return check_parameters


def _operation(request: web.Request) -> tuple[str, str] | None:
    """Return method and path as documented; None where there is no such path, or no such method."""
    resource = request.match_info.route.resource
    if resource is None:
        return None
    return "GET" if request.method == "HEAD" else request.method, resource.canonical


async def _within(rate: KeyRate, handler: Handler, request: web.Request) -> web.StreamResponse:
    """Answer a request that counts for its key's rate; one that is forbidden does not."""
    rate.take()
    try:
        return await handler(request)
    except (Refusal, ModelForbidden) as error:
        # Nothing was done or paid for it.
        if not isinstance(error, Refusal) or error.response.status == 403:
            rate.spend(-1)
        raise


def _foreign(message: str) -> web.Response:
    return error_response(403, message, code="foreign_origin")


def _place(origin: str) -> str:
    """Return host and port; of ``null`` and other opaque origins, what no host is."""
    scheme, _, place = origin.partition("://")
    return place if scheme in ("http", "https") and place else "null"


def _origin(error: BaseException) -> str:
    traceback = error.__traceback__
    while traceback and traceback.tb_next:
        traceback = traceback.tb_next
    if traceback is None:
        return "unknown"
    return f"{Path(traceback.tb_frame.f_code.co_filename).name}:{traceback.tb_lineno}"
