"""Answers of OpenAI-compatible servers that come in chunks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web

from streamapp.errors import (
    AnswerBroken,
    ContentFiltered,
    ContextLengthExceeded,
    GarbledAnswer,
    ProviderDenied,
    ProviderRejected,
    ProviderUnavailable,
    RateLimited,
    RetriesExhausted,
    TooLarge,
)
from streamapp.llm.providers.openai import OpenAIProvider
from streamapp.llm.routing.retry import Retrying
from tests.fakes import FakeClock, TakenChunks
from tests.support.fakeanswers import CANARY
from tests.support.fakellm import FakeLLM
from tests.support.waiting import until
from tests.unit.llm.calls import chat


@pytest.fixture
def chunks() -> TakenChunks:
    """What was streamed."""
    return TakenChunks()


@pytest.fixture
async def provider(server: FakeLLM) -> AsyncIterator[OpenAIProvider]:
    """The provider of the fake server."""
    async with contextlib.aclosing(OpenAIProvider("mine", base_url=server.base_url)) as provider:
        yield provider


@contextlib.asynccontextmanager
async def replying(*parts: bytes, **fields: Any) -> AsyncIterator[OpenAIProvider]:
    """A provider whose server answers with these bytes, in these parts."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for part in parts:
            await response.write(part)
            await asyncio.sleep(0)
        return response

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        async with contextlib.aclosing(OpenAIProvider("mine", base_url=base_url, **fields)) as made:
            yield made
    finally:
        await runner.cleanup()


def delta(text: str | None, finish_reason: str | None = None, **fields: Any) -> bytes:
    choice = {"delta": {"content": text}, "finish_reason": finish_reason}
    return b"data: %b\n\n" % orjson.dumps({"choices": [choice], **fields})


DONE = b"data: [DONE]\n\n"


async def test_chunks_come_while_the_model_writes(
    server: FakeLLM, provider: OpenAIProvider, chunks: TakenChunks
) -> None:
    """A chunk is taken as soon as it was sent, long before the answer ends."""
    server.default(text="one two three four", hang="body")

    task = asyncio.create_task(provider.complete(chat(chunks=chunks)))
    await until(lambda: chunks.texts, 30)

    assert not task.done()
    assert "one two three four".startswith("".join(chunks.texts))
    task.cancel()
    await asyncio.wait([task])
    await until(lambda: not server.counts["in_flight"], 30)


async def test_usage_comes_with_the_last_piece(server: FakeLLM, provider: OpenAIProvider) -> None:
    """A streamed answer is counted as any other."""
    completion = await provider.complete(chat("a b c", chunks=TakenChunks()))

    assert completion.usage.input_tokens == 3
    assert completion.usage.output_tokens > 0


async def test_events_may_be_cut_anywhere(chunks: TakenChunks) -> None:
    """Wherever the network cuts, and whichever line ends a server uses, the text is whole."""
    whole = b": hello\r\n\r\nevent: x\r\n" + delta("ä").replace(b"\n", b"\r\n")
    whole += delta("b", model="m-2", usage=None) + delta(None, "stop")
    whole += b'data:{"choices": [], "usage": {"prompt_tokens": 5}}\n\n' + DONE
    parts = [whole[n : n + 1] for n in range(len(whole))]

    async with replying(*parts) as provider:
        completion = await provider.complete(chat(chunks=chunks))

    assert (completion.output, chunks.texts) == ("äb", ["ä", "b"])
    assert (completion.model, completion.usage.input_tokens) == ("m-2", 5)
    assert completion.finish_reason == "stop"


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ([delta("half")], AnswerBroken),
        ([b""], GarbledAnswer),
        ([b'{"choices": []}'], GarbledAnswer),
        ([b"data: nonsense\n\n", DONE], GarbledAnswer),
        ([b'data: {"choices": 7}\n\n', DONE], GarbledAnswer),
        ([b'data: {"choices": [{"delta": {"content": 7}}]}\n\n', DONE], GarbledAnswer),
        ([b"data: []\n\n", DONE], GarbledAnswer),
        ([b'data: {"error": {"message": "CANARY"}}\n\n'], ProviderUnavailable),
        ([b'data: {"error": "CANARY"}\n\n'], ProviderUnavailable),
        ([b'data: {"error": {"code": 429}}\n\n'], RateLimited),
        ([b'data: {"error": {"code": "400"}}\n\n'], ProviderRejected),
        ([b'data: {"error": {"code": "context_length_exceeded"}}\n\n'], ContextLengthExceeded),
        ([b'data: {"error": {"code": "content_filter"}}\n\n'], ContentFiltered),
        ([b'data: {"error": {"code": "rate_limit_exceeded", "type": "x"}}\n\n'], RateLimited),
        ([b'data: {"error": {"type": "invalid_request_error"}}\n\n'], ProviderRejected),
        ([b'data: {"error": {"code": "insufficient_quota"}}\n\n'], ProviderDenied),
        ([delta("x", "content_filter"), DONE], ContentFiltered),
        (
            [b'data: {"choices": [{"delta": {"refusal": "I must not"}}]}\n\n', DONE],
            ContentFiltered,
        ),
        ([delta("x" * 2000)], TooLarge),
    ],
)
async def test_wrong_stream_has_its_error(
    parts: list[bytes], error: type[Exception], chunks: TakenChunks
) -> None:
    """What a stream does wrong becomes the error of that fault, without a word of it."""
    async with replying(*parts, max_answer_bytes=1500) as provider:
        with pytest.raises(error) as caught:
            await provider.complete(chat(chunks=chunks))

    assert "CANARY" not in str(caught.value)


