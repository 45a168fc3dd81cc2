"""The requests the OpenAI provider makes and the answers it reads."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamapp.errors import (
    ConfigurationError,
    ContentFiltered,
    GarbledAnswer,
    InvalidRecord,
    ProviderRejected,
)
from streamapp.llm.providers.openai import OpenAIProvider
from tests.support.fakellm import FakeLLM
from tests.support.recorder import Recorder
from tests.support.scripted_server import ScriptedServer
from tests.unit.llm.calls import LABELS, chat, embeddings
from tests.unit.llm.providers.vendors.shape import refusal


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    """A recording server with a good answer."""
    choice = {"message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}
    answer = {"choices": [choice], "model": "m-2030", "usage": {"prompt_tokens": 7}}
    async with Recorder(answer) as recorder:
        yield recorder


async def complete(base_url: str, call: Any, **fields: Any) -> Any:
    """Answer one call by a provider of its own."""
    async with contextlib.aclosing(OpenAIProvider("mine", base_url=base_url, **fields)) as provider:
        return await provider.complete(call)


async def test_chat_request_has_openais_shape(recorder: Recorder) -> None:
    """Model, messages and parameters go to the chat path, with the key as bearer token."""
    call = chat("hi", parameters={"temperature": 0.5, "max_tokens": 9})

    await complete(recorder.root_url + "/v1/", call, api_key=" sk-1\n")

    path, headers, body = recorder.requests[0]
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer sk-1"
    assert headers["content-type"] == "application/json"
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "max_tokens": 9,
    }


async def test_no_key_sends_no_authorization(recorder: Recorder) -> None:
    """Without a key no authorization is sent: local servers need none."""
    await complete(f"{recorder.root_url}/v1", chat())

    assert "authorization" not in recorder.requests[0][1]


@pytest.mark.parametrize(
    ("schema", "is_strict"),
    [
        pytest.param(LABELS, True, id="closed"),
        pytest.param({**LABELS, "additionalProperties": True}, False, id="open"),
        pytest.param({**LABELS, "required": []}, False, id="optional"),
        pytest.param({**LABELS, "minProperties": 1}, False, id="unknown-keyword"),
        pytest.param({**LABELS, "properties": {"label": {}}}, False, id="untyped"),
        pytest.param({**LABELS, "properties": {"label": {"type": "object"}}}, False, id="nested"),
    ],
)
async def test_schema_is_strict_where_it_qualifies(
    schema: dict[str, Any], is_strict: bool, recorder: Recorder
) -> None:
    """A schema is sent natively; strict mode is asked for only where it takes the schema."""
    await complete(f"{recorder.root_url}/v1", chat(output_schema=schema))

    wanted = recorder.requests[0][2]["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"] == {"name": "answer", "schema": schema, "strict": is_strict}


async def test_embeddings_request_has_openais_shape(server: FakeLLM) -> None:
    """Inputs go to the embeddings path in one request; vectors come back in their order."""
    completion = await complete(server.base_url, embeddings("a", "b"))

    assert server.calls[0].path == "/v1/embeddings"
    assert server.calls[0].inputs == ("a", "b")
    assert len(completion.output) == 2
    assert completion.usage.input_tokens == 2


@pytest.mark.parametrize(
    "data",
    [
        [{"index": 0, "embedding": [1.0]}],
        [{"index": 1, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": []}],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": ["x"]}],
        [{"index": 0, "embedding": [1.0]}, {"index": "1", "embedding": [1.0]}],
        "text",
        None,
    ],
)
async def test_embeddings_that_do_not_match_are_garbled(data: Any, recorder: Recorder) -> None:
    """Anything but one vector of numbers per input is a garbled answer."""
    recorder.answer = {"data": data}

    with pytest.raises(GarbledAnswer):
        await complete(f"{recorder.root_url}/v1", embeddings("a", "b"))


async def test_vectors_are_put_in_order(recorder: Recorder) -> None:
    """Vectors are ordered by their index, whatever their order in the answer."""
    recorder.answer = {"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}]}

    completion = await complete(f"{recorder.root_url}/v1", embeddings("a", "b"))

    assert completion.output == [[1], [2]]


async def test_answer_names_model_and_tokens(recorder: Recorder) -> None:
    """The model is the one that answered; missing counts are 0."""
    completion = await complete(f"{recorder.root_url}/v1", chat())

    assert completion.model == "m-2030"
    assert completion.provider == "mine"
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (7, 0)


@pytest.mark.parametrize("usage", [None, [], {"prompt_tokens": -1, "completion_tokens": "9"}])
async def test_odd_usage_counts_nothing(usage: Any, recorder: Recorder) -> None:
    """A good answer with odd token counts is still an answer."""
    recorder.answer = {"choices": recorder.answer["choices"], "usage": usage}

    completion = await complete(f"{recorder.root_url}/v1", chat())

    assert completion.output == "fine"
    assert completion.model == "m"
    assert completion.usage.input_tokens == completion.usage.output_tokens == 0


async def test_refusal_is_filtered(recorder: Recorder) -> None:
    """A model that refuses instead of answering counts as filtered."""
    refusal = {"role": "assistant", "content": None, "refusal": "I must not."}
    recorder.answer["choices"][0]["message"] = refusal

    with pytest.raises(ContentFiltered):
        await complete(f"{recorder.root_url}/v1", chat())


async def test_empty_text_is_an_answer_and_none_at_all_is_not(recorder: Recorder) -> None:
    """A model may have nothing to say; without a text nothing tells that it had been asked."""
    recorder.answer["choices"][0]["message"] = {"role": "assistant", "content": ""}
    assert (await complete(f"{recorder.root_url}/v1", chat())).output == ""

    for message in ({"role": "assistant", "content": None}, {"role": "assistant"}):
        recorder.answer["choices"][0]["message"] = message
        with pytest.raises(GarbledAnswer, match="no text in the message"):
            await complete(f"{recorder.root_url}/v1", chat())


async def test_number_above_64_bits_is_an_invalid_record(recorder: Recorder) -> None:
    """A parameter that JSON cannot carry fails before anything is sent."""
    with pytest.raises(InvalidRecord):
        await complete(f"{recorder.root_url}/v1", chat(parameters={"seed": 10**30}))

    assert recorder.requests == []


SIGNED = {"extra_content": {"google": {"thought_signature": "c2ln"}}}


@pytest.mark.parametrize(
    ("host", "pass_through", "kept"),
    [
        ("generativelanguage.googleapis.com", [], SIGNED),
        ("gateway.example", ["extra_content"], SIGNED),
        ("api.example", [], {}),
        ("googleapis.com.example", [], {}),
    ],
)
async def test_signed_calls_go_back_to_who_signed_them(
    host: str,
    pass_through: list[str],
    kept: dict[str, Any],
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Gemini gets the signatures of its calls; others, which refuse them, where they say so."""
    monkeypatch.setenv("HTTP_PROXY", recorder.root_url)  # whatever the host, it is answered
    monkeypatch.delenv("NO_PROXY", raising=False)
    wanted = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = {"role": "assistant", "content": None}
    call = chat("hi").but(messages=[said | SIGNED | {"tool_calls": [wanted | SIGNED]}])

    await complete(f"http://{host}/v1", call, pass_through=pass_through)

    assert recorder.requests[0][2]["messages"] == [
        said | kept | {"tool_calls": [wanted | kept]},
    ]


