"""What every provider promises, on each of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import Any

import orjson
import pytest

from streamapp.llm.completion import Call, Completion
from streamapp.llm.provider import LLMProvider
from streamapp.llm.providers.factory import build_provider
from streamapp.llm.schemas.schema import Schemas
from streamapp.settings import ProviderSettings
from tests.fakes import FakeProvider, TakenChunks
from tests.support.fakellm import FakeLLM
from tests.unit.llm.calls import LABELS, chat, embeddings

KINDS = ["fake", "offline", "openai", "azure", "azure-dated"]
#: In an environment of its own: test_litellm.py runs these tests there.
KINDS += ["litellm"] if find_spec("litellm") else []
CHAT_KINDS = [*KINDS, "anthropic"]


def made(kind: str, server: FakeLLM) -> LLMProvider:
    """Return a provider of that kind, called ``mine``, on the server."""
    settings: dict[str, Any] = {
        "offline": {"kind": "offline"},
        "openai": {"kind": "openai", "base_url": server.base_url},
        "azure": {"kind": "azure-openai", "base_url": server.root_url},
        "azure-dated": {
            "kind": "azure-openai",
            "base_url": server.root_url,
            "api_version": "2024-10-21",
        },
        "anthropic": {"kind": "anthropic", "base_url": server.root_url},
        "litellm": {"kind": "litellm", "base_url": server.base_url, "api_key": "sk-x"},
    }
    if kind == "fake":
        return FakeProvider("mine")
    provider = build_provider("mine", ProviderSettings(**settings[kind]))
    return Named(provider) if kind == "litellm" else provider


class Named:
    """A provider whose calls all name a model that litellm knows the vendor of."""

    def __init__(self, provider: LLMProvider) -> None:
        self.aclose = provider.aclose
        self._provider = provider

    async def complete(self, call: Call) -> Completion:
        return await self._provider.complete(call.but(model="openai/m"))


@pytest.fixture(params=CHAT_KINDS)
async def provider(request: pytest.FixtureRequest, server: FakeLLM) -> AsyncIterator[LLMProvider]:
    """One of the providers; all of them are called ``mine``."""
    provider = made(request.param, server)
    async with contextlib.aclosing(provider):
        yield provider


async def test_chat_gives_text_and_says_who_answered(provider: LLMProvider) -> None:
    """A chat call gives text, the provider's configured name, a model and token counts."""
    completion = await provider.complete(chat("What is Kafka?"))

    assert isinstance(completion.output, str)
    assert "What is Kafka?" in completion.output
    assert completion.provider == "mine"
    assert completion.model
    assert completion.usage.input_tokens > 0
    assert completion.usage.output_tokens > 0
    assert completion.finish_reason == "stop"
    assert completion.attempts == 1
    assert not completion.cached


@pytest.mark.parametrize("provider", KINDS, indirect=True)
async def test_embeddings_give_one_vector_per_input_in_order(provider: LLMProvider) -> None:
    """Embeddings are one vector per input, equal for equal inputs, in the inputs' order."""
    completion = await provider.complete(embeddings("a", "bcd", "a"))

    first, second, third = completion.output
    assert first == third != second
    assert all(isinstance(number, float) for number in first)


async def test_schema_gives_json_text_that_fits(provider: LLMProvider) -> None:
    """A call with a schema is answered with the JSON text of a valid instance."""
    completion = await provider.complete(chat("so good", output_schema=LABELS))

    assert Schemas().mismatch(LABELS, orjson.loads(completion.output)) is None


async def test_calls_in_flight_do_not_mix(provider: LLMProvider) -> None:
    """Many calls at once each get their own answer."""
    texts = [f"question {n:03}" for n in range(50)]

    answers = await asyncio.gather(*(provider.complete(chat(text)) for text in texts))

    assert all(text in answer.output for text, answer in zip(texts, answers, strict=True))


async def test_closing_twice_is_harmless(provider: LLMProvider) -> None:
    """A provider can be closed unused, used and closed, and closed again."""
    await provider.aclose()
    await provider.aclose()


async def test_streamed_answer_is_the_whole_one(provider: LLMProvider) -> None:
    """The chunks of a streamed answer make up its text; the completion is as without them."""
    chunks = TakenChunks()

    streamed = await provider.complete(chat("What is Kafka?", chunks=chunks))
    whole = await provider.complete(chat("What is Kafka?"))

    assert "".join(chunks.texts) == streamed.output == whole.output
    assert chunks.begun == 1
    assert streamed == whole


async def test_streamed_answer_can_fit_a_schema(provider: LLMProvider) -> None:
    """A streamed answer to a call with a schema is the JSON text, in chunks."""
    chunks = TakenChunks()

    completion = await provider.complete(chat("so good", output_schema=LABELS, chunks=chunks))

    assert "".join(chunks.texts) == completion.output
    assert Schemas().mismatch(LABELS, orjson.loads(completion.output)) is None
