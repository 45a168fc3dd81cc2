"""The requests the Anthropic provider makes and the answers it reads."""

import asyncio
import contextlib
from typing import Any

import orjson
import pytest

from streamapp.errors import (
    ContentFiltered,
    ContextLengthExceeded,
    GarbledAnswer,
    InvalidRecord,
    ProviderDenied,
    ProviderForbidden,
    ProviderRejected,
    ProviderUnavailable,
    RateLimited,
    TooLarge,
)
from streamapp.llm.chunks import CallDelta
from streamapp.llm.completion import Call, Completion
from streamapp.llm.providers.anthropic import AnthropicProvider
from streamapp.llm.providers.shapes.messages import MessageStream
from streamapp.records.response import Usage
from tests.fakes import TakenChunks
from tests.support.fakeanswers import CANARY
from tests.support.fakellm import FakeLLM
from tests.support.recorder import Recorder
from tests.support.scripted_server import ScriptedServer
from tests.unit.llm.calls import LABELS, chat, embeddings
from tests.unit.llm.providers.vendors.shape import Reply, refusal

ANSWER = {
    "model": "claude-2030",
    "content": [{"type": "text", "text": "fine"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 7, "output_tokens": 2},
}


async def sent(call: Call, path: str = "", **fields: Any) -> tuple[str, dict[str, str], Any]:
    """Return the request made for ``call``: path, headers and body."""
    async with Recorder(ANSWER) as recorder:
        provider = AnthropicProvider("mine", base_url=recorder.root_url + path, **fields)
        async with contextlib.aclosing(provider):
            await provider.complete(call)
    return recorder.requests[0]


async def answered(answer: Any, call: Call | None = None) -> Completion:
    """Return the completion read from ``answer``."""
    async with Recorder(answer) as recorder:
        provider = AnthropicProvider("mine", base_url=recorder.root_url)
        async with contextlib.aclosing(provider):
            return await provider.complete(call or chat())


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
async def test_request_goes_to_the_messages_api(path: str) -> None:
    """Messages go to the API's path with its date, and the key as bearer token."""
    sent_path, headers, body = await sent(chat("hi"), path, api_key=" sk-1\n")

    assert sent_path == "/v1/messages"
    assert headers["authorization"] == "Bearer sk-1"
    assert headers["anthropic-version"] == "2026-10-21"
    assert body == {
        "model": "m",
        "max_tokens": 8192,
        "messages": [{"role": "user", "content": "hi"}],
    }


async def test_older_version_has_the_key_in_a_header_of_its_own() -> None:
    """A gateway of that version looks for it there, and takes no bearer token for a key."""
    _, headers, _ = await sent(chat("hi"), api_key="sk-1", version="2023-06-01")

    assert headers["x-api-key"] == "sk-1"
    assert "authorization" not in {name.lower() for name in headers}


async def test_instructions_leave_the_messages() -> None:
    """System and developer messages become the system prompt; names are left out."""
    messages = [
        {"role": "system", "content": "one"},
        {"role": "user", "content": "hi", "name": "ada"},
        {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "more"},
    ]

    _, _, body = await sent(chat(messages=messages))

    assert body["system"] == "one\n\ntwo"
    assert body["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "more"},
    ]


async def test_lone_instruction_is_a_question() -> None:
    """A prompt of instructions alone is sent as a user's, since one is required."""
    _, _, body = await sent(chat(messages=[{"role": "system", "content": "Tell a joke."}]))

    assert body["messages"] == [{"role": "user", "content": "Tell a joke."}]
    assert "system" not in body


async def test_images_are_written_anthropics_way() -> None:
    """Images by address and by data become Anthropic's blocks."""
    urls = ("https://example.org/a.png", "data:image/png;base64,AAAA")
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content = [{"type": "text", "text": "what?"}, *parts]

    _, _, body = await sent(chat(messages=[{"role": "user", "content": content}]))

    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "what?"},
        {"type": "image", "source": {"type": "url", "url": urls[0]}},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
        },
    ]


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 5, "max_completion_tokens": 6}, {"max_tokens": 6}),
        ({"stop": ["a"]}, {"stop_sequences": ["a"]}),
        ({"user": "u"}, {"metadata": {"user_id": "u"}}),
        ({"reasoning_effort": "high"}, {"output_config": {"effort": "high"}}),
        ({"reasoning_effort": "minimal"}, {}),
        ({"temperature": 0, "top_p": 1, "seed": 1, "presence_penalty": 1}, {}),
    ],
    ids=str,
)
async def test_parameters_are_translated(
    parameters: dict[str, Any], fields: dict[str, Any]
) -> None:
    """What Anthropic has a word for is said, the rest is left out."""
    _, _, body = await sent(chat("hi", parameters=parameters))
    _, _, plain = await sent(chat("hi"))

    assert body == {**plain, **fields}


