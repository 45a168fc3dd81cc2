"""The proxies that the environment names: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`."""

from typing import TypedDict
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp
from yarl import URL

from streamapp.errors import ConfigurationError


class Through(TypedDict, total=False):
    """Keywords of aiohttp's requests; none of them without a proxy."""

    proxy: URL
    proxy_headers: dict[str, str]


class Proxies:
    """Finds each host's proxy once: the environment of a process stays as it is."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str | None, int | None], Through] = {}

    def of(self, url: URL) -> Through:
        """Return how ``url`` is reached.

        Raises:
            ConfigurationError: The environment names what is no HTTP proxy.
        """
        place = (url.scheme, url.host, url.port)
        if place not in self._found:
            self._found[place] = _through(proxy_for(url.scheme, f"{url.host}:{url.port}"))
        return self._found[place]


def proxy_for(scheme: str, host: str) -> str | None:
    """Return the address of the proxy through which a host is reached; None for none.

    Args:
        scheme: Of the host's URL: ``http`` or ``https``.
        host: Its name, or ``NAME:PORT``.

    Raises:
        ConfigurationError: It is no HTTP proxy.
    """
    proxies = getproxies_environment()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if not proxy.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{scheme.upper()}_PROXY: only HTTP proxies are spoken to: write http://HOST:PORT"
        )
    return proxy


def failure_name(error: BaseException) -> str:
    """Return the name of an error of a connection, or in words that it is the proxy's."""
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return "the proxy that the environment names does not answer"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy that the environment names answers {error.status}"
    return type(error).__name__


def _through(address: str | None) -> Through:
    if address is None:
        return {}
    proxy = URL(address)
    if proxy.user is None:
        return {"proxy": proxy}
    auth = aiohttp.encode_basic_auth(proxy.user, proxy.password or "")
    return {"proxy": proxy.with_user(None), "proxy_headers": {"Proxy-Authorization": auth}}
