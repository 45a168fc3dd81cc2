"""Faust's web server with only our pages, and closed to the public unless it asks for keys."""

import errno
import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from faust.types import AppT
from faust.web.drivers import aiohttp as driver

from streamapp.errors import ConfigurationError
from streamapp.settings import LOOPBACK, PREFIX, Settings, refuse_public
from streamapp.web.connections import CappedRunner, connection_limit
from streamapp.web.headers import add_headers
from streamapp.web.keys import Keys
from streamapp.web.middleware import (
    Middleware,
    map_errors,
    refuse_foreign_pages,
    refuse_unknown_parameters,
    require_key,
)
from streamapp.web.operations import ACCESS, PARAMETERS
from streamapp.web.tls import tls_context

#: Longest body of a request, bytes.
BODY_LIMIT = 2 * 1024 * 1024

#: How long requests in progress may go on once the worker has drained, seconds.
SHUTDOWN_TIMEOUT_S = 5.0

#: How long a connection may stay open without a request on it, seconds.
IDLE_S = 75.0

#: How long the rest of a refused body is read, for its sender to see why, seconds.
LINGERING_S = 2.0


def web_options(settings: Settings, *, outermost: Sequence[Middleware] = ()) -> dict[str, Any]:
    """Return the keyword arguments of ``faust.App`` that concern the web server.

    Faust lets its own environment variables (``WEB_BIND``, ``APP_WEB_TABLES_ENABLED``, ...)
    win over arguments; pass ``env={}`` to the app as well, or they open the server to the public.
    """
    return {
        "debug": False,  # would serve /graph and the statistics
        "web_bind": settings.web_host,
        "web_host": own_host(settings),
        "web_port": settings.web_port,
        "canonical_url": own_url(settings),
        "web_ssl_context": tls_context(settings),
        "web_application_options": {
            "client_max_size": BODY_LIMIT,
            "middlewares": [
                *outermost,
                map_errors,
                refuse_foreign_pages(_own_hosts(settings), web_url=settings.web_url),
                *([require_key(Keys.of(settings), ACCESS)] if settings.has_keys else []),
                refuse_unknown_parameters(PARAMETERS),
            ],
        },
    }


class Web(driver.Web):
    """The server of one app: return it from the app's ``_new_web``.

    Faust's own pages have switches in its settings, but the index has none, and a later page
    of Faust would be on by default: here none of them is ever registered.
    """

    def __init__(self, app: AppT, *, settings: Settings) -> None:
        super().__init__(app)
        self._has_keys = settings.has_keys
        self.web_app.on_response_prepare.append(add_headers)
        self._runner = CappedRunner(
            self.web_app,
            limit=connection_limit(),
            access_log=None,
            handler_cancellation=True,  # a client that left pays for no more calls
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            keepalive_timeout=IDLE_S,
            lingering_time=LINGERING_S,
            auto_decompress=False,  # would refuse what it cannot unpack before any view
        )

    def _enabled_blueprints(self) -> list[Any]:
        return []

    async def start_server(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: The host is public without keys, or the port is taken.
        """
        conf = self.app.conf
        refuse_public(conf.web_bind, has_keys=self._has_keys)
        try:
            await super().start_server()
        except OSError as error:
            is_taken = error.errno == errno.EADDRINUSE
            end = " end what listens there, such as an earlier worker, or" if is_taken else ""
            raise ConfigurationError(
                f"cannot listen on {conf.web_bind}:{conf.web_port} ({error.strerror}):{end}"
                f" set {PREFIX}WEB_PORT or {PREFIX}WEB_HOST"
            ) from error


def own_host(settings: Settings) -> str:
    """Return the name by which other machines reach this one, or the loopback's."""
    return settings.web_host if settings.web_host in LOOPBACK else socket.gethostname()


def own_url(settings: Settings) -> str:
    """Return where other workers reach this one."""
    scheme = "https" if settings.web_cert_file else "http"
    return settings.web_url or web_url(own_host(settings), settings.web_port, scheme=scheme)


def web_url(host: str, port: int, *, scheme: str = "http") -> str:
    """Return the address of a server there; an IPv6 address gets its brackets."""
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _own_hosts(settings: Settings) -> frozenset[str]:
    """Return the only names under which a worker without keys answers."""
    if settings.has_keys:
        return frozenset()
    named = urlsplit(settings.web_url).hostname
    return LOOPBACK | ({named} if named else set())
