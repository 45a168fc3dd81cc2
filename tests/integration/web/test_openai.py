"""OpenAI's paths: their shapes, their errors, their streams."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from streamapp import errors
from streamapp.settings import ModelSettings, ProviderSettings

from .conftest import FakeRequestHandler, Serve, Site

CHAT = {"model": "default", "messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/chat/completions"


async def events(site: Site, body: Any, path: str = PATH) -> list[str]:
    """Return the data of each event of a streamed answer."""
    async with aiohttp.ClientSession(site.url) as http, http.post(path, json=body) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        text = await response.text()
    return [line[6:] for line in text.split("\n") if line.startswith("data: ")]


async def chunks(site: Site, body: Any, path: str = PATH) -> list[Any]:
    """Return the parsed chunks, without the end mark."""
    *data, end = await events(site, body, path)
    assert end == "[DONE]"
    return [json.loads(item) for item in data]


@pytest.fixture
async def site(serve: Serve) -> Site:
    """A worker with one route."""
    return await serve(
        providers={"p": ProviderSettings(kind="offline")},
        models={"default": ModelSettings(targets=["p/m"])},
    )


async def test_chat_is_answered_in_openais_shape(site: Site, handler: FakeRequestHandler) -> None:
    """A conversation becomes a chat record, and its response one choice with usage."""
    parameters = {"temperature": 1, "max_tokens": 5, "stop": "x", "metadata": {"tenant": "t"}}
    status, body, headers = await site("POST", PATH, json=CHAT | parameters)

    record, id, _ = handler.asked[0]
    assert (status, body["id"], body["object"]) == (200, id, "chat.completion")
    assert (record.type, record.model, record.metadata) == ("chat", "default", {"tenant": "t"})
    assert record.parameters() == {"temperature": 1, "max_tokens": 5, "stop": ["x"]}  # type: ignore[attr-defined]
    assert body["choices"][0]["message"]["content"] == "hello"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    assert headers["X-Request-Id"].startswith("req_")


async def test_chunks_are_sent_as_chunks(site: Site, handler: FakeRequestHandler) -> None:
    """A stream is the role, each chunk as it comes, the finish reason and the end mark."""
    handler.chunks = ["hel", "lo"]

    role, *texts, last = await chunks(site, CHAT | {"stream": True})

    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [text["choices"][0]["delta"] for text in texts] == [
        {"content": "hel"},
        {"content": "lo"},
    ]
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")
    assert len({chunk["id"] for chunk in (role, *texts, last)}) == 1
    assert "usage" not in last


async def test_answer_without_chunks_is_one_chunk(site: Site) -> None:
    """A provider that does not stream, or a cache, gives the whole text as one chunk."""
    got = await chunks(site, CHAT | {"stream": True})

    assert [chunk["choices"][0]["delta"].get("content") for chunk in got] == ["", "hello", None]


async def test_usage_is_in_the_last_chunk_where_asked_for(site: Site) -> None:
    """With include_usage every chunk has the field and the last one the numbers, no choice."""
    body = CHAT | {"stream": True, "stream_options": {"include_usage": True}}
    *before, last = await chunks(site, body)

    assert {chunk["usage"] for chunk in before} == {None}
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 5


async def test_failure_before_the_first_chunk_has_its_status(
    site: Site, handler: FakeRequestHandler
) -> None:
    """Nothing is sent yet: a stream's error looks like any other."""
    handler.failure = errors.RetriesExhausted("why")

    status, body, headers = await site("POST", PATH, json=CHAT | {"stream": True})

    assert (status, body["error"]["code"]) == (503, "retries_exhausted")
    assert "Retry-After" in headers


async def test_failure_after_the_first_chunk_is_the_last_event(
    site: Site, handler: FakeRequestHandler
) -> None:
    """The status is sent: the error ends the stream, without the end mark."""
    handler.chunks, handler.failure = ["hel"], errors.RetriesExhausted("why")

    *_, last = await events(site, CHAT | {"stream": True})

    assert json.loads(last)["error"]["code"] == "retries_exhausted"


