"""OpenAI, Azure, and every server that speaks OpenAI's HTTP: one answer per call over aiohttp.

The openai SDK stays outside: a call through it costs ten times the CPU, and importing it
adds a second to every start.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from yarl import URL

from streamapp.errors import RateHints
from streamapp.llm.chunks import give_whole
from streamapp.llm.completion import Call, Completion
from streamapp.llm.providers.bodies import encode
from streamapp.llm.providers.dialect import Dialect
from streamapp.llm.providers.endpoint import checked_key, checked_url
from streamapp.llm.providers.event_stream import events_of, is_event_stream
from streamapp.llm.providers.http import MAX_ANSWER_BYTES, Http
from streamapp.llm.providers.refusals.reading import error_for
from streamapp.llm.providers.shapes.chat_answer import chat_completion
from streamapp.llm.providers.shapes.chat_request import StructuredMode
from streamapp.llm.providers.shapes.chat_stream import ChatStream
from streamapp.llm.providers.shapes.embeddings import embeddings_completion
from streamapp.llm.providers.shapes.thoughts import ThoughtHabit
from streamapp.records.tools import EXTRA_CONTENT

DEFAULT_BASE_URL = "https://api.openai.com/v1"

_GOOGLE = ".googleapis.com"
_CHAT = "chat/completions"
_EMBEDDINGS = "embeddings"


class OpenAIProvider:
    """One attempt per call against one base URL; retries and time limits are policies around it.

    A request whose parameter the target does not take is sent once more without it, at once:
    such a refusal costs nothing, and is remembered.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        structured: StructuredMode | None = None,
        extra_body: Mapping[str, Any] | None = None,
        extra_headers: Mapping[str, str] | None = None,
        pass_through: Sequence[str] = (),
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Check the address and the key.

        Args:
            name: The configured provider's name, for answers and errors.
            base_url: Up to and including the version, such as ``https://host/v1``.
            api_key: Bearer token; None sends no authorization.
            structured: How it is asked for JSON; None to find out.
            extra_body: Sent with each call, beneath what is ours.
            extra_headers: Likewise.
            pass_through: Fields of callers that it takes besides OpenAI's.
            max_answer_bytes: Longest body read, after decompression.
            wall_clock: Unix seconds, to read a ``Retry-After`` date.

        Raises:
            ConfigurationError: The URL or the key cannot be used.
        """
        self._name = name
        self._root = checked_url(name, base_url or DEFAULT_BASE_URL)
        self._urls: dict[tuple[str, str], URL] = {}
        self._structured = structured
        self._extra_body = extra_body
        self._pass_through = frozenset(pass_through)
        if (self._root.host or "").endswith(_GOOGLE):
            self._pass_through |= {EXTRA_CONTENT}  # refuses calls of its own without it
        self._dialects: dict[str, Dialect] = {}
        self._habits: defaultdict[str, ThoughtHabit] = defaultdict(ThoughtHabit)
        key = checked_key(name, api_key) if api_key else None
        self._http = Http(
            name,
            headers={**(extra_headers or {}), **(self._authorization(key) if key else {})},
            error_for=error_for,
            max_answer_bytes=max_answer_bytes,
            wall_clock=wall_clock,
        )

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``.

        Raises:
            ProviderError: No answer, by status and by what the error means.
            TooLarge: The answer is longer than `max_answer_bytes`.
            InvalidRecord: The request cannot be written as JSON.
        """
        return await self._dialect(call.model).ask(call, self._ask)

    async def _ask(self, call: Call, body: Mapping[str, Any]) -> Completion:
        if call.operation == "embeddings":
            url = self._url(_EMBEDDINGS, call.model)
            answer, hints = await self._http.post(url, encode(body))
            return _hinted(embeddings_completion(answer, call, provider=self._name), hints)
        url = self._url(_CHAT, call.model)
        if call.chunks is None:
            answer, hints = await self._http.post(url, encode(body))
            return _hinted(self._read(answer, call), hints)
        stream = ChatStream(call, provider=self._name, habit=self._habits[call.model])
        whole, hints = await self._http.stream(url, encode(body), reader=stream, chunks=call.chunks)
        if whole is None:
            return _hinted(stream.completion(), hints)
        completion = self._read(whole, call)
        await give_whole(call.chunks, completion.output)
        return _hinted(completion, hints)

    def _read(self, answer: bytes, call: Call) -> Completion:
        """Read a whole answer, also one that comes as a stream that was not asked for."""
        if not is_event_stream(answer):
            return chat_completion(answer, call, provider=self._name)
        stream = ChatStream(call, provider=self._name)
        for event in events_of(answer):
            stream.feed(event)
        stream.end()
        return stream.completion()

    @property
    def models_url(self) -> URL:
        """Where the models are asked for."""
        return self._root / "models"

    async def models(self) -> list[str] | None:
        """Return the names of the models there are; None where it has no such list.

        Raises:
            ProviderError: The address or the key is wrong, or nobody answers.
        """
        return await self._http.models(self.models_url)

    async def has_model(self, model: str) -> bool:
        """Whether the provider knows ``model`` by its name, also where it is not listed."""
        return await self._http.exists(self._root / "models" / model)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _dialect(self, model: str) -> Dialect:
        # The models are the configured ones, so this and the next stay small.
        dialect = self._dialects.get(model)
        if dialect is None:
            dialect = self._dialects[model] = Dialect(
                f"{self._name}/{model}",
                mode=self._structured,
                extra=self._extra_body,
                pass_through=self._pass_through,
            )
        return dialect

    def _url(self, path: str, model: str) -> URL:
        url = self._urls.get((path, model))
        if url is None:
            url = self._urls[path, model] = self._build_url(path, model)
        return url

    def _build_url(self, path: str, model: str) -> URL:
        return self._root / path

    def _authorization(self, key: str) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"}


def _hinted(completion: Completion, hints: RateHints | None) -> Completion:
    return completion.but(hints=hints) if hints else completion
