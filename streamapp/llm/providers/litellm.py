"""Every vendor that litellm knows, through litellm.

litellm caps the openai SDK below the version that others want, takes seconds to import and a
look into the network with it: it lives in an environment of its own and is imported only where
it is configured. It speaks HTTP by itself: the bounds on answers that our own HTTP has, and its
refusal of redirects, are not ours to keep here.
"""

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
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
from streamapp.llm.chunks import give
from streamapp.llm.completion import Call, Completion
from streamapp.llm.providers import openai_shapes as shapes
from streamapp.llm.providers.bodies import decode
from streamapp.llm.providers.openai_errors import error_for
from streamapp.llm.providers.rate_hints import rate_hints

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
        return import_module("litellm")
    except ImportError:
        raise ConfigurationError(
            f"providers.{name}.kind: litellm is not installed; in an environment of its own,"
            " since it caps the openai SDK, install streamapp[litellm]"
        ) from None


class LiteLLMProvider:
    """One attempt per call; litellm's own retries are off.

    Args:
        name: The configured provider's name, for answers and errors.
        litellm: The module.
        base_url: In place of the vendor's own.
        api_key: In place of what litellm reads from the environment.
        wall_clock: Unix seconds, to read a ``Retry-After`` date.
    """

    def __init__(
        self,
        name: str,
        *,
        litellm: Any,
        base_url: str | None = None,
        api_key: str | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._litellm = litellm
        options = {
            "api_base": base_url,
            "api_key": api_key,
            "max_retries": 0,
            "num_retries": 0,
            # What a vendor has no word for is left out: a route may name several vendors.
            "drop_params": True,
        }
        self._options = {key: value for key, value in options.items() if value is not None}
        self._wall_clock = wall_clock

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``; a target's model is ``VENDOR/MODEL``, as litellm writes it.

        Raises:
            ProviderError: No answer.
            InvalidRecord: The request cannot be written as JSON.
        """
        if call.operation == "embeddings":
            request = decode(shapes.embeddings_request(call), self._name)
            answer = await self._asked(self._litellm.aembedding, request)
            return shapes.embeddings_completion(_json(answer), call, provider=self._name)
        request = decode(shapes.chat_request(call), self._name)
        answer = await self._asked(self._litellm.acompletion, request)
        if call.chunks is not None:
            stream = shapes.ChatStream(call, provider=self._name)
            await give(call.chunks, self._texts(answer, stream.feed))
            return stream.completion()
        return shapes.chat_completion(_json(answer), call, provider=self._name)

    async def aclose(self) -> None:
        """Nothing of its own to close: litellm keeps its clients for the process."""

    async def _asked(self, ask: Callable[..., Any], request: Mapping[str, Any]) -> Any:
        try:
            return await ask(**request, **self._options)
        except Exception as error:
            raise self._translated(error) from error

    async def _texts(
        self, chunks: AsyncIterator[Any], feed: Callable[[bytes], str]
    ) -> AsyncIterator[str]:
        try:
            async for chunk in chunks:
                yield feed(_json(chunk))
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
            refusal = error_for(status, headers, b"", provider=self._name, now=now)
            refusal.hints = rate_hints(headers, now=now)
            return refusal
        leaf = leaf or ProviderUnavailable
        return leaf(f"{self._name}: {kind}", provider=self._name)


def _json(answer: Any) -> bytes:
    """Return one of litellm's objects as the JSON that OpenAI would have sent."""
    return orjson.dumps(answer.model_dump(), default=str)
