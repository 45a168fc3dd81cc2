"""Streams whose provider breaks off after a part of the answer was sent to the client."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, cast

import orjson
import pytest

from streamapp.llm.costs.prices import prices_of
from streamapp.llm.providers.factory import build_provider
from streamapp.llm.routing.economy import Economy
from streamapp.llm.routing.routes import Routes
from streamapp.processors.registry import Registry
from streamapp.processors.router import Router
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.support.fakellm import FakeLLM

from .conftest import FakeRequestHandler, Serve

SAID = [{"role": "user", "content": "hi"}]
SHAPE = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
DOORS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": SAID}),
    "choices": ("/v1/chat/completions", {"messages": SAID, "n": 2}),
    "shared": ("/v1/chat/completions", {"messages": SAID, "cache": True}),
    "schema": ("/v1/chat/completions", {"messages": SAID, "response_format": SHAPE}),
    "completion": ("/v1/completions", {"prompt": "hi"}),
    "response": ("/v1/responses", {"input": "hi"}),
    "record": ("/v1/generate", {"type": "chat", "messages": SAID}),
}


@pytest.fixture
async def fakes() -> AsyncIterator[tuple[FakeLLM, FakeLLM]]:
    """A provider, and the one that the route falls back to."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(FakeLLM())
        yield first, await stack.enter_async_context(FakeLLM())


@pytest.fixture
async def handler(fakes: tuple[FakeLLM, FakeLLM]) -> AsyncIterator[FakeRequestHandler]:
    """The real router, whose default route has both."""
    providers = {
        name: ProviderSettings(kind="openai", base_url=fake.base_url)
        for name, fake in zip("ab", fakes, strict=True)
    }
    settings = Settings(
        _env_file=None,
        providers=providers,
        models={"default": ModelSettings(targets=["a/m1", "b/m2"])},
    )
    built = {name: build_provider(name, one) for name, one in providers.items()}
    routes = Routes(settings, built, economy=Economy(prices=prices_of(settings)))
    yield cast(
        FakeRequestHandler,
        Router(
            registry=Registry.load(),
            prompts=PromptRegistry({}),
            routes=routes,
            deadline_s=30,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
        ),
    )
    await routes.aclose()


@pytest.mark.parametrize("outcome", [{"close": "body"}, {"shape": "stream_error"}], ids=str)
@pytest.mark.parametrize("door", DOORS)
async def test_nobody_is_asked_again_once_a_part_was_sent(
    door: str, outcome: Any, fakes: tuple[FakeLLM, FakeLLM], serve: Serve
) -> None:
    """The stream ends with an event `error` that names the target; no other answer is paid for."""
    first, second = fakes
    first.default(text="one two three four", **outcome)
    site = await serve(
        providers={"p": ProviderSettings(kind="offline")},
        models={"default": ModelSettings(targets=["p/m"])},
    )
    path, body = DOORS[door]

    status, said, _ = await site("POST", path, json={"model": "default", "stream": True, **body})

    assert (status, "one" in said, "[DONE]" in said) == (200, True, False)
    event = next(part for part in said.split("\n\n") if part.startswith("event: error\n"))
    error = orjson.loads(event.partition("data: ")[2])["error"]
    assert error["message"].startswith("the answer broke off at a/m1 after a part of it was sent: ")
    assert error["code"] == "retries_exhausted"
    assert len(first.calls) <= body.get("n", 1)
    assert second.calls == []
