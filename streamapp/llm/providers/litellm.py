"""Every vendor that litellm knows, through litellm.

litellm caps the openai SDK below the version that others want, takes seconds to import and a
look into the network with it: it lives in an environment of its own and is imported only where
it is configured. It speaks HTTP by itself: the bounds on answers that our own HTTP has, and its
refusal of redirects, are not ours to keep here.
"""

import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import orjson

from streamapp.errors import (
    ConfigurationError,
    ContentFiltered,
    ContextLengthExceeded,
    Failure,
    GarbledAnswer,
    ProviderDenied,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
)
from streamapp.llm.chunks import CallDelta, Instead, give
from streamapp.llm.completion import Call, Completion
from streamapp.llm.providers.anthropic import AnthropicProvider
from streamapp.llm.providers.bodies import decode, encode
from streamapp.llm.providers.dialect import Dialect
from streamapp.llm.providers.openai import OpenAIProvider
from streamapp.llm.providers.rate_hints import rate_hints
from streamapp.llm.providers.refusals.reading import error_for
from streamapp.llm.providers.shapes.chat_answer import chat_completion
from streamapp.llm.providers.shapes.chat_request import StructuredMode
from streamapp.llm.providers.shapes.chat_stream import ChatStream
from streamapp.llm.providers.shapes.embeddings import embeddings_completion
from streamapp.llm.providers.shapes.thoughts import ThoughtHabit

#: By the names of litellm's errors, which say more than their statuses.
_LEAVES: dict[str, type[ProviderError]] = {
    "APIConnectionError": ProviderUnavailable,
    "APIResponseValidationError": GarbledAnswer,
    "BudgetExceededError": ProviderDenied,
    "ContentPolicyViolationError": ContentFiltered,
    "ContextWindowExceededError": ContextLengthExceeded,
    "MidStreamFallbackError": ProviderUnavailable,
    "PaymentRequiredError": ProviderDenied,
    "Timeout": ProviderTimeout,
}


def import_litellm(name: str) -> Any:
    """Return the module litellm.

    Args:
        name: Of the configured provider that wants it.

    Raises:
        ConfigurationError: It is not installed here.
    """
    # Else it fetches a list of prices from the network while it is imported.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        litellm: Any = import_module("litellm")
        litellm.suppress_debug_info = True  # else it prints advice to stdout
        return litellm
    except ImportError:
        raise ConfigurationError(
            f"providers.{name}.kind: litellm is not installed; in an environment of its own,"
            " since it caps the openai SDK, pip install '.[litellm]' from a clone"
        ) from None


@dataclass(frozen=True, slots=True)
class Vendor:
    """What litellm makes of one target.

    Attributes:
        name: Of the vendor, as litellm writes it.
        model: As the vendor knows it.
        missing: Variables of the environment that hold no key of it.
        lister: Asks the vendor itself for its models, at the address that litellm calls; None
            where it does not speak as OpenAI or Anthropic do. Whoever uses it closes it.
    """

    name: str
    model: str
    missing: Sequence[str]
    lister: OpenAIProvider | AnthropicProvider | None