async def test_deadline_within_a_stream_is_its_last_event(
    serve: Serve, handler: FakeRequestHandler
) -> None:
    """A stream that takes too long is ended with the error, and its work cancelled."""
    site = await serve(deadline_s=2)  # the first chunk is sent before, also on a busy machine
    handler.chunks, handler.hold = ["hel"], asyncio.Event()

    body = {"type": "echo", "stream": True}
    *_, last = await events(site, body, "/v1/generate")

    assert json.loads(last)["error"]["code"] == "expired"
    assert handler.cancelled.is_set()


async def test_client_that_leaves_a_stream_cancels_its_call(
    site: Site, handler: FakeRequestHandler
) -> None:
    """Whoever closes the connection half way pays for no more of the answer."""
    handler.chunks, handler.hold = ["hel"], asyncio.Event()

    body = CHAT | {"stream": True}
    async with aiohttp.ClientSession(site.url) as http, http.post(PATH, json=body) as response:
        await response.content.readany()

    async with asyncio.timeout(60):
        await handler.cancelled.wait()


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"temperature": "hot"}, "temperature"),
        ({"n": 0}, "n"),
        ({"store": True}, "store"),
        ({"audio": {"voice": "CANARY"}}, "audio"),
        ({"tools": [{"type": "custom", "custom": {"name": "CANARY"}}]}, "tools.0.type"),
        ({"base_url": "http://127.0.0.1:1"}, "base_url"),
        ({"api_key": "CANARY"}, "api_key"),
        ({"extra_headers": {"a": "CANARY"}}, "extra_headers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_wrong_field_is_named(
    site: Site, handler: FakeRequestHandler, change: dict[str, Any], param: str
) -> None:
    """A parameter that is wrong or not supported is refused by name, its value never repeated."""
    status, body, _ = await site("POST", PATH, json=CHAT | change)

    assert (status, body["error"]["code"], body["error"]["param"]) == (422, "invalid", param)
    assert "CANARY" not in str(body)
    assert handler.asked == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", PATH, CHAT | {"model": "other"}),
        ("POST", "/v1/embeddings", {"model": "other", "input": "a"}),
        ("GET", "/v1/models/other", None),
    ],
)
async def test_unknown_model_is_not_found(
    site: Site, handler: FakeRequestHandler, method: str, path: str, body: Any
) -> None:
    """A model that no route names is 404 with OpenAI's code, wherever it is named."""
    status, answer, _ = await site(method, path, json=body)

    assert (status, answer["error"]["code"]) == (404, "model_not_found")
    assert answer["error"]["param"] == "model"
    assert handler.asked == []


async def test_embeddings_keep_the_order_of_their_inputs(
    site: Site, handler: FakeRequestHandler
) -> None:
    """Texts become an embed record, and its vectors a list by index."""
    status, body, _ = await site(
        "POST", "/v1/embeddings", json={"model": "default", "input": ["a", "b"]}
    )

    assert status == 200
    assert handler.asked[0][0].input == ["a", "b"]  # type: ignore[attr-defined]
    assert [item["index"] for item in body["data"]] == [0, 1]
    assert body["data"][0]["embedding"] == [0.25, -1.0]
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


async def test_models_are_the_configured_routes(site: Site) -> None:
    """Each route is a model; one can be asked for alone."""
    _, body, _ = await site("GET", "/v1/models")
    status, one, _ = await site("GET", "/v1/models/default")

    assert [model["id"] for model in body["data"]] == ["default"]
    assert (status, one) == (200, body["data"][0])


async def test_generate_streams_chunks_and_the_record(
    site: Site, handler: FakeRequestHandler
) -> None:
    """Any record with `stream` is answered as events; the last one is the response record."""
    handler.chunks = ["hel", "lo"]

    data = await events(site, {"type": "echo", "text": "x", "stream": True}, "/v1/generate")

    assert [json.loads(item).get("text") for item in data] == ["hel", "lo", None]
    assert json.loads(data[-1])["output"] == "hello"