async def test_long_prompt_is_sent(server: FakeLLM) -> None:
    """A request above aiohttp's warning size goes out whole and without a warning."""
    await complete(server.base_url, chat("word " * 300_000))

    assert server.calls[0].status == 200


async def test_connections_are_reused(server: FakeLLM) -> None:
    """Calls of one provider share its session, and it can be used again after closing."""
    provider = OpenAIProvider("mine", base_url=server.base_url)

    await provider.complete(chat())
    await provider.aclose()
    await provider.complete(chat())
    await provider.aclose()

    assert len(server.calls) == 2


@pytest.mark.parametrize(
    "base_url",
    [
        "api.example/v1",
        "ftp://api.example/v1",
        "http://",
        "http://user:CANARY@api.example/v1",
        "http://api.example/v1?key=CANARY",
        f"http://{'a' * 70}.example/v1",
        "http://api.example:port/v1",
    ],
)
def test_wrong_base_url_is_a_configuration_error(base_url: str) -> None:
    """A URL that cannot be called is found at start, without showing a credential in it."""
    with pytest.raises(ConfigurationError, match=r"providers\.mine\.base_url") as caught:
        OpenAIProvider("mine", base_url=base_url)

    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("key", ["sk-\nCANARY", "sk-CANARY-ключ"])
def test_unusable_key_is_a_configuration_error(key: str) -> None:
    """A key that no header can carry is found at start, without showing it."""
    with pytest.raises(ConfigurationError, match=r"providers\.mine") as caught:
        OpenAIProvider("mine", api_key=key)

    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "fields", "says"),
    [
        (400, {}, '; if it takes no json_schema, set structured = "json_object" in'),
        (422, {"structured": "json_object"}, 'no json_object, set structured = "prompt" in'),
        (400, {"structured": "prompt"}, ""),
        (404, {}, ""),
    ],
)
async def test_unknown_refusal_names_the_other_way_of_asking(
    status: int, fields: Any, says: str
) -> None:
    """Words that nobody knows may mean the format; the setting is named, and not the words."""
    replies = [refusal(status, {"error": {"message": "bad SECRET", "code": "bad"}})]
    async with ScriptedServer(replies) as server:
        with pytest.raises(ProviderRejected) as caught:
            await complete(server.root_url, chat(output_schema=LABELS), **fields)

    tail = f"{says} [providers.mine]" if says else "bad"
    assert str(caught.value).startswith(f"mine: HTTP {status} bad")
    assert str(caught.value).endswith(tail)
    assert "SECRET" not in str(caught.value)
