"""Anthropic's Messages API over aiohttp, one request per call; its SDK stays outside."""

import time
from collections.abc import Callable

from streamapp.errors import ProviderRejected
from streamapp.llm.completion import Call, Completion
from streamapp.llm.providers import anthropic_shapes as shapes
from streamapp.llm.providers.http import MAX_ANSWER_BYTES, Http, checked_key, checked_url
from streamapp.llm.providers.openai_errors import error_for
from streamapp.llm.providers.rate_hints import anthropic_rate_hints

DEFAULT_BASE_URL = "https://api.anthropic.com"


class AnthropicProvider:
    """One attempt per call; retries and time limits are policies around it."""

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        version: str | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Check the address and the key.

        Args:
            name: The configured provider's name, for answers and errors.
            base_url: The API's root, with or without its ``/v1``.
            api_key: Bearer token; None sends no authorization.
            version: Of the API; an older one than the default still takes a temperature.
            max_answer_bytes: Longest body read, after decompression.
            wall_clock: Unix seconds, to read a ``Retry-After`` date.

        Raises:
            ConfigurationError: The URL or the key cannot be used.
        """
        root = checked_url(name, base_url or DEFAULT_BASE_URL)
        self._name = name
        self._url = root / "messages" if root.name == "v1" else root / "v1/messages"
        self._version = version or shapes.LATEST_VERSION
        headers = {"anthropic-version": self._version}
        if api_key:
            headers["authorization"] = f"Bearer {checked_key(name, api_key)}"
        self._http = Http(
            name,
            headers=headers,
            error_for=error_for,
            hints_of=anthropic_rate_hints,
            max_answer_bytes=max_answer_bytes,
            wall_clock=wall_clock,
        )

    async def complete(self, call: Call) -> Completion:
        """Answer ``call`` with one HTTP request.

        Raises:
            ProviderRejected: It asks for embeddings, which Anthropic has none of.
            ProviderError: No answer, by status and error type.
            TooLarge: The answer is longer than `max_answer_bytes`.
            InvalidRecord: The request cannot be written as JSON.
        """
        if call.operation == "embeddings":
            raise ProviderRejected(f"{self._name}: has no embeddings", provider=self._name)
        body = shapes.messages_request(call, version=self._version)
        if call.chunks is not None:
            stream = shapes.MessageStream(call, provider=self._name)
            hints = await self._http.stream(self._url, body, feed=stream.feed, chunks=call.chunks)
            completion = stream.completion()
        else:
            answer, hints = await self._http.post(self._url, body)
            completion = shapes.message_completion(answer, call, provider=self._name)
        return completion.but(hints=hints) if hints else completion

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
