"""OpenAI's responses: items in, items out, and the events of a stream."""

import json
from typing import Any, cast

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from streamapp import errors
from streamapp.llm.chunks import CallDelta
from streamapp.processors.chat import Chat
from streamapp.settings import ModelSettings, ProviderSettings

from .conftest import FakeRequestHandler, Serve, Site

PATH = "/v1/responses"
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": None}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"a":1}'}}


@pytest.fixture
async def site(serve: Serve) -> Site:
    """A worker with one route."""
    return await serve(
        providers={"p": ProviderSettings(kind="offline", pass_through=["top_k"])},
        models={"default": ModelSettings(targets=["p/m"])},
    )


def asked(handler: FakeRequestHandler) -> Chat:
    record = handler.asked[-1][0]
    assert isinstance(record, Chat)
    return record


async def streamed(site: Site, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the data of the events, each checked against its name."""
    _, text, headers = await site("POST", PATH, json={**body, "stream": True})
    assert headers["Content-Type"].startswith("text/event-stream")
    events = []
    for block in text.strip().split("\n\n"):
        name, data = (line.partition(": ")[2] for line in block.split("\n"))
        event = json.loads(data)
        assert event["type"] == name
        EVENT.validate_python(event)
        events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


async def test_text_is_answered_by_a_message(site: Site, handler: FakeRequestHandler) -> None:
    """Instructions and a text become turns; the answer is one message, with the usage."""
    fields = {"instructions": "be kind", "max_output_tokens": 9, "metadata": {"a": "b"}}

    status, body, _ = await site("POST", PATH, json={"input": "hi", **fields})

    found = Response.model_validate(body, strict=True)
    assert status == 200
    assert asked(handler).messages == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "hi"},
    ]
    assert asked(handler).parameters() == {"max_completion_tokens": 9}
    assert asked(handler).metadata == {"a": "b"}
    assert (found.output_text, found.status) == ("hello", "completed")
    assert found.usage
    assert (found.usage.input_tokens, found.usage.total_tokens) == (3, 5)
    assert (found.instructions, found.max_output_tokens, body["store"]) == ("be kind", 9, False)


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"verbosity": "low"}),
        (
            {"text": {"format": {"type": "json_object"}}},
            {"response_format": {"type": "json_object"}},
        ),
        (
            {
                "text": {
                    "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}
                }
            },
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {}, "strict": True},
                }
            },
        ),
        ({"top_logprobs": 2}, {"top_logprobs": 2, "logprobs": True}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"include": ["reasoning.encrypted_content"], "store": False}, {}),
        ({"truncation": "disabled", "background": False, "max_tool_calls": 3}, {}),
        (
            {"user": "u", "service_tier": "flex", "top_k": 3},
            {"user": "u", "service_tier": "flex", "top_k": 3},
        ),
        ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "name": "weather"}},
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "weather", "parameters": {"type": "object"}},
                    }
                ],
                "tool_choice": {"type": "function", "function": {"name": "weather"}},
            },
        ),
        (
            {
                "tools": [TOOL, TOOL | {"name": "other"}],
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "required",
                    "tools": [{"type": "function", "name": "weather"}],
                },
            },
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "weather", "parameters": {"type": "object"}},
                    }
                ],
                "tool_choice": "required",
            },
        ),
    ],
)
async def test_field_is_passed_on(
    site: Site, handler: FakeRequestHandler, fields: dict[str, Any], parameters: dict[str, Any]
) -> None:
    """What changes an answer reaches the provider by the names of chats."""
    status, body, _ = await site("POST", PATH, json={"input": "hi", **fields})

    assert status == 200, body
    assert asked(handler).parameters() == parameters


async def test_items_are_turns(site: Site, handler: FakeRequestHandler) -> None:
    """Messages of every kind, calls and their outputs become turns of a chat, in order."""
    items: list[dict[str, Any]] = [
        {"role": "developer", "content": "rules"},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": "https://a/b.png", "detail": "low"},
                {"type": "input_file", "file_data": "data:text/plain;base64,AA==", "filename": "f"},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [{"type": "output_text", "text": "I ask.", "annotations": []}],
        },
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "id": "fc_1"},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "two"}],
        },
        {"type": "function_call", "call_id": "c3", "name": "f", "arguments": "{}"},
        {"role": "assistant", "content": "and I say so"},
    ]

    status, body, _ = await site("POST", PATH, json={"input": items})

    def call(id: str, name: str) -> dict[str, Any]:
        return {"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}}

    assert status == 200, body
    assert asked(handler).messages == [
        {"role": "developer", "content": "rules"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
                {
                    "type": "file",
                    "file": {"file_data": "data:text/plain;base64,AA==", "filename": "f"},
                },
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            ],
        },
        {
            "role": "assistant",
            "content": "I ask.",
            "tool_calls": [call("c1", "f"), call("c2", "g")],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "assistant", "content": "and I say so", "tool_calls": [call("c3", "f")]},
    ]


async def test_calls_are_items(site: Site, handler: FakeRequestHandler) -> None:
    """What the model wants called are items of their own; its output can be sent back."""
    handler.output, handler.tool_calls = "", [CALL, CALL | {"id": "c2"}]

    _, body, _ = await site("POST", PATH, json={"input": "hi", "tools": [TOOL]})

    calls = Response.model_validate(body, strict=True).output
    assert [(item.type, getattr(item, "call_id", "")) for item in calls] == [
        ("function_call", "c1"),
        ("function_call", "c2"),
    ]
    assert body["output"][0]["arguments"] == '{"a":1}'
    again = [*body["output"], {"type": "function_call_output", "call_id": "c1", "output": "x"}]
    status, body, _ = await site("POST", PATH, json={"input": again, "tools": [TOOL]})
    assert status == 200, body


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_signed_call_is_there_and_back(
    site: Site, handler: FakeRequestHandler, is_streamed: bool
) -> None:
    """Gemini's signature of a call is in its item, which the client sends back."""
    signed: dict[str, Any] = CALL | {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    handler.chunks = [CallDelta(0, "c1", "weather"), CallDelta(0, extra=signed["extra_content"])]
    handler.output, handler.tool_calls = "", [signed]
    body: dict[str, Any] = {"input": "hi", "tools": [TOOL]}

    if is_streamed:
        items = (await streamed(site, body))[-1]["response"]["output"]
    else:
        items = (await site("POST", PATH, json=body))[1]["output"]
    items.append({"type": "function_call_output", "call_id": "c1", "output": "x"})
    await site("POST", PATH, json=body | {"input": items})

    assert items[0]["extra_content"] == signed["extra_content"]
    turn = cast("dict[str, Any]", asked(handler).messages[0])
    assert turn["tool_calls"] == [signed]


@pytest.mark.parametrize(
    ("reason", "told"), [("length", "max_output_tokens"), ("content_filter",) * 2]
)
async def test_answer_that_is_cut_is_incomplete(
    site: Site, handler: FakeRequestHandler, reason: str, told: str
) -> None:
    """The status says that an answer is not whole, and why, also at the end of a stream."""
    handler.finish_reason = reason

    _, body, _ = await site("POST", PATH, json={"input": "hi"})
    last = (await streamed(site, {"input": "hi"}))[-1]

    for found in (body, last["response"]):
        assert (found["status"], found["incomplete_details"]) == ("incomplete", {"reason": told})
    assert last["type"] == "response.incomplete"


async def test_events_of_a_text(site: Site, handler: FakeRequestHandler) -> None:
    """The events of a message, in OpenAI's order, each by OpenAI's own description."""
    handler.chunks = ["hel", "lo"]

    events = await streamed(site, {"input": "hi"})

    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    whole = events[-1]["response"]
    assert whole["output"] == [events[-2]["item"]]
    assert whole["output"][0]["content"][0]["text"] == "hello"
    assert whole["usage"]["total_tokens"] == 5


async def test_events_of_calls(site: Site, handler: FakeRequestHandler) -> None:
    """A message ends before the calls; pieces of calls come as they are written."""
    handler.chunks = [
        "I ask.",
        CallDelta(0, "c1", "weather"),
        CallDelta(0, arguments='{"a"'),
        CallDelta(0, arguments=":1}"),
    ]
    handler.output, handler.tool_calls = "I ask.", [CALL, CALL | {"id": "c2"}]

    events = await streamed(site, {"input": "hi", "tools": [TOOL]})

    assert [event["type"].removeprefix("response.") for event in events[5:]] == [
        *("output_text.done", "content_part.done", "output_item.done"),
        "output_item.added",
        *("function_call_arguments.delta",) * 2,
        *("output_item.added", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done") * 2,
        "completed",
    ]
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "function_call"]
    assert [item["arguments"] for item in output[1:]] == ['{"a":1}'] * 2
    assert [e["delta"] for e in events if "arguments.delta" in e["type"]] == [
        '{"a"',
        ":1}",
        '{"a":1}',
    ]


async def test_stream_that_breaks_off_ends_as_failed(
    site: Site, handler: FakeRequestHandler
) -> None:
    """Clients that raise at an error and those that wait for a last response both learn of it."""
    handler.chunks, handler.failure = ["hel"], errors.RetriesExhausted("why")

    events = await streamed(site, {"input": "hi"})

    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["error"]["code"] == "retries_exhausted"
    assert events[-1]["response"]["error"]["code"] == "server_error"


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_number_of_many_digits_in_a_schema_is_given_back(
    site: Site, is_streamed: bool
) -> None:
    """What was asked stands in the answer, with bounds of more than 64 bits as well."""
    schema = {"type": "object", "properties": {"size": {"type": "integer", "maximum": 2**64}}}
    body = {"input": "hi", "tools": [TOOL | {"parameters": schema}]}

    if is_streamed:
        found = (await streamed(site, body))[-1]["response"]
    else:
        _, found, _ = await site("POST", PATH, json=body)

    assert found["tools"][0]["parameters"] == schema


async def test_failure_before_the_first_event_has_its_status(
    site: Site, handler: FakeRequestHandler
) -> None:
    """Nothing is streamed of an answer that never began."""
    handler.failure = errors.BudgetExceeded("why")

    status, body, _ = await site("POST", PATH, json={"input": "hi", "stream": True})

    assert (status, body["error"]["code"]) == (429, "budget_exceeded")


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_cached_answer_is_told(
    site: Site, handler: FakeRequestHandler, is_streamed: bool
) -> None:
    """The header is that of every path, and the usage that of the paid answer."""
    handler.chunks, handler.is_cached = ["hello"], True

    _, _, headers = await site("POST", PATH, json={"input": "hi", "stream": is_streamed})

    assert headers["X-Streamapp-Cache"] == "hit"


async def test_what_a_client_has_parsed_is_dropped(site: Site, handler: FakeRequestHandler) -> None:
    """Answers and arguments that the client's `parse` has read come back beside their texts."""
    items = [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "{}", "parsed": {}}],
        },
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "weather",
            "arguments": '{"a":1}',
            "parsed_arguments": {"a": 1},
        },
        {"type": "function_call_output", "call_id": "c1", "output": []},
    ]

    status, body, _ = await site("POST", PATH, json={"input": items})

    assert status == 200, body
    assert asked(handler).messages == [
        {"role": "assistant", "content": "{}", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": ""},
    ]


@pytest.mark.parametrize(
    ("fields", "param", "why"),
    [
        ({"input": None}, "input", ""),
        ({"input": []}, "input", ""),
        ({"input": [{"type": "reasoning", "summary": []}]}, "input", "says nothing"),
        (
            {"input": [{"type": "reasoning", "summary": []}], "instructions": "be kind"},
            "input",
            "says nothing",
        ),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "nothing is stored"),
        ({"store": True}, "store", "nothing is stored"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type", "function"),
        ({"tools": [TOOL | {"defer_loading": 0}]}, "tools.0.defer_loading", "at once"),
        ({"tool_choice": {"type": "web_search_preview"}}, "tool_choice", "not supported"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input.0", "not supported"),
        ({"input": [{"role": "user", "content": 1}]}, "input.0.content", ""),
        (
            {
                "input": [
                    {
                        "role": "user",
                        "content": [{"type": "input_image", "image_url": "a", "file_id": "f"}],
                    }
                ]
            },
            "input.0.content.0.file_id",
            "not supported",
        ),
    ],
)
async def test_what_is_not_supported_is_named(
    site: Site, handler: FakeRequestHandler, fields: dict[str, Any], param: str, why: str
) -> None:
    """Nothing is asked, and the field is named with the reason."""
    status, body, _ = await site("POST", PATH, json={"input": "hi", **fields})

    assert (status, body["error"]["param"]) == (422, param)
    assert why in body["error"]["message"]
    assert handler.asked == []
