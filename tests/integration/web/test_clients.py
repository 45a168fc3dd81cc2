"""The clients that people have: OpenAI's for Python and Node, and curl; `base_url` alone."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import openai
import pytest
from pydantic import BaseModel, SecretStr

from streamapp import errors
from streamapp.processors.chat import Chat
from streamapp.settings import ModelSettings, ProviderSettings
from tests.support.absent import absent
from tests.support.clients import SCRIPTS, ClientUnavailable, node_modules

from .conftest import FakeRequestHandler, Serve, Site

pytestmark = pytest.mark.timeout(240)  # the first run installs the clients

KEY = "sk-test"
MESSAGES: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture
async def site(serve: Serve, handler: FakeRequestHandler) -> Site:
    """A worker with one route and a key, whose answers come in two chunks."""
    handler.chunks = ["hel", "lo"]
    return await serve(
        api_keys=SecretStr(KEY),
        providers={"p": ProviderSettings(kind="offline")},
        models={"default": ModelSettings(targets=["p/m"])},
    )


def installed(install: Callable[[], Path]) -> Path:
    """Return what ``install`` returns; skip where it cannot, in CI that is a failure."""
    try:
        return install()
    except ClientUnavailable as error:
        absent(error)


async def output_of(command: Sequence[str | Path], **environment: str) -> str:
    """Run a program in the loop that also serves it; return its stdout."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | environment,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def client_of(site: Site, key: str = KEY) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{site.url}/v1", api_key=key, max_retries=0)


