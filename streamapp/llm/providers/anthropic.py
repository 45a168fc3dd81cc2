"""Anthropic's Messages API over aiohttp, one request per call; its SDK stays outside."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from yarl import URL

from streamapp.errors import ParameterRefused, ProviderRejected
from streamapp.llm.chunks import give_whole
from streamapp.llm.completion import Call, Completion
from streamapp.llm.providers.endpoint import checked_key, checked_url
from streamapp.llm.providers.http import MAX_ANSWER_BYTES, Http
from streamapp.llm.providers.rate_hints import anthropic_rate_hints
from streamapp.llm.providers.refusals.reading import error_for
from streamapp.llm.providers.shapes import messages as shapes
from streamapp.llm.providers.shapes.chat_request import StructuredMode

DEFAULT_BASE_URL = "https://api.anthropic.com"

_MAX_REQUESTS = 4
#: What a target may refuse, and does without.
_OPTIONAL = frozenset({"temperature", "top_p", "metadata", "output_config"})


class AnthropicProvider:
    """One attempt per call; retries and time limits are policies around it."""

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        version: str | None = None,
        structured: StructuredMode | None = None,
        extra_body: Mapping[str, Any] | None = None,
        extra_headers: Mapping[str, str] | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Check the address and the key.

        Args:
            name: The configured provider's name, for answers and errors.
            base_url: The API's root, with or without its ``/v1``.
            api_key: None sends no authorization.
            version: Of the API; an older one than the default still takes a temperature, and the
                key as ``x-api-key``.
            structured: How it is asked for JSON; None to find out.
            extra_body: Sent with each call, beneath what is ours.
            extra_headers: Likewise.
            max_answer_bytes: Longest body read, after decompression.
            wall_clock: Unix seconds, to read a ``Retry-After`` date.

        Raises:
            ConfigurationError: The URL or the key cannot be used.
        """
        root = checked_url(name, base_url or DEFAULT_BASE_URL)
        self._name = name
        self._root = root if root.name == "v1" else root / "v1"
        self._url = self._root / "messages"
        self._structured: StructuredMode = structured or "json_schema"
        self._extra_body = extra_body
        self._modes: dict[str, StructuredMode] = {}
        self._without: dict[str, frozenset[str]] = {}
        #: By model: what it does not take beside another parameter.
        self._beside: dict[str, dict[str, str]] = {}
        self._version = version or shapes.LATEST_VERSION
        headers = {**(extra_headers or {}), "anthropic-version": self._version}
        if api_key:  # as Anthropic's own SDK, which sent `x-api-key` before this version
            key, is_old = checked_key(name, api_key), self._version < shapes.LATEST_VERSION
            own = {"x-api-key": key} if is_old else {"authorization": f"Bearer {key}"}
            headers = own | headers
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
        for _ in range(_MAX_REQUESTS - 1):
            try:
                return await self._ask(call)
            except ParameterRefused as refusal:
                if not self._learn(refusal, call.model):
                    raise
        return await self._ask(call)

    async def _ask(self, call: Call) -> Completion:
        body = shapes.messages_request(
            call,
            version=self._version,
            mode=self._modes.get(call.model, self._structured),
            extra=self._extra_body,
            without=self._left_out(call),
        )
        if call.chunks is None:
            answer, hints = await self._http.post(self._url, body)
            completion = shapes.message_completion(answer, call, provider=self._name)
        else:
            stream = shapes.MessageStream(call, provider=self._name)
            whole, hints = await self._http.stream(
                self._url, body, reader=stream, chunks=call.chunks
            )
            if whole is None:
                completion = stream.completion()
            else:
                completion = shapes.message_completion(whole, call, provider=self._name)
                await give_whole(call.chunks, completion.output)
        return completion.but(hints=hints) if hints else completion

    def _learn(self, refusal: ParameterRefused, model: str) -> bool:
        """Take note of what was refused; return whether another request differs."""
        if {"response_format", "json_schema"}.intersection(refusal.parameters):
            is_new = self._modes.get(model, self._structured) == "json_schema"
            self._modes[model] = "prompt"
            return is_new
        if refusal.beside:
            pairs = self._beside.setdefault(model, {})
            is_new = refusal.parameters[0] not in pairs
            pairs[refusal.parameters[0]] = refusal.beside
            return is_new
        before = self._without.get(model, frozenset())
        self._without[model] = before | _OPTIONAL.intersection(refusal.parameters)
        return self._without[model] != before

    def _left_out(self, call: Call) -> frozenset[str]:
        pairs = self._beside.get(call.model, {})
        beside = {name for name, other in pairs.items() if other in call.parameters}
        return self._without.get(call.model, frozenset()) | beside

    @property
    def models_url(self) -> URL:
        """Where the models are asked for."""
        return self._root / "models"

    async def models(self) -> list[str] | None:
        """Return the names of the models there are.

        Raises:
            ProviderError: The address or the key is wrong, or nobody answers.
        """
        return await self._http.models(self.models_url.with_query(limit=1000))

    async def has_model(self, model: str) -> bool:
        """Whether the provider knows ``model``, also by a name that is not listed."""
        return await self._http.exists(self._root / "models" / model)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
