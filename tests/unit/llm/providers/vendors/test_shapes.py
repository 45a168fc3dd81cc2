"""Every vendor's shape through the policies of a route: what comes of it, and how many requests."""

import contextlib
from random import Random
from typing import Any

import pytest

from streamapp.errors import Failure
from streamapp.llm.completion import Completion
from streamapp.llm.providers.factory import build_provider
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeClock, TakenChunks
from tests.support.scripted_server import ScriptedServer
from tests.unit.llm.calls import chat
from tests.unit.llm.providers.vendors import SHAPES
from tests.unit.llm.providers.vendors.shape import Shape


@contextlib.asynccontextmanager
async def route(server: ScriptedServer, shape: Shape) -> Any:
    """Open a route to the scripted server, in a time of its own."""
    clock = FakeClock()
    provider = ProviderSettings(kind=shape.provider, base_url=server.root_url)
    settings = Settings(
        providers={"mine": provider}, models={"default": ModelSettings(targets=["mine/m"])}
    )
    built = build_provider("mine", provider)
    routes = Routes(settings, {"mine": built}, clock=clock, sleep=clock.sleep, rng=Random(0))
    try:
        yield routes.resolve(None)
    finally:
        await built.aclose()


def leaf_of(failure: BaseException) -> str:
    while isinstance(failure.__cause__, Failure):
        failure = failure.__cause__
    return type(failure).__name__


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.id)
async def test_shape_has_its_outcome(shape: Shape) -> None:
    """What can be used is used at the first call; an error is what it means."""
    is_error = isinstance(shape.right, str) and shape.right[:1].isupper()
    async with ScriptedServer(shape.replies) as server:
        if is_error:
            assert await error_of(server, shape) == shape.right
        else:
            async with route(server, shape) as answering:
                completion = await ask(answering, shape)
                assert completion.output == shape.right
                assert len(server.requests) == shape.calls
                check(completion, shape)
                if shape.then is not None:
                    again = await ask(answering, shape)
                    assert again.output == shape.right
                    assert len(server.requests) == shape.calls + shape.then
                return
        assert len(server.requests) == shape.calls


async def error_of(server: ScriptedServer, shape: Shape) -> str:
    """Return the name of the error of one attempt: a route would hold the operator's faults."""
    provider = build_provider(
        "mine", ProviderSettings(kind=shape.provider, base_url=server.root_url)
    )
    async with contextlib.aclosing(provider):
        with pytest.raises(Failure) as caught:
            await ask(provider, shape)
    return leaf_of(caught.value)


async def ask(answering: Any, shape: Shape) -> Completion:
    chunks = TakenChunks() if shape.stream else None
    call = chat("hi", chunks=chunks, **shape.ask)
    completion: Completion = await answering.complete(call)
    if chunks is not None:
        assert "".join(chunks.texts) == completion.output
    return completion


def check(completion: Completion, shape: Shape) -> None:
    usage = completion.usage
    if shape.usage is not None:
        counted = (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens)
        assert counted == shape.usage
    arguments = tuple(call["function"]["arguments"] for call in completion.tool_calls)
    assert arguments == tuple(shape.tool_arguments)
    assert len({call["id"] for call in completion.tool_calls}) == len(arguments)
    if shape.finish_reason is not None:
        assert completion.finish_reason == shape.finish_reason


def test_shapes_have_sources() -> None:
    """Each shape was seen somewhere, at some time; no two are the same."""
    assert all(shape.source.startswith("https://") and shape.seen[:2] == "20" for shape in SHAPES)
    assert len({shape.id for shape in SHAPES}) == len(SHAPES)
