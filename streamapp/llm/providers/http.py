"""The HTTP client of providers: bounded answers, no redirects, no retries, and our errors."""

import io
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from yarl import URL

from streamapp.errors import (
    AnswerBroken,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateHints,
    TooLarge,
)
from streamapp.llm.attempt import heard
from streamapp.llm.chunks import CallDelta, ChunkSink, Instead, give
from streamapp.llm.providers.bodies import decode_any, garbled, only_signs_of_life
from streamapp.llm.providers.event_stream import EventReader, StreamReader
from streamapp.llm.providers.prepared_post import PreparedPost, Reply
from streamapp.llm.providers.rate_hints import rate_hints
from streamapp.llm.providers.session import CONNECT_TIMEOUT_S, open_session
from streamapp.settings.proxies import Proxies, failure_name

MAX_ANSWER_BYTES = 8 * 1024 * 1024

_ALL_AT_ONCE_BYTES = 1024 * 1024
#: How a body begins that is a whole answer, or a web page.
_NO_EVENTS = (b"{", b"[", b"<")


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


@dataclass(slots=True)
class _Head:
    hints: RateHints | None = None
    whole: bytes | None = None


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
        self._proxies = Proxies()
        self._session: aiohttp.ClientSession | None = None
        #: By the URL of a configured model, so few.
        self._posts: dict[URL, PreparedPost] = {}

    async def post(self, url: URL, body: bytes) -> tuple[bytes, RateHints | None]:
        """Return the body of a 200, and what its headers say of the vendor's limits.

        Raises:
            ProviderError: Another status, or no answer.
            TooLarge: The answer is longer than allowed.
        """
        try:
            prepared = self._prepared(url, body)
            if prepared is None:
                async with self._request(url, body) as response:
                    return await self._body(response), self._hints(response)
            reply = await prepared.send(body)
            try:
                return await self._body(reply), self._hints(reply)
            finally:
                reply.release()
        except (aiohttp.ClientError, OSError) as error:
            raise self._unavailable(error) from error

    async def stream(
        self, url: URL, body: bytes, *, reader: StreamReader, chunks: ChunkSink
    ) -> tuple[bytes | None, RateHints | None]:
        """Read a 200 of server-sent events while it is written.

        Args:
            url: Where to post.
            body: JSON.
            reader: Takes the data of each event.
            chunks: Gets what is no empty text, and calls; what it raises comes out as it is.

        Returns:
            The body, where it is a whole answer in place of a stream; and what the headers say
            of the vendor's limits.

        Raises:
            ProviderError: Another status, the answer broke off, or it is no stream.
            TooLarge: The answer is longer than allowed.
        """
        head = _Head()
        try:
            async with aclosing(self._texts(url, body, reader, head)) as texts:
                await give(chunks, texts)
        except (ProviderUnavailable, AnswerBroken) as error:
            if not reader.has_begun or isinstance(error, AnswerBroken):
                raise
            raise AnswerBroken(f"{self._name}: broke off", provider=self._name) from error
        return head.whole, head.hints

    async def models(self, url: URL) -> list[str] | None:
        """Return the ids in a list of models; None where the answer is no list.

        Raises:
            ProviderError: The status is not 200, or there is no answer.
        """
        try:
            async with self._get(url) as response:
                answer = decode_any(await self._body(response), self._name)
        except (aiohttp.ClientError, OSError) as error:
            raise self._unavailable(error) from error
        items = answer.get("data", answer.get("models")) if isinstance(answer, dict) else answer
        if not isinstance(items, list):
            return None
        ids = (item.get("id") or item.get("name") for item in items if isinstance(item, dict))
        return [id for id in ids if isinstance(id, str)]

    async def exists(self, url: URL) -> bool:
        """Whether ``url`` answers 200."""
        try:
            async with self._get(url) as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError) as error:
            raise self._unavailable(error) from error

    async def aclose(self) -> None:
        """Close the session and its connections."""
        if self._session:
            self._posts.clear()
            await self._session.close()
            self._session = None

    async def _texts(
        self, url: URL, body: bytes, reader: StreamReader, head: "_Head"
    ) -> AsyncGenerator[str | CallDelta | Instead, None]:
        try:
            async with self._request(url, body) as response:
                if response.status != 200:
                    await self._body(response)
                heard()
                head.hints = self._hints(response)
                events, size, is_empty, is_blank = EventReader(), 0, True, True
                if response.content_type == "application/json":
                    head.whole = await self._body(response)
                    return
                async for chunk in response.content.iter_any():
                    if is_blank and chunk.lstrip().startswith(_NO_EVENTS):
                        head.whole = chunk + await self._body(response)
                        return
                    is_blank = is_blank and chunk.isspace()
                    heard()  # a ping is no silence
                    size = self._checked(size + len(chunk))
                    for event in events.feed(chunk):
                        is_empty = False
                        yield reader.feed(event)
                        for call in reader.new_calls():
                            yield call
                for event in events.end():
                    is_empty = False
                    yield reader.feed(event)
                    for call in reader.new_calls():
                        yield call
                if is_empty:
                    raise (
                        only_signs_of_life(self._name) if size else garbled("no event", self._name)
                    )
                yield reader.end()
        except (aiohttp.ClientError, OSError) as error:
            # What says that it is whole is whole, however the connection ends.
            if reader.is_over:
                yield reader.end()
                return
            raise self._unavailable(error) from error

    async def _body(self, response: aiohttp.ClientResponse | Reply) -> bytes:
        """Read in chunks, so that neither a long body nor a bomb fills the memory."""
        content, is_ok = response.content, response.status == 200
        if is_ok:
            heard()
        if content.is_eof():  # it came with its head, as most do
            body = content.read_nowait()
            self._checked(len(body))
        else:
            body = await self._rest(content, is_ok=is_ok)
        if is_ok:
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

    async def _rest(self, content: aiohttp.StreamReader, *, is_ok: bool) -> bytes:
        chunks, size = [], 0
        while chunk := await content.readany():
            if is_ok:
                heard()  # a stream may come under another name
            size = self._checked(size + len(chunk))
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _hints(self, response: aiohttp.ClientResponse | Reply) -> RateHints | None:
        return self._hints_of(response.headers, now=self._wall_clock())

    def _checked(self, size: int) -> int:
        if size > self._max_answer_bytes:
            raise TooLarge(
                f"{self._name}: the answer is longer than {self._max_answer_bytes} bytes"
            )
        return size

    def _get(self, url: URL) -> "aiohttp.client._RequestContextManager":
        return self._opened().get(url, allow_redirects=False, **self._proxies.of(url))

    def _request(self, url: URL, body: bytes) -> "aiohttp.client._RequestContextManager":
        # aiohttp warns about long bytes; a file it sends in pieces.
        data = body if len(body) < _ALL_AT_ONCE_BYTES else io.BytesIO(body)
        return self._opened().post(url, data=data, allow_redirects=False, **self._proxies.of(url))

    def _prepared(self, url: URL, body: bytes) -> PreparedPost | None:
        """Return the prepared request; None for what aiohttp has to send in its own way."""
        prepared = self._posts.get(url)
        if prepared is None and not self._proxies.of(url) and url.raw_user is None:
            prepared = self._posts[url] = PreparedPost(self._opened(), url)
        return prepared if len(body) < _ALL_AT_ONCE_BYTES else None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(self._headers)
        return self._session

    def _unavailable(self, error: Exception) -> ProviderError:
        if isinstance(error, TimeoutError):
            message = f"{self._name}: no connection within {CONNECT_TIMEOUT_S:.0f} s"
            return ProviderTimeout(message, provider=self._name)
        return ProviderUnavailable(f"{self._name}: {failure_name(error)}", provider=self._name)
