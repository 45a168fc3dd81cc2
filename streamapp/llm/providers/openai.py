"""OpenAI and every server that speaks its HTTP: one request per call over aiohttp.

The openai SDK stays outside: a call through it costs ten times the CPU, and importing it
adds a second to every start.
"""

import io
import time
from collections.abc import Callable

import aiohttp
from yarl import URL

from streamapp.errors import ConfigurationError, ProviderTimeout, ProviderUnavailable, TooLarge
from streamapp.llm.completion import Call, Completion
from streamapp.llm.providers import openai_shapes as shapes
from streamapp.llm.providers.openai_errors import error_for

DEFAULT_BASE_URL = "https://api.openai.com/v1"
MAX_ANSWER_BYTES = 8 * 1024 * 1024

_CONNECT_TIMEOUT_S = 10.0
_KEEPALIVE_S = 30.0
_DNS_TTL_S = 60
_ALL_AT_ONCE_BYTES = 1024 * 1024


class OpenAIProvider:
    """One attempt per call against one base URL; retries and time limits are policies around it.

    The session is made by the first call, in its loop; `aclose` closes it.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Check the address and the key.

        Args:
            name: The configured provider's name, for answers and errors.
            base_url: Up to and including the version, such as ``https://host/v1``.
            api_key: Bearer token; None sends no authorization.
            max_answer_bytes: Longest body read, after decompression.
            wall_clock: Unix seconds, to read a ``Retry-After`` date.

        Raises:
            ConfigurationError: The URL or the key cannot be used.
        """
        root = _checked_url(name, base_url or DEFAULT_BASE_URL)
        self._name = name
        self._urls = {
            "chat": root / "chat/completions",
            "embeddings": root / "embeddings",
        }
        self._headers = {
            "content-type": "application/json",
            "user-agent": "streamapp",
        }
        if api_key:
            self._headers["authorization"] = f"Bearer {_checked_key(name, api_key)}"
        self._max_answer_bytes = max_answer_bytes
        self._wall_clock = wall_clock
        self._session: aiohttp.ClientSession | None = None

    async def complete(self, call: Call) -> Completion:
        """Answer ``call`` with one HTTP request.

        Raises:
            ProviderError: No answer, by status and error code.
            TooLarge: The answer is longer than `max_answer_bytes`.
            InvalidRecord: The request cannot be written as JSON.
        """
        is_chat = call.operation == "chat"
        body = shapes.chat_request(call) if is_chat else shapes.embeddings_request(call)
        status, headers, answer = await self._post(self._urls[call.operation], body)
        if status != 200:
            raise error_for(status, headers, answer, provider=self._name, now=self._wall_clock())
        read = shapes.chat_completion if is_chat else shapes.embeddings_completion
        return read(answer, call, provider=self._name)

    async def aclose(self) -> None:
        """Close the session and its connections."""
        if self._session:
            await self._session.close()
            self._session = None

    async def _post(self, url: URL, body: bytes) -> tuple[int, shapes.Headers, bytes]:
        # aiohttp warns about long bytes; a file it sends in pieces.
        data = body if len(body) < _ALL_AT_ONCE_BYTES else io.BytesIO(body)
        session = self._session or self._open()
        try:
            async with session.post(url, data=data, allow_redirects=False) as response:
                return response.status, response.headers, await self._read(response)
        except TimeoutError as error:
            message = f"{self._name}: no connection within {_CONNECT_TIMEOUT_S:.0f} s"
            raise ProviderTimeout(message, provider=self._name) from error
        except (aiohttp.ClientError, OSError) as error:
            message = f"{self._name}: {type(error).__name__}"
            raise ProviderUnavailable(message, provider=self._name) from error

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """Read the body, in pieces, so that neither a long one nor a bomb fills the memory."""
        pieces, size = [], 0
        while piece := await response.content.readany():
            pieces.append(piece)
            size += len(piece)
            if size > self._max_answer_bytes:
                raise TooLarge(
                    f"{self._name}: the answer is longer than {self._max_answer_bytes} bytes"
                )
        return b"".join(pieces)

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


def _checked_url(name: str, text: str) -> URL:
    try:
        url = URL(text.rstrip("/"))
        (url.host or "").encode("idna")
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string:
        raise ConfigurationError(
            f"providers.{name}.base_url: write http(s)://HOST[:PORT]/v1, without credentials"
        )
    return url


def _checked_key(name: str, text: str) -> str:
    key = text.strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError(f"providers.{name}: the API key holds unprintable characters")
    return key