async def test_older_version_takes_a_temperature() -> None:
    """The API of an older date still samples as asked."""
    call = chat("hi", parameters={"temperature": 0, "top_p": 0.5})

    _, headers, body = await sent(call, version="2023-06-01")

    assert headers["anthropic-version"] == "2023-06-01"
    assert (body["temperature"], body["top_p"]) == (0, 0.5)


OPTIONAL = {**LABELS, "required": []}
OPEN = {**LABELS, "additionalProperties": True}


@pytest.mark.parametrize(
    ("fields", "schema", "is_native"),
    [
        pytest.param({"output_schema": LABELS}, LABELS, True, id="closed"),
        pytest.param({"output_schema": OPTIONAL}, OPTIONAL, True, id="optional"),
        pytest.param({"output_schema": OPEN}, OPEN, False, id="open"),
        pytest.param(
            {
                "parameters": {
                    "response_format": {"type": "json_schema", "json_schema": {"schema": LABELS}}
                }
            },
            LABELS,
            True,
            id="record",
        ),
        pytest.param(
            {"parameters": {"response_format": {"type": "json_object"}}},
            {"type": "object"},
            False,
            id="json-object",
        ),
    ],
)
async def test_schema_is_native_where_it_can_be(
    fields: dict[str, Any], schema: Any, is_native: bool
) -> None:
    """A schema is sent natively where it is closed, else as an instruction."""
    _, _, body = await sent(chat("hi", **fields))

    if is_native:
        assert body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
        assert "system" not in body
    else:
        assert "output_config" not in body
        assert orjson.dumps(schema).decode() in body["system"]


MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("turn", "sent_as"),
    [
        (
            {"role": "system", "content": [{"type": "text", "text": "a"} | MARK]},
            [{"type": "text", "text": "a"} | MARK, {"type": "text", "text": "b"}],
        ),
        (
            {"role": "system", "content": "a"} | MARK,
            [{"type": "text", "text": "a"} | MARK, {"type": "text", "text": "b"}],
        ),
        ({"role": "system", "content": "a"}, "a\n\nb"),
    ],
    ids=["part", "turn", "none"],
)
async def test_system_says_where_its_cache_ends(turn: dict[str, Any], sent_as: Any) -> None:
    """What the system says is one text, and blocks where a cache of it is asked for."""
    call = chat("hi")
    turns = [turn, {"role": "developer", "content": "b"}, *call.messages]
    _, _, body = await sent(call.but(messages=turns))

    assert body["system"] == sent_as
    assert len(body["messages"]) == 1


@pytest.mark.parametrize(
    ("turn", "block"),
    [
        ({"role": "user", "content": "a"}, {"type": "text", "text": "a"}),
        (
            {"role": "tool", "tool_call_id": "c", "content": "r"},
            {"type": "tool_result", "tool_use_id": "c", "content": "r"},
        ),
        (
            {
                "role": "assistant",
                "content": "a",
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            {"type": "tool_use", "id": "c", "name": "f", "input": {}},
        ),
    ],
    ids=["user", "tool", "assistant"],
)
async def test_turn_says_where_a_cache_ends(turn: dict[str, Any], block: Any) -> None:
    """The mark of a turn is that of its last block."""
    call = chat("hi")
    _, _, body = await sent(call.but(messages=[*call.messages, turn | MARK]))

    assert body["messages"][-1]["content"][-1] == block | MARK


async def test_plain_text_wants_no_schema() -> None:
    """A record that asks for text gets text."""
    _, _, body = await sent(chat("hi", parameters={"response_format": {"type": "text"}}))

    assert body.keys() == {"model", "max_tokens", "messages"}


async def test_answer_is_the_text_of_all_blocks() -> None:
    """Text blocks are the answer; thinking is not. Cached input tokens count as input."""
    completion = await answered(
        {
            **ANSWER,
            "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "text", "text": "a "},
                {"type": "text", "text": "b"},
            ],
            "usage": {
                "input_tokens": 7,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 20,
                "output_tokens": 2,
            },
        }
    )

    assert completion.output == "a b"
    assert (completion.model, completion.provider) == ("claude-2030", "mine")
    assert completion.usage == Usage(input_tokens=127, output_tokens=2, cached_input_tokens=100)


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "pause_turn"),
    ],
)
async def test_end_is_named_openais_way(stop_reason: str, finish_reason: str) -> None:
    """Why an answer ended is said in the same words for every provider."""
    completion = await answered({**ANSWER, "stop_reason": stop_reason})

    assert completion.finish_reason == finish_reason


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ({"shape": "content_filter"}, ContentFiltered),
        ({"shape": "garbage"}, GarbledAnswer),
        ({"shape": "html"}, ProviderForbidden),
        ({"shape": "truncated"}, GarbledAnswer),
        ({"shape": "nan"}, GarbledAnswer),
        ({"shape": "empty_choices"}, GarbledAnswer),
        ({"shape": "null_content"}, GarbledAnswer),
        ({"shape": "wrong_type"}, GarbledAnswer),
        ({"shape": "gzip_bomb"}, TooLarge),
        ({"size": 50_000_000}, TooLarge),
        ({"status": 307, "headers": {"location": "http://127.0.0.1:1/v1"}}, ProviderDenied),
        ({"status": 401}, ProviderDenied),
        ({"status": 402}, ProviderDenied),
        ({"status": 404}, ProviderRejected),
        ({"status": 413}, ProviderRejected),
        ({"status": 429}, RateLimited),
        ({"status": 529}, ProviderUnavailable),
        ({"close": "headers"}, ProviderUnavailable),
        ({"close": "body"}, ProviderUnavailable),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