async def test_openai_for_python_chats_streams_and_embeds(site: Site) -> None:
    """Whole, streamed, embedded and listed: the official client understands each answer."""
    async with client_of(site) as client:
        whole = await client.chat.completions.create(model="default", messages=MESSAGES)
        stream = await client.chat.completions.create(
            model="default",
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        vectors = await client.embeddings.create(model="default", input=["a", "b"])
        models = [model.id async for model in client.models.list()]

    assert (whole.choices[0].message.content, whole.usage and whole.usage.total_tokens) == (
        "hello",
        5,
    )
    assert whole._request_id
    assert "".join(p.choices[0].delta.content or "" for p in chunks[:-1]) == "hello"
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == 2
    # The client asks for base64 unless told otherwise, and unpacks it.
    assert [list(item.embedding) for item in vectors.data] == [[0.25, -1.0]] * 2
    assert models == ["default"]


async def test_openai_for_python_goes_on_with_an_answer(
    site: Site, handler: FakeRequestHandler
) -> None:
    """An answer is put into the conversation as the client holds it; the model hears its text."""
    async with client_of(site) as client:
        first = await client.chat.completions.create(model="default", messages=MESSAGES)
        answer: Any = first.choices[0].message
        await client.chat.completions.create(model="default", messages=[*MESSAGES, answer])

    said = cast(Chat, handler.asked[-1][0]).messages
    assert said == [*MESSAGES, {"role": "assistant", "content": "hello"}]


async def test_openai_for_python_asks_for_responses_and_completions(
    site: Site, handler: FakeRequestHandler
) -> None:
    """Responses, whole, streamed, parsed and with calls, and completions of both kinds."""
    function = {"name": "weather", "arguments": '{"place":"here"}'}
    tool: Any = {"type": "function", "name": "weather", "parameters": {}, "strict": False}
    ask: Any = {"model": "default", "input": "hi"}

    async with client_of(site) as client:
        whole = await client.responses.create(**ask)
        async with client.responses.stream(**ask) as stream:
            streamed = await stream.get_final_response()
        text = await client.completions.create(model="default", prompt=["a", "b"])
        texts = [
            chunk.choices[0].text
            async for chunk in await client.completions.create(
                model="default", prompt="a", stream=True
            )
        ]
        handler.chunks, handler.output = [], '{"sky":"blue"}'
        parsed = await client.responses.parse(**ask, text_format=Weather)
        handler.output = ""
        handler.tool_calls = [{"id": "c1", "type": "function", "function": function}]
        called = await client.responses.create(**ask, tools=[tool])
        result: Any = {"type": "function_call_output", "call_id": "c1", "output": "fine"}
        again: Any = [{"role": "user", "content": "hi"}, *called.output, result]
        await client.responses.create(model="default", input=again, tools=[tool])

    assert (whole.output_text, streamed.output_text) == ("hello", "hello")
    assert streamed.usage
    assert streamed.usage.total_tokens == 5
    assert [choice.text for choice in text.choices] == ["hello", "hello"]
    assert "".join(texts) == "hello"
    assert parsed.output_parsed == Weather(sky="blue")
    assert [item.type for item in called.output] == ["function_call"]
    turns: Any = cast(Chat, handler.asked[-1][0]).messages
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool"]


async def test_openai_for_python_raises_within_a_streamed_response(
    site: Site, handler: FakeRequestHandler
) -> None:
    """A response that breaks off raises as well."""
    handler.failure = errors.RetriesExhausted("why")

    async with client_of(site) as client:
        stream = await client.responses.create(model="default", input="hi", stream=True)
        with pytest.raises(openai.APIError, match="why"):
            [event async for event in stream]


class Weather(BaseModel):
    """What `parse` reads."""

    sky: str


async def test_openai_for_python_calls_tools_and_parses(
    site: Site, handler: FakeRequestHandler
) -> None:
    """Tools, whole and streamed, and structured output are the client's own types."""
    function = {"name": "weather", "arguments": '{"place":"here"}'}
    call = {"id": "c1", "type": "function", "function": function}
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    handler.chunks, handler.output, handler.tool_calls = [], "", [call]

    async with client_of(site) as client:
        whole = await client.chat.completions.create(
            model="default", messages=MESSAGES, tools=tools
        )
        async with client.chat.completions.stream(
            model="default", messages=MESSAGES, tools=tools
        ) as stream:
            streamed = await stream.get_final_completion()
        answer: Any = whole.choices[0].message
        result: Any = {"role": "tool", "tool_call_id": "c1", "content": "fine"}
        handler.output, handler.tool_calls = '{"sky":"blue"}', None
        parsed = await client.chat.completions.parse(
            model="default",
            messages=[*MESSAGES, answer, result],
            tools=openai.omit,
            response_format=Weather,
        )

    for completion in (whole, streamed):
        (wanted,) = completion.choices[0].message.tool_calls or []
        assert wanted.to_dict()["function"]["arguments"] == '{"place":"here"}'  # type: ignore[index]
        assert completion.choices[0].finish_reason == "tool_calls"
    assert parsed.choices[0].message.parsed == Weather(sky="blue")
    assert cast(Chat, handler.asked[-1][0]).messages[1:] == [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        result,
    ]


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (errors.InvalidRecord("why"), openai.UnprocessableEntityError),
        (errors.BudgetExceeded("why"), openai.RateLimitError),
        (errors.RetriesExhausted("why"), openai.InternalServerError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_openai_for_python_raises_its_own_errors(
    site: Site, handler: FakeRequestHandler, failure: errors.Failure, raised: type[openai.APIError]
) -> None:
    """A record's failure is the client's exception for the status, with our kind as its code."""
    handler.chunks, handler.failure = [], failure

    async with client_of(site) as client:
        with pytest.raises(raised) as caught:
            await client.chat.completions.create(model="default", messages=MESSAGES)

    assert caught.value.code == failure.kind


async def test_openai_for_python_raises_within_a_stream(
    site: Site, handler: FakeRequestHandler
) -> None:
    """A stream that breaks off raises; it does not just end."""
    handler.failure = errors.RetriesExhausted("why")

    async with client_of(site) as client:
        stream = await client.chat.completions.create(
            model="default", messages=MESSAGES, stream=True
        )
        with pytest.raises(openai.APIError, match="why"):
            [chunk async for chunk in stream]


async def test_openai_for_python_is_told_what_is_not_there(site: Site) -> None:
    """A wrong key and an unknown model are the client's own errors."""
    async with client_of(site, key="other") as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()
    async with client_of(site) as client:
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="nobody", messages=MESSAGES)


async def test_openai_for_node_works(site: Site) -> None:
    """The official Node client chats, streams with usage, embeds, lists and raises."""
    home = installed(node_modules).parent
    script = shutil.copy(SCRIPTS / "openai_node.mjs", home)  # Node looks for packages beside it

    found: Mapping[str, Any] = json.loads(await output_of(["node", script, f"{site.url}/v1", KEY]))

    assert (found["text"], found["streamed"]) == ("hello", "hello")
    assert found["usage"]["total_tokens"] == 5
    assert found["vectors"] == [[0.25, -1.0]] * 2
    assert found["models"] == ["default"]
    assert found["next"] == "hello"
    assert found["completion"] == "hello"
    assert found["response"] == {"text": "hello", "streamed": "hello", "status": "completed"}
    assert found["failure"] == {
        "name": "NotFoundError",
        "status": 404,
        "code": "model_not_found",
    }


async def test_curl_works(site: Site) -> None:
    """Plain curl, as the documentation shows it, whole and streamed."""

    async def curl(body: Any) -> str:
        headers = ["-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json"]
        url = f"{site.url}/v1/chat/completions"
        return await output_of(["curl", "-sS", "-N", *headers, url, "-d", json.dumps(body)])

    whole = json.loads(await curl({"messages": MESSAGES}))
    streamed = await curl({"messages": MESSAGES, "stream": True})

    assert whole["choices"][0]["message"]["content"] == "hello"
    assert streamed.endswith("data: [DONE]\n\n")
