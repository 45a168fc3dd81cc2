"""OpenAI, Azure, and every server that speaks OpenAI's HTTP: one request per call over aiohttp.

The openai SDK stays outside: a call through it costs ten times the CPU, and importing it
adds a second to every start.
"""

import time
from collections.abc import Callable

from yarl import URL

from streamapp.llm.completion import Call, Completion
from streamapp.llm.providers import openai_shapes as shapes
from streamapp.llm.providers.http import MAX_ANSWER_BYTES, Http, checked_key, checked_url
from streamapp.llm.providers.openai_errors import error_for

DEFAULT_BASE_URL = "https://api.openai.com/v1"

_CHAT = "chat/completions"
_EMBEDDINGS = "embeddings"


class OpenAIProvider:
    """One attempt per call against one base URL; retries and time limits are policies around it."""

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
        self._name = name
        self._root = checked_url(name, base_url or DEFAULT_BASE_URL)
        self._urls: dict[tuple[str, str], URL] = {}
        key = checked_key(name, api_key) if api_key else None
        self._http = Http(
            name,
            headers=self._authorization(key) if key else {},
            error_for=error_for,
            max_answer_bytes=max_answer_bytes,
            wall_clock=wall_clock,
        )

    async def complete(self, call: Call) -> Completion:
        """Answer ``call`` with one HTTP request.

        Raises:
            ProviderError: No answer, by status and error code.
            TooLarge: The answer is longer than `max_answer_bytes`.
            InvalidRecord: The request cannot be written as JSON.
        """
        if call.operation == "embeddings":
            url = self._url(_EMBEDDINGS, call.model)
            answer, hints = await self._http.post(url, shapes.embeddings_request(call))
            vectors = shapes.embeddings_completion(answer, call, provider=self._name)
            return vectors.but(hints=hints) if hints else vectors
        url, body = self._url(_CHAT, call.model), shapes.chat_request(call)
        if call.chunks is not None:
            stream = shapes.ChatStream(call, provider=self._name)
            hints = await self._http.stream(url, body, feed=stream.feed, chunks=call.chunks)
            completion = stream.completion()
        else:
            answer, hints = await self._http.post(url, body)
            completion = shapes.chat_completion(answer, call, provider=self._name)
        return completion.but(hints=hints) if hints else completion

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _url(self, path: str, model: str) -> URL:
        # The models are the configured ones, so this stays small.
        url = self._urls.get((path, model))
        if url is None:
            url = self._urls[path, model] = self._build_url(path, model)
        return url

    def _build_url(self, path: str, model: str) -> URL:
        return self._root / path

    def _authorization(self, key: str) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"}