async def test_wrong_answer_has_its_error(
    outcome: dict[str, Any], error: type[Exception], is_streamed: bool, server: FakeLLM
) -> None:
    """Each wrong answer becomes its error, whole or streamed, without a word of it."""
    server.default(**outcome)
    call = chat("CANARY-PROMPT", chunks=TakenChunks() if is_streamed else None)

    async with contextlib.aclosing(
        AnthropicProvider("mine", base_url=server.root_url, api_key="CANARY-KEY")
    ) as provider:
        with pytest.raises(error) as caught:
            await provider.complete(call)

    assert not any(word in str(caught.value) for word in (CANARY, "CANARY-PROMPT", "CANARY-KEY"))


@pytest.mark.parametrize(
    ("status", "fields", "error"),
    [
        (400, {"message": "prompt is too long: 9 tokens > 8 maximum"}, ContextLengthExceeded),
        (400, {"message": "You have reached your specified API usage limits."}, ProviderDenied),
        (400, {"message": "Your credit balance is too low"}, ProviderDenied),
        (400, {"type": "billing_error"}, ProviderDenied),
        (429, {"details": {"error_code": "enforced_spend_limit_reached"}}, ProviderDenied),
        (429, {"type": "rate_limit_error"}, RateLimited),
    ],
    ids=str,
)
async def test_body_decides_the_error(
    status: int, fields: dict[str, Any], error: type[Exception], server: FakeLLM
) -> None:
    """What Anthropic says in its body tells quotas and long prompts from other errors."""
    body = orjson.dumps({"type": "error", "error": {"type": "invalid_request_error", **fields}})
    server.default(status=status, body=body.decode())

    async with contextlib.aclosing(AnthropicProvider("mine", base_url=server.root_url)) as provider:
        with pytest.raises(error) as caught:
            await provider.complete(chat())

    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("type", "error"),
    [
        ("overloaded_error", ProviderUnavailable),
        ("rate_limit_error", RateLimited),
        ("invalid_request_error", ProviderRejected),
        ("new_error", ProviderUnavailable),
    ],
)
async def test_stream_can_end_in_an_error(
    type: str, error: type[Exception], server: FakeLLM
) -> None:
    """An error in the middle of a stream is that error, not an answer."""
    server.default(shape="stream_error", code=type, text="one two three four")

    async with contextlib.aclosing(AnthropicProvider("mine", base_url=server.root_url)) as provider:
        with pytest.raises(error) as caught:
            await provider.complete(chat(chunks=TakenChunks()))

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "event",
    [
        b"nonsense",
        b"[]",
        b'{"type": "message_start"}',
        b'{"type": "message_start", "message": 7}',
        b'{"type": "content_block_delta", "delta": 7}',
        b'{"type": "content_block_delta", "delta": {"type": "text_delta"}}',
        b'{"type": "content_block_delta", "delta": {"type": "text_delta", "text": 7}}',
        b'{"type": "message_delta", "delta": 7}',
        b'{"type": "error"}',
    ],
)
def test_odd_event_is_garbled(event: bytes) -> None:
    """Anything but the events of a message is a garbled answer."""
    with pytest.raises(GarbledAnswer):
        MessageStream(chat(), provider="mine").feed(event)


async def test_streamed_usage_is_the_final_one(server: FakeLLM) -> None:
    """A stream's input tokens are those of its start, its output tokens those of its end."""
    server.default(text="one two three")

    async with contextlib.aclosing(AnthropicProvider("mine", base_url=server.root_url)) as provider:
        completion = await provider.complete(chat("a b", chunks=TakenChunks()))

    assert completion.usage == Usage(input_tokens=2, output_tokens=3)