class LiteLLMProvider:
    """One attempt per call; litellm's own retries are off.

    Args:
        name: The configured provider's name, for answers and errors.
        litellm: The module.
        base_url: In place of the vendor's own.
        api_key: In place of what litellm reads from the environment.
        structured: How models are asked for JSON; None to find out.
        extra_body: Sent with each call, beneath what is ours.
        extra_headers: Likewise.
        pass_through: Fields of callers that it takes besides OpenAI's.
        wall_clock: Unix seconds, to read a ``Retry-After`` date.
    """

    def __init__(
        self,
        name: str,
        *,
        litellm: Any,
        base_url: str | None = None,
        api_key: str | None = None,
        structured: StructuredMode | None = None,
        extra_body: Mapping[str, Any] | None = None,
        extra_headers: Mapping[str, str] | None = None,
        pass_through: Sequence[str] = (),
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._litellm = litellm
        self._base_url, self._api_key, self._extra_headers = base_url, api_key, extra_headers
        options = {
            "api_base": base_url,
            "api_key": api_key,
            "max_retries": 0,
            "num_retries": 0,
            "extra_headers": dict(extra_headers) if extra_headers else None,
            # What a vendor has no word for is left out: a route may name several vendors.
            "drop_params": True,
        }
        self._options = {key: value for key, value in options.items() if value is not None}
        self._wall_clock = wall_clock
        self._structured = structured
        self._extra_body = extra_body
        self._pass_through = frozenset(pass_through)
        self._dialects: dict[str, Dialect] = {}
        self._habits: defaultdict[str, ThoughtHabit] = defaultdict(ThoughtHabit)

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``; a target's model is ``VENDOR/MODEL``, as litellm writes it.

        Raises:
            ProviderError: No answer.
            InvalidRecord: The request cannot be written as JSON.
        """
        dialect = self._dialects.get(call.model)
        if dialect is None:
            dialect = self._dialects[call.model] = Dialect(
                f"{self._name}/{call.model}",
                mode=self._structured,
                extra=self._extra_body,
                pass_through=self._pass_through,
            )
        return await dialect.ask(call, self._ask)

    async def _ask(self, call: Call, body: Mapping[str, Any]) -> Completion:
        # Through JSON and back: a number above 64 bits is refused as everywhere.
        request = decode(encode(body), self._name)
        if call.operation == "embeddings":
            answer = await self._asked(self._litellm.aembedding, request)
            return embeddings_completion(_json(answer), call, provider=self._name)
        answer = await self._asked(self._litellm.acompletion, request)
        if call.chunks is None:
            return chat_completion(_json(answer), call, provider=self._name)
        stream = ChatStream(call, provider=self._name, habit=self._habits[call.model])
        await give(call.chunks, self._texts(answer, stream))
        return stream.completion()

    def vendor_of(self, target: str) -> Vendor:
        """Return what litellm makes of a target's model, without a call.

        Raises:
            ConfigurationError: It knows no such vendor, or the address cannot be used.
        """
        litellm, base_url, key = self._litellm, self._base_url, self._api_key
        try:
            model, name, own_key, address = litellm.get_llm_provider(
                model=target, api_base=base_url, api_key=key
            )
            found = litellm.validate_environment(model=target, api_key=key, api_base=base_url)
        except Exception as error:
            raise ConfigurationError(
                f"litellm knows no vendor of {target!r}: write VENDOR/MODEL as its documents do"
            ) from error
        missing = () if key or own_key else found.get("missing_keys") or ()
        is_openai = name == "openai" or name in litellm.openai_compatible_providers
        lister: OpenAIProvider | AnthropicProvider | None = None
        if is_openai or name == "anthropic":
            lister = (OpenAIProvider if is_openai else AnthropicProvider)(
                self._name,
                base_url=address or base_url,
                api_key=key or own_key or _from_environment(litellm, name),
                extra_headers=self._extra_headers,
            )
        return Vendor(name, model, tuple(missing), lister)

    async def aclose(self) -> None:
        """Nothing of its own to close: litellm keeps its clients for the process."""

    async def _asked(self, ask: Callable[..., Any], request: Mapping[str, Any]) -> Any:
        try:
            return await ask(**request, **self._options)
        except Exception as error:
            raise self._translated(error) from error

    async def _texts(
        self, chunks: AsyncIterator[Any], stream: ChatStream
    ) -> AsyncIterator[str | CallDelta | Instead]:
        try:
            async for chunk in chunks:
                yield stream.feed(_json(chunk))
                for call in stream.new_calls():
                    yield call
            yield stream.end()
        except Failure:
            raise
        except Exception as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> Failure:
        kind, status = type(error).__name__, getattr(error, "status_code", None)
        leaf = _LEAVES.get(kind)
        if leaf is None and isinstance(status, int):
            response = getattr(error, "response", None)
            headers = getattr(response, "headers", {})
            now = self._wall_clock()
            words = {"message": getattr(error, "message", "")}
            refusal = error_for(status, headers, words, provider=self._name, now=now)
            refusal.hints = rate_hints(headers, now=now)
            return refusal
        leaf = leaf or ProviderUnavailable
        return leaf(f"{self._name}: {kind}", provider=self._name)


def _from_environment(litellm: Any, vendor: str) -> str | None:
    """Return the key that litellm would read by itself."""
    found = litellm.get_secret(f"{vendor.upper()}_API_KEY")
    return found if isinstance(found, str) else None


def _json(answer: Any) -> bytes:
    """Return one of litellm's objects as the JSON that OpenAI would have sent."""
    return orjson.dumps(answer.model_dump(), default=str)
