"""The other workers of the group, as an HTTP client."""

import asyncio
from collections.abc import Callable, Collection
from ssl import SSLContext
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import orjson
import structlog
from yarl import URL

from streamapp.streaming.delivery.request_status import RequestStatus

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Longest wait for one worker's answer, seconds; they answer from memory.
TIMEOUT_S = 2.0

#: Marks a question of a worker: it is answered from what is known here, and asked no further.
HOP = "Streamapp-Hop"

#: Longest response record that another worker can hold, bytes.
BODY_LIMIT = 2 * 1024 * 1024


class Peers:
    """The group's other workers.

    Args:
        urls: Their addresses now.
        unasked: How many more there are, that have the address of another one.
        key: The first API key, or None where none are asked for.
        ssl: Trusts what the workers present; None where they speak plain HTTP.
    """

    def __init__(
        self,
        urls: Callable[[], Collection[str]],
        *,
        unasked: Callable[[], int] = int,
        key: str | None = None,
        ssl: SSLContext | None = None,
    ) -> None:
        self._urls = urls
        self._unasked = unasked
        self._headers = {HOP: "1", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._ssl = ssl
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, id: str) -> list[RequestStatus]:
        """Return what each reachable worker knows of the id; nobody is waited for long."""
        path = f"/v1/requests/{quote(id, safe='')}"
        statuses = await asyncio.gather(*(self._get(url, path, _known) for url in self._urls()))
        return [status for status in statuses if status]

    async def get_json(self, path: str) -> list[Any | None]:
        """Return what each worker answers at the path with 200; None for one that does not."""
        found = await asyncio.gather(*(self.get_json_of(url, path) for url in self._urls()))
        return [*found, *[None] * self._unasked()]

    async def get_json_of(self, url: str, path: str) -> Any | None:
        """Return what one worker answers at the path with 200; None where it does not."""
        return await self._get(url, path, _json)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()
            self._session = None

    async def _get(
        self, url: str, path: str, read: Callable[[aiohttp.ClientResponse, bytes], T]
    ) -> T | None:
        session = self._session or self._open()
        address = URL(f"{url.rstrip('/')}{path}", encoded=True)
        try:
            async with session.get(
                address, ssl=self._ssl or True, allow_redirects=False
            ) as response:
                return read(response, await response.content.read(BODY_LIMIT))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            log.debug("peers.no_word", url=url, error=type(error).__name__)
            return None

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        )
        return self._session


def _known(response: aiohttp.ClientResponse, body: bytes) -> RequestStatus:
    return RequestStatus.of(response.headers, body)


def _json(response: aiohttp.ClientResponse, body: bytes) -> Any:
    return orjson.loads(body) if response.status == 200 else None