async def test_embeddings_are_rejected() -> None:
    """A call for vectors is refused without a request: there is no such API."""
    with pytest.raises(ProviderRejected, match="embeddings"):
        await AnthropicProvider("mine").complete(embeddings("a"))


async def test_number_above_64_bits_is_an_invalid_record() -> None:
    """A parameter that JSON cannot carry fails before anything is sent."""
    with pytest.raises(InvalidRecord):
        await AnthropicProvider("mine").complete(chat(parameters={"max_tokens": 10**30}))


TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "It.", "parameters": {"type": "object"}},
}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"a":1}'}}


async def test_tools_and_their_turns_are_anthropics() -> None:
    """Tools, calls and results are sent as Anthropic writes them, results of one turn together."""
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "c2"}]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "c2", "content": "dry"},
        {"role": "assistant", "content": "fine"},
    ]
    parameters = {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False}

    _, _, body = await sent(chat("hi").but(messages=messages, parameters=parameters))

    assert body["tools"] == [
        {"name": "weather", "description": "It.", "input_schema": {"type": "object"}}
    ]
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    use = {"type": "tool_use", "name": "weather", "input": {"a": 1}}
    assert body["messages"][1:] == [
        {"role": "assistant", "content": [{**use, "id": "c1"}, {**use, "id": "c2"}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "sunny"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "dry"},
            ],
        },
        {"role": "assistant", "content": "fine"},
    ]


async def test_wanted_call_is_read() -> None:
    """A block of tool use is a call by OpenAI's shape."""
    use = {"type": "tool_use", "id": "c1", "name": "weather", "input": {"a": 1}}

    completion = await answered({**ANSWER, "content": [use], "stop_reason": "tool_use"})

    assert completion.tool_calls == [CALL]
    assert (completion.output, completion.finish_reason) == ("", "tool_calls")


def test_streamed_call_is_put_together() -> None:
    """The input of a streamed call comes in parts of its JSON."""
    use = {"type": "tool_use", "id": "c1", "name": "weather", "input": {}}
    parts = ('{"a"', ":1}")
    stream = MessageStream(chat(), provider="mine")
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": use},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": part},
            }
            for part in parts
        ),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]
    pieces: list[CallDelta] = []
    for event in events:
        stream.feed(orjson.dumps(event))
        pieces += stream.new_calls()
    stream.end()

    assert stream.completion().tool_calls == [CALL]
    assert pieces == [
        CallDelta(0, "c1", "weather"),
        CallDelta(0, arguments='{"a"'),
        CallDelta(0, arguments=":1}"),
    ]


NO_FORMAT = {"error": {"message": "output_config: Extra inputs are not permitted"}}


async def test_calls_that_meet_a_refusal_at_once_are_all_asked_again() -> None:
    """Who is not the first to find out that a gateway takes no schema is answered as well."""
    replies = [refusal(400, NO_FORMAT), refusal(400, NO_FORMAT), Reply(json=ANSWER)]
    async with ScriptedServer(replies) as server:
        provider = AnthropicProvider("mine", base_url=server.root_url)
        async with contextlib.aclosing(provider):
            call = chat(output_schema=LABELS)
            both = await asyncio.gather(provider.complete(call), provider.complete(call))

    assert [completion.output for completion in both] == ["fine", "fine"]
    assert ["output_config" in body for body in server.requests] == [True, True, False, False]


async def test_format_that_was_not_at_fault_is_asked_for_again() -> None:
    """Where the request is refused without it, too, others are asked as before."""
    replies = [refusal(400, NO_FORMAT), refusal(400, NO_FORMAT), Reply(json=ANSWER)]
    async with ScriptedServer(replies) as server:
        provider = AnthropicProvider("mine", base_url=server.root_url)
        async with contextlib.aclosing(provider):
            with pytest.raises(ProviderRejected):
                await provider.complete(chat(output_schema=LABELS))
            await provider.complete(chat(output_schema=LABELS))

    assert ["output_config" in body for body in server.requests] == [True, False, True]


async def test_refused_format_that_was_not_asked_for_changes_nothing() -> None:
    """A schema is still asked for after words about one that another call did not send."""
    replies = [refusal(400, NO_FORMAT), Reply(json=ANSWER)]
    async with ScriptedServer(replies) as server:
        provider = AnthropicProvider("mine", base_url=server.root_url)
        async with contextlib.aclosing(provider):
            with pytest.raises(ProviderRejected):
                await provider.complete(chat())
            await provider.complete(chat(output_schema=LABELS))

    assert ["output_config" in body for body in server.requests] == [False, True]
