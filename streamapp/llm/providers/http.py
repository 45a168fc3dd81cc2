"""The HTTP client of providers: bounded answers, no redirects, no retries, and our errors."""

import io
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Protocol

import aiohttp
from yarl import URL

from streamapp.errors import (
    ConfigurationError,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateHints,
    TooLarge,
)
from streamapp.llm.attempt import heard
from streamapp.llm.chunks import ChunkSink, give
from streamapp.llm.providers.bodies import garbled
from streamapp.llm.providers.rate_hints import rate_hints

MAX_ANSWER_BYTES = 8 * 1024 * 1024

_CONNECT_TIMEOUT_S = 10.0
_KEEPALIVE_S = 30.0
_DNS_TTL_S = 60
_ALL_AT_ONCE_BYTES = 1024 * 1024
_DATA = b"data:"


class ErrorFor(Protocol):
    """How a vendor says that something went wrong."""

    def __call__(
        self, status: int, headers: Mapping[str, str], body: bytes, *, provider: str, now: float
    ) -> ProviderError:
        """Return the error of an answer whose status is not 200; ``now`` is Unix seconds."""
        ...


class HintsOf(Protocol):
    """How a vendor says that nothing is left of a limit."""

    def __call__(self, headers: Mapping[str, str], *, now: float) -> RateHints | None:
        """Return what the headers of an answer say; ``now`` is Unix seconds."""
        ...


class Http:
    """Posts JSON to one vendor.

    The session is made by the first request, in its loop; `aclose` closes it.

    Args:
        name: The configured provider's name, for errors.
        headers: Sent with each request.
        error_for: The vendor's statuses and error bodies as our errors.
        hints_of: What the vendor's headers say of its limits.
        max_answer_bytes: Longest body read, after decompression.
        wall_clock: Unix seconds, to read a ``Retry-After`` date.
    """

    def __init__(
        self,
        name: str,
        *,
        headers: Mapping[str, str],
        error_for: ErrorFor,
        hints_of: HintsOf = rate_hints,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._headers = {
            "content-type": "application/json",
            "user-agent": "streamapp",
            **headers,
        }
        self._error_for = error_for
        self._hints_of = hints_of
        self._max_answer_bytes = max_answer_bytes
        self._wall_clock = wall_clock
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: URL, body: bytes) -> tuple[bytes, RateHints | None]:
        """Return the body of a 200, and what its headers say of the vendor's limits.

        Raises:
            ProviderError: Another status, or no answer.
            TooLarge: The answer is longer than allowed.
        """
        try:
            async with self._request(url, body) as response:
                return await self._body(response), self._hints(response)
        except (aiohttp.ClientError, OSError) as error:
            raise self._unavailable(error) from error

    async def stream(
        self, url: URL, body: bytes, *, feed: Callable[[bytes], str], chunks: ChunkSink
    ) -> RateHints | None:
        """Read a 200 of server-sent events while it is written.

        Args:
            url: Where to post.
            body: JSON.
            feed: Takes the data of each event, and returns the text in it.
            chunks: Gets what is no empty text; what it raises comes out as it is.

        Returns:
            What the headers say of the vendor's limits.

        Raises:
            ProviderError: Another status, the answer broke off, or it is no stream.
            TooLarge: The answer is longer than allowed.
        """
        heads: list[RateHints | None] = []
        async with aclosing(self._events(url, body, heads)) as events:
            await give(chunks, (feed(event) async for event in events))
        return heads[0]

    async def aclose(self) -> None:
        """Close the session and its connections."""
        if self._session:
            await self._session.close()
            self._session = None

    async def _events(
        self, url: URL, body: bytes, heads: list[RateHints | None]
    ) -> AsyncGenerator[bytes, None]:
        try:
            async with self._request(url, body) as response:
                if response.status != 200:
                    await self._body(response)
                heard()
                heads.append(self._hints(response))
                rest, size, is_empty = b"", 0, True
                while chunk := await response.content.readany():
                    heard()  # a ping is no silence
                    size = self._checked(size + len(chunk))
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        if line.startswith(_DATA):
                            is_empty = False
                            yield line[len(_DATA) :].strip()
                if is_empty:
                    raise garbled("no event", self._name)
        except (aiohttp.ClientError, OSError) as error:
            raise self._unavailable(error) from error

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        """Read in chunks, so that neither a long body nor a bomb fills the memory."""
        if response.status == 200:
            heard()
        chunks, size = [], 0
        while chunk := await response.content.readany():
            size = self._checked(size + len(chunk))
            chunks.append(chunk)
        body = b"".join(chunks)
        if response.status == 200:
            return body
        error = self._error_for(
            response.status,
            response.headers,
            body,
            provider=self._name,
            now=self._wall_clock(),
        )
        error.hints = self._hints(response)
        raise error

    def _hints(self, response: aiohttp.ClientResponse) -> RateHints | None:
        return self._hints_of(response.headers, now=self._wall_clock())

    def _checked(self, size: int) -> int:
        if size > self._max_answer_bytes:
            raise TooLarge(
                f"{self._name}: the answer is longer than {self._max_answer_bytes} bytes"
            )
        return size

    def _request(self, url: URL, body: bytes) -> "aiohttp.client._RequestContextManager":
        # aiohttp warns about long bytes; a file it sends in chunks.
        data = body if len(body) < _ALL_AT_ONCE_BYTES else io.BytesIO(body)
        session = self._session or self._open()
        return session.post(url, data=data, allow_redirects=False)

    def _open(self) -> aiohttp.ClientSession:
        # No pool limit: the in-flight window and the limiter bound the connections.
        connector = aiohttp.TCPConnector(
            limit=0, ttl_dns_cache=_DNS_TTL_S, keepalive_timeout=_KEEPALIVE_S
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT_S),
        )
        return self._session

    def _unavailable(self, error: Exception) -> ProviderError:
        if isinstance(error, TimeoutError):
            message = f"{self._name}: no connection within {_CONNECT_TIMEOUT_S:.0f} s"
            return ProviderTimeout(message, provider=self._name)
        return ProviderUnavailable(f"{self._name}: {type(error).__name__}", provider=self._name)


def checked_url(name: str, text: str) -> URL:
    """Return the base URL of the provider ``name``.

    Raises:
        ConfigurationError: It cannot be called, or holds credentials.
    """
    try:
        url = URL(text.rstrip("/"))
        (url.host or "").encode("idna")
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string:
        raise ConfigurationError(
            f"providers.{name}.base_url: write http(s)://HOST[:PORT]/PATH, without credentials"
        )
    return url


def checked_key(name: str, text: str) -> str:
    """Return the API key of the provider ``name``, without surrounding space.

    Raises:
        ConfigurationError: No header can carry it.
    """
    key = text.strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError(f"providers.{name}: the API key holds unprintable characters")
    return key
