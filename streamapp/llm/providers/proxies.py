"""The proxies between us and the vendors, in the form that aiohttp takes."""

from typing import TypedDict

import aiohttp
from yarl import URL

from streamapp.settings.proxies import proxy_for


class Through(TypedDict, total=False):
    """Keywords of a request; none of them without a proxy."""

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


def _through(address: str | None) -> Through:
    if address is None:
        return {}
    proxy = URL(address)
    if proxy.user is None:
        return {"proxy": proxy}
    auth = aiohttp.encode_basic_auth(proxy.user, proxy.password or "")
    return {"proxy": proxy.with_user(None), "proxy_headers": {"Proxy-Authorization": auth}}