async def test_status_decides_before_the_stream(
    server: FakeLLM, provider: OpenAIProvider, chunks: TakenChunks
) -> None:
    """A streamed call that is refused has the error of its status, and no chunk."""
    server.default(status=429)

    with pytest.raises(RateLimited):
        await provider.complete(chat(chunks=chunks))

    assert chunks.begun == 0


@pytest.mark.parametrize("fault", [{"close": "body"}, {"shape": "stream_error"}], ids=str)
async def test_broken_stream_is_begun_anew(
    fault: dict[str, Any],
    server: FakeLLM,
    provider: OpenAIProvider,
    chunks: TakenChunks,
    clock: FakeClock,
) -> None:
    """A retry begins the text anew: the chunks of the broken attempt are void."""
    server.script({"text": "a first text, longer", **fault}, {"text": "the second"})

    completion = await Retrying(provider, sleep=clock.sleep).complete(chat(chunks=chunks))

    assert chunks.begun == 2
    assert "".join(chunks.texts) == completion.output == "the second"
    assert completion.attempts == 2


async def test_calls_come_while_the_model_writes(
    server: FakeLLM, provider: OpenAIProvider, chunks: TakenChunks
) -> None:
    """Pieces of calls are taken in their order, and are the calls of the answer together."""
    function = {
        "name": "f",
        "parameters": {
            "type": "object",
            "properties": {"x": {"type": "string"}},
            "required": ["x"],
        },
    }
    server.script({"calls": 2})

    call = chat(chunks=chunks, parameters={"tools": [{"type": "function", "function": function}]})
    completion = await provider.complete(call)

    heads = [(delta.index, delta.id, delta.name) for delta in chunks.calls if delta.name]
    assert heads == [(0, "call_fake_0", "f"), (1, "call_fake_1", "f")]
    for place, found in enumerate(completion.tool_calls):
        pieces = [delta.arguments for delta in chunks.calls if delta.index == place]
        assert len(pieces) > 2
        assert "".join(pieces) == found["function"]["arguments"]


async def test_taker_that_cannot_begin_anew_ends_the_call(
    server: FakeLLM, provider: OpenAIProvider, clock: FakeClock
) -> None:
    """Who has passed chunks on for good refuses the second attempt by raising."""

    class Final(TakenChunks):
        async def begin(self, *, is_cached: bool = False) -> None:
            if self.begun:
                raise RetriesExhausted("the stream broke off")
            await super().begin()

    server.script({"text": "a first text, longer", "shape": "stream_error"}, {"text": "second"})

    with pytest.raises(RetriesExhausted):
        await Retrying(provider, sleep=clock.sleep).complete(chat(chunks=Final()))

    assert CANARY not in str(server.calls)


async def test_takers_own_error_is_not_the_providers(
    server: FakeLLM, provider: OpenAIProvider
) -> None:
    """What the taker of chunks raises comes out as it is, and the call ends."""
    with pytest.raises(ConnectionResetError):
        await provider.complete(chat(chunks=TakenChunks(error=ConnectionResetError())))

    await until(lambda: not server.counts["in_flight"], 30)


THOUGHT = "let me see,\nit is `</think>`\n</think>\n\n"


def in_deltas(text: str, size: int) -> list[bytes]:
    return [
        *(delta(text[at : at + size]) for at in range(0, len(text), size)),
        delta(None, "stop", usage={"prompt_tokens": 10, "completion_tokens": 40}),
        DONE,
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_thoughts_that_nothing_opened_are_taken_back(chunks: TakenChunks, size: int) -> None:
    """A closing tag alone shows late that the texts so far were thoughts: the answer is left."""
    async with replying(*in_deltas(f"{THOUGHT}hello again", size)) as provider:
        completion = await provider.complete(chat(chunks=chunks))

    assert "".join(chunks.texts) == completion.output == "hello again"
    assert completion.usage.reasoning_tokens > 0
    assert chunks.begun == 1
    assert chunks.retracted == (size < 100)


async def test_thoughts_that_nothing_opened_are_held_back_next_time() -> None:
    """A target whose last stream began within thoughts gives what comes behind them alone."""
    async with replying(*in_deltas(f"{THOUGHT}hello", 4)) as provider:
        await provider.complete(chat(chunks=TakenChunks()))
        second = TakenChunks()
        completion = await provider.complete(chat(chunks=second))

    assert "".join(second.texts) == completion.output == "hello"
    assert (second.begun, second.retracted) == (1, 0)


async def test_target_that_no_longer_thinks_is_not_held_back() -> None:
    """A stream without thoughts comes whole at its end, and the next one as it is written."""
    bodies = [b"".join(in_deltas(f"{THOUGHT}hello", 4)), *2 * [b"".join(in_deltas("abcdefgh", 4))]]

    async def handle(request: web.BaseRequest) -> web.Response:
        return web.Response(body=bodies.pop(0), content_type="text/event-stream")

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    takers = [TakenChunks() for _ in range(3)]
    async with contextlib.aclosing(OpenAIProvider("mine", base_url=base_url)) as provider:
        outputs = [(await provider.complete(chat(chunks=taker))).output for taker in takers]
    await runner.cleanup()

    assert outputs == ["hello", "abcdefgh", "abcdefgh"]
    assert [taker.texts for taker in takers[1:]] == [["abcdefgh"], ["abcd", "efgh"]]
