"""The official openai SDK and our provider, side by side on the same answers."""

import contextlib
import socket
from typing import Any

import openai
import pytest

from streamapp.errors import (
    ContextLengthExceeded,
    ProviderDenied,
    ProviderError,
    ProviderForbidden,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)
from streamapp.llm.providers.openai import OpenAIProvider
from streamapp.llm.timeout import TimeLimited, TimeLimits
from tests.fakes import TakenChunks
from tests.support.fakellm import FakeLLM
from tests.support.recorder import Recorder
from tests.unit.llm.calls import LABELS, chat, embeddings

#: What the SDK raises, and which of our errors it is.
SAME = {
    openai.BadRequestError: ProviderRejected,
    openai.NotFoundError: ProviderRejected,
    openai.UnprocessableEntityError: ProviderRejected,
    openai.AuthenticationError: ProviderDenied,
    openai.PermissionDeniedError: ProviderDenied,
    openai.RateLimitError: RateLimited,
    openai.ConflictError: ProviderUnavailable,
    openai.InternalServerError: ProviderUnavailable,
    openai.APITimeoutError: ProviderTimeout,
    openai.APIConnectionError: ProviderUnavailable,
}
#: Statuses without a class of their own in the SDK: by number.
BY_STATUS = {
    402: ProviderDenied,
    403: ProviderForbidden,
    408: ProviderUnavailable,
    413: ContextLengthExceeded,
}
STATUSES = (400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)
MESSAGES: Any = [{"role": "user", "content": "hello"}]


def sdk(base_url: str, *, max_retries: int = 0, timeout_s: float = 5) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=base_url, api_key="sk-x", max_retries=max_retries, timeout=timeout_s
    )


async def sdk_error(base_url: str, **fields: Any) -> openai.OpenAIError:
    """Return what the SDK raises."""
    async with sdk(base_url, **fields) as client:
        with pytest.raises(openai.OpenAIError) as caught:
            await client.chat.completions.create(model="m", messages=MESSAGES)
    return caught.value


async def our_error(base_url: str, *, timeout_s: float = 5) -> ProviderError:
    """Return what our provider raises."""
    async with contextlib.aclosing(OpenAIProvider("mine", base_url=base_url)) as provider:
        limited = TimeLimited(provider, name="mine", limits=TimeLimits(timeout_s=timeout_s))
        with pytest.raises(ProviderError) as caught:
            await limited.complete(chat())
    return caught.value


@pytest.mark.parametrize("status", STATUSES)
async def test_errors_agree_for_each_status(status: int, server: FakeLLM) -> None:
    """For each status both raise the same error, and agree on whether to try again."""
    server.default(status=status, headers={"retry-after-ms": "1"})

    ours, theirs = await our_error(server.base_url), await sdk_error(server.base_url)
    before = len(server.calls)
    await sdk_error(server.base_url, max_retries=1)
    tries = len(server.calls) - before

    assert isinstance(theirs, openai.APIStatusError)
    assert theirs.status_code == ours.status == status
    expected = BY_STATUS.get(status) or SAME[type(theirs)]
    assert type(ours) is expected
    assert ours.retryable == (tries == 2)


@pytest.mark.parametrize(("status", "wish"), [(400, "true"), (500, "false"), (429, "false")])
async def test_servers_wish_to_be_retried_agrees(status: int, wish: str, server: FakeLLM) -> None:
    """Both obey `x-should-retry` over the status, where no time to wait is told."""
    server.default(status=status, headers={"x-should-retry": wish})

    ours = await our_error(server.base_url)
    await sdk_error(server.base_url, max_retries=1)

    assert ours.retryable == (len(server.calls) == 3)


async def test_refused_connection_agrees() -> None:
    """A closed port is a connection error to both."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        ours, theirs = await our_error(base_url), await sdk_error(base_url)

    assert type(ours) is SAME[type(theirs)]


async def test_timeout_agrees(server: FakeLLM) -> None:
    """A provider that hangs is a timeout to both."""
    server.default(hang="headers")

    ours = await our_error(server.base_url, timeout_s=0.1)
    theirs = await sdk_error(server.base_url, timeout_s=0.1)

    assert type(ours) is SAME[type(theirs)]


async def test_answers_agree(server: FakeLLM) -> None:
    """Both read the same text, model, tokens and end from an answer, whole or streamed."""
    chunks = TakenChunks()
    async with (
        sdk(server.base_url) as client,
        contextlib.aclosing(OpenAIProvider("mine", base_url=server.base_url)) as provider,
    ):
        theirs = await client.chat.completions.create(model="m", messages=MESSAGES)
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        deltas = [c.choices[0].delta.content async for c in stream if c.choices]
        ours = await provider.complete(chat())
        await provider.complete(chat(chunks=chunks))

    choice, usage = theirs.choices[0], theirs.usage
    assert usage
    assert ours.output == choice.message.content == "".join(chunks.texts)
    assert (ours.model, ours.finish_reason) == (theirs.model, choice.finish_reason)
    assert ours.usage.input_tokens == usage.prompt_tokens
    assert ours.usage.output_tokens == usage.completion_tokens
    assert chunks.texts == [text for text in deltas if text]


async def test_vectors_agree(server: FakeLLM) -> None:
    """Both read the same vectors, though the SDK asks for another encoding."""
    async with (
        sdk(server.base_url) as client,
        contextlib.aclosing(OpenAIProvider("mine", base_url=server.base_url)) as provider,
    ):
        theirs = await client.embeddings.create(model="m", input=["a", "b"])
        ours = await provider.complete(embeddings("a", "b"))

    assert ours.output == [item.embedding for item in theirs.data]


async def test_requests_agree() -> None:
    """Both send the same body to the same path, schema included."""
    schema: Any = {"name": "answer", "schema": LABELS, "strict": True}
    choice = {"index": 0, "message": {"role": "assistant", "content": "fine"}}
    answer = {"choices": [{**choice, "finish_reason": "stop"}], "model": "m"}
    call = chat(parameters={"temperature": 0.5, "max_tokens": 9}, output_schema=LABELS)
    async with Recorder(answer) as recorder:
        base_url = f"{recorder.root_url}/v1"
        async with (
            sdk(base_url) as client,
            contextlib.aclosing(OpenAIProvider("mine", base_url=base_url)) as provider,
        ):
            await client.chat.completions.create(
                model="m",
                messages=MESSAGES,
                temperature=0.5,
                max_tokens=9,
                response_format={"type": "json_schema", "json_schema": schema},
            )
            await provider.complete(call)

    (their_path, _, theirs), (our_path, _, ours) = recorder.requests
    assert (our_path, ours) == (their_path, theirs)
