"""Anthropic's Messages API over aiohttp, one request per call; its SDK stays outside."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
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

log = structlog.get_logger(__name__)

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
        #: By model: how it is asked for JSON now, and by what an answer has come.
        self._modes: dict[str, StructuredMode] = {}
        self._sure_modes: dict[str, StructuredMode] = {}
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
        mode, without = self._way(call)
        for left in reversed(range(_MAX_REQUESTS)):
            try:
                completion = await self._ask(call, mode, without)
            except ProviderRejected as refusal:
                if isinstance(refusal, ParameterRefused) and left:
                    self._learn(refusal, call)
                    # Another call may have found it out meanwhile.
                    if (mode, without) != self._way(call):
                        mode, without = self._way(call)
                        continue
                if _wants_json(call):  # a way that no answer has come by was not at fault
                    self._modes[call.model] = self._sure_modes.get(call.model, self._structured)
                raise
            if mode != self._structured and _wants_json(call):
                self._modes[call.model] = self._sure_modes[call.model] = mode
            return completion
        raise AssertionError  # the last one returns or raises

    async def _ask(self, call: Call, mode: StructuredMode, without: frozenset[str]) -> Completion:
        body = shapes.messages_request(
            call, version=self._version, mode=mode, extra=self._extra_body, without=without
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

    def _learn(self, refusal: ParameterRefused, call: Call) -> None:
        if {"response_format", "json_schema"}.intersection(refusal.parameters):
            if _wants_json(call):
                self._modes[call.model] = "prompt"
                target = f"{self._name}/{call.model}"
                log.warning("llm.structured_mode", target=target, mode="prompt")
        elif refusal.beside:
            self._beside.setdefault(call.model, {})[refusal.parameters[0]] = refusal.beside
        else:
            before = self._without.get(call.model, frozenset())
            self._without[call.model] = before | _OPTIONAL.intersection(refusal.parameters)

    def _way(self, call: Call) -> tuple[StructuredMode, frozenset[str]]:
        """Return how JSON is asked for, and which parameters are left out."""
        pairs = self._beside.get(call.model, {})
        beside = {name for name, other in pairs.items() if other in call.parameters}
        without = self._without.get(call.model, frozenset()) | beside
        return self._modes.get(call.model, self._structured), without

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


def _wants_json(call: Call) -> bool:
    return call.output_schema is not None or "response_format" in call.parameters
