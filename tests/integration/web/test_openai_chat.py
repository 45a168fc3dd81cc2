"""Chat completions as clients send them: what is passed on, what is dropped, what is refused."""

from typing import Any, cast

import pytest

from streamapp import errors
from streamapp.llm.chunks import CallDelta
from streamapp.processors.chat import Chat
from streamapp.settings import ModelSettings, ProviderSettings
from streamapp.web.openai.fields import CHAT as FIELDS

from .conftest import FakeRequestHandler, Serve, Site
from .test_openai import CHAT, PATH, chunks

TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"a":1}'}}


@pytest.fixture
async def site(serve: Serve) -> Site:
    """A worker with one route, whose provider takes a field of its own."""
    return await serve(
        providers={"p": ProviderSettings(kind="offline", pass_through=["top_k"])},
        models={"default": ModelSettings(targets=["p/m"])},
    )


def asked(handler: FakeRequestHandler, place: int = -1) -> Chat:
    record = handler.asked[place][0]
    assert isinstance(record, Chat)
    return record


@pytest.mark.parametrize("field", sorted(FIELDS.keys() - {"model", "messages"}))
async def test_null_is_absent(site: Site, handler: FakeRequestHandler, field: str) -> None:
    """Each field that OpenAI documents may be null, and then means nothing."""
    status, body, _ = await site("POST", PATH, json=CHAT | {field: None})

    assert status == 200, body
    assert asked(handler).parameters() == {}


@pytest.mark.parametrize(
    ("field", "empty"),
    [
        ("logit_bias", {}),
        ("stop", []),
        ("stop", ""),
        ("tools", []),
        ("functions", []),
        ("user", ""),
        ("prompt_cache_key", ""),
        ("safety_identifier", ""),
        ("service_tier", ""),
        ("metadata", {}),
        ("modalities", []),
        ("audio", {}),
        ("web_search_options", {}),
        ("model", None),
        ("model", ""),
    ],
)
async def test_empty_is_absent(
    site: Site, handler: FakeRequestHandler, field: str, empty: Any
) -> None:
    """Clients that fill a field with nothing mean nothing by it."""
    status, body, _ = await site("POST", PATH, json=CHAT | {field: empty})

    assert status == 200, body
    assert asked(handler).parameters() == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
        {"logprobs": True, "top_logprobs": 5},
        {"logit_bias": {"42": -100}},
        {"max_completion_tokens": 7},
        {"verbosity": "low", "reasoning_effort": "none"},
        {"service_tier": "flex"},
        {"prompt_cache_key": "k", "prompt_cache_retention": "24h", "safety_identifier": "s"},
        {"prediction": {"type": "content", "content": "text"}},
        {"response_format": {"type": "json_object"}},
        {"top_k": 3},
    ],
    ids=lambda fields: "-".join(fields),
)
async def test_field_is_passed_on(
    site: Site, handler: FakeRequestHandler, fields: dict[str, Any]
) -> None:
    """What changes an answer reaches the provider as it was sent."""
    status, body, _ = await site("POST", PATH, json=CHAT | fields)

    assert status == 200, body
    assert asked(handler).parameters() == fields


async def test_tools_that_are_not_allowed_are_not_sent(
    site: Site, handler: FakeRequestHandler
) -> None:
    """A choice among some tools is these tools, as every vendor knows them."""
    named = [{"type": "function", "function": {"name": "weather"}}]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": named}}
    other = {"type": "function", "function": {"name": "other"}}

    status, body, _ = await site(
        "POST", PATH, json=CHAT | {"tools": [other, TOOL], "tool_choice": choice}
    )

    assert status == 200, body
    assert asked(handler).parameters() == {"tools": [TOOL], "tool_choice": "required"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools.0.type"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice"),
    ],
)
async def test_custom_tools_are_refused_by_name(
    site: Site, fields: dict[str, Any], param: str
) -> None:
    """A tool that most vendors do not know is not dropped."""
    status, body, _ = await site("POST", PATH, json=CHAT | {"tools": [TOOL]} | fields)

    assert (status, body["error"]["param"]) == (422, param)


async def test_turns_of_tools_are_passed_on(site: Site, handler: FakeRequestHandler) -> None:
    """A call, with content null, and what the tool returned come to the model as they are."""
    assistant = {
        "role": "assistant",
        "content": None,
        "tool_calls": [CALL],
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "name": None,
    }
    tool = {"role": "tool", "tool_call_id": "c1", "content": "sunny"}
    messages = [*CHAT["messages"], assistant, tool]

    status, body, _ = await site("POST", PATH, json=CHAT | {"messages": messages})

    assert status == 200, body
    assert asked(handler).messages[1:] == [
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        tool,
    ]


async def test_what_a_client_has_parsed_is_dropped(site: Site, handler: FakeRequestHandler) -> None:
    """Answers and arguments that the client's `parse` has read come back beside their texts."""
    function: Any = CALL["function"]
    read = {**CALL, "function": {**function, "parsed_arguments": {"a": 1}}}
    turns = [
        {"role": "assistant", "content": "{}", "parsed": {}},
        {"role": "assistant", "content": None, "parsed": None, "tool_calls": [read]},
    ]

    status, body, _ = await site("POST", PATH, json=CHAT | {"messages": turns})

    assert status == 200, body
    assert asked(handler).messages == [
        {"role": "assistant", "content": "{}"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
    ]


async def test_content_of_nothing_is_empty(site: Site, handler: FakeRequestHandler) -> None:
    """A call without text, and a tool without a result, may have no parts."""
    turns = [
        {"role": "assistant", "content": [], "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": []},
    ]

    status, body, _ = await site("POST", PATH, json=CHAT | {"messages": turns})

    assert status == 200, body
    assert [turn["content"] for turn in asked(handler).messages] == [None, ""]


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
async def test_turn_keeps_where_a_cache_ends(
    site: Site, handler: FakeRequestHandler, role: str
) -> None:
    """`cache_control` is passed on of whole turns, as of their parts."""
    mark = {"cache_control": {"type": "ephemeral"}}
    turn = {"role": role, "content": "a", **mark}
    turn |= {"tool_call_id": "c1"} if role == "tool" else {}

    status, body, _ = await site("POST", PATH, json=CHAT | {"messages": [turn]})

    assert status == 200, body
    assert asked(handler).messages == [turn]


@pytest.mark.parametrize("model", [{"a": 1}, ["default"], 1], ids=str)
async def test_model_is_a_name(site: Site, model: Any) -> None:
    """Whatever else it is, it is no error of ours."""
    status, body, _ = await site("POST", PATH, json=CHAT | {"model": model})

    assert (status, body["error"]["param"]) == (422, "model")


@pytest.mark.parametrize("path", [PATH, "/v1/completions"])
async def test_seeds_of_samples_have_64_bits(
    site: Site, handler: FakeRequestHandler, path: str
) -> None:
    """The last seed is followed by the first one."""
    body = (CHAT if path == PATH else {"prompt": "a"}) | {"n": 2, "seed": 2**63 - 1}

    status, answer, _ = await site("POST", path, json=body)

    assert status == 200, answer
    assert [asked(handler, place).seed for place in (0, 1)] == [2**63 - 1, -(2**63)]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        *(
            {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": detail}}
            for detail in ("auto", "low", "high", "original")
        ),
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        {
            "type": "file",
            "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a"},
        },
        {"type": "file", "file": {"file_id": "file-1"}},
    ],
    ids=lambda part: part["type"],
)
async def test_part_is_passed_on(
    site: Site, handler: FakeRequestHandler, part: dict[str, Any]
) -> None:
    """Each kind of part of a message reaches the model."""
    messages = [{"role": "user", "content": [part]}]

    status, body, _ = await site("POST", PATH, json=CHAT | {"messages": messages})

    assert status == 200, body
    assert asked(handler).messages == messages


async def test_calls_are_answered_in_openais_shape(site: Site, handler: FakeRequestHandler) -> None:
    """A wanted call is the message, without content, and the reason why it ended."""
    handler.output, handler.tool_calls = "", [CALL]

    _, body, _ = await site("POST", PATH, json=CHAT | {"tools": [TOOL]})

    choice = body["choices"][0]
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [CALL],
    }
    assert choice["finish_reason"] == "tool_calls"


SIGNED: dict[str, Any] = CALL | {"extra_content": {"google": {"thought_signature": "c2ln"}}}


async def test_signed_call_is_there_and_back(site: Site, handler: FakeRequestHandler) -> None:
    """Gemini's signature of a call reaches the client, which sends it back with the turn."""
    handler.output, handler.tool_calls = "", [SIGNED]

    _, body, _ = await site("POST", PATH, json=CHAT | {"tools": [TOOL]})
    said = body["choices"][0]["message"]
    turns = [*CHAT["messages"], said, {"role": "tool", "tool_call_id": "c1", "content": "x"}]
    await site("POST", PATH, json={"messages": turns, "tools": [TOOL]})

    assert said["tool_calls"] == [SIGNED]
    (_, turn, _) = cast("list[dict[str, Any]]", asked(handler).messages)
    assert turn["tool_calls"] == [SIGNED]


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [CallDelta(0, "c1", "weather", '{"a":1}', SIGNED["extra_content"])],
        [
            CallDelta(0, "c1", "weather"),
            CallDelta(0, arguments='{"a":1}', extra=SIGNED["extra_content"]),
        ],
        [CallDelta(0, "c1", "weather", '{"a":1}')],
        [CallDelta(0, "c1", "weather", '{"a":1}'), CallDelta(0, extra=SIGNED["extra_content"])],
    ],
    ids=["cached", "first", "last", "told-at-the-end", "by-itself"],
)
async def test_signature_is_streamed_once(
    site: Site, handler: FakeRequestHandler, pieces: list[str | CallDelta]
) -> None:
    """Whenever the vendor tells it, the client has it with its call when the stream ends."""
    handler.chunks, handler.output, handler.tool_calls = pieces, "", [SIGNED]

    got = await chunks(site, CHAT | {"tools": [TOOL], "stream": True})

    deltas = [c["choices"][0]["delta"] for c in got][1:-1]
    calls = [call for delta in deltas for call in delta["tool_calls"]]
    extras = [call["extra_content"] for call in calls if "extra_content" in call]
    assert extras == [SIGNED["extra_content"]]
    assert "".join(c.get("function", {}).get("arguments", "") for c in calls) == '{"a":1}'
    assert {call["index"] for call in calls} == {0}


async def test_calls_are_streamed(site: Site, handler: FakeRequestHandler) -> None:
    """A streamed call is its name and then its arguments, before the end."""
    handler.output, handler.tool_calls = "", [CALL]

    got = await chunks(site, CHAT | {"tools": [TOOL], "stream": True})

    deltas = [chunk["choices"][0]["delta"] for chunk in got]
    head, arguments = (delta["tool_calls"][0] for delta in deltas[1:3])
    assert deltas[0]["role"] == "assistant"
    assert (head["id"], head["function"]["name"]) == ("c1", "weather")
    assert arguments == {"index": 0, "function": {"arguments": '{"a":1}'}}
    assert got[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_call_is_streamed_piece_by_piece(site: Site, handler: FakeRequestHandler) -> None:
    """Each piece is sent as it comes, and what is left of the calls before the end."""
    handler.chunks = [
        "I ask. ",
        CallDelta(0, "c1", "weather"),
        CallDelta(0, arguments='{"a"'),
        CallDelta(0, arguments=":1"),
    ]
    handler.output, handler.tool_calls = "I ask. ", [CALL, CALL | {"id": "c2"}]

    got = await chunks(site, CHAT | {"tools": [TOOL], "stream": True})

    parts = [c["choices"][0]["delta"] for c in got][2:-1]
    calls = [part["tool_calls"][0] for part in parts]
    assert [(call["index"], call.get("id")) for call in calls] == [
        *((0, id) for id in ("c1", None, None, None)),
        *((1, id) for id in ("c2", None)),
    ]
    arguments = [call["function"]["arguments"] for call in calls]
    assert arguments == ["", '{"a"', ":1", "}", "", '{"a":1}']


async def test_streamed_function_of_the_older_shape(
    site: Site, handler: FakeRequestHandler
) -> None:
    """The first call alone is streamed as the function call that was asked for."""
    handler.chunks = [CallDelta(0, "c1", "weather", '{"a":1}'), CallDelta(1, "c2", "weather")]
    handler.output, handler.tool_calls = "", [CALL]

    got = await chunks(site, CHAT | {"functions": [TOOL["function"]], "stream": True})

    deltas = [c["choices"][0]["delta"] for c in got][1:-1]
    assert deltas == [
        {"function_call": {"name": "weather", "arguments": ""}},
        {"function_call": {"arguments": '{"a":1}'}},
    ]


@pytest.mark.parametrize("is_cached", [True, False])
async def test_streamed_answer_tells_that_it_was_cached(
    site: Site, handler: FakeRequestHandler, is_cached: bool
) -> None:
    """The head of a stream says so as that of a whole answer does."""
    handler.chunks, handler.is_cached = ["hello"], is_cached

    _, _, headers = await site("POST", PATH, json=CHAT | {"stream": True})

    assert headers.get("X-Streamapp-Cache") == ("hit" if is_cached else None)


async def test_functions_of_the_older_shape_are_tools(
    site: Site, handler: FakeRequestHandler
) -> None:
    """Functions are asked for as tools, turns included, and answered by their own shape."""
    handler.output, handler.tool_calls = "", [CALL]
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "function_call": CALL["function"]},
        {"role": "function", "name": "weather", "content": "sunny"},
    ]
    fields = {"functions": [TOOL["function"]], "function_call": {"name": "weather"}}

    _, body, _ = await site("POST", PATH, json={"messages": messages} | fields)

    record = asked(handler)
    call, turn = cast("list[dict[str, Any]]", record.messages[1:])
    assert record.parameters() == {
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
    }
    assert call["tool_calls"][0]["id"] == turn["tool_call_id"]
    assert body["choices"][0]["message"]["function_call"] == CALL["function"]
    assert body["choices"][0]["finish_reason"] == "function_call"


async def test_samples_are_calls_of_their_own(site: Site, handler: FakeRequestHandler) -> None:
    """`n` is so many calls that share no answer; their usage is summed up."""
    _, body, _ = await site("POST", PATH, json=CHAT | {"n": 3, "seed": 5})

    records = [asked(handler, place) for place in range(3)]
    assert sorted(record.sample for record in records) == [0, 1, 2]
    assert sorted(record.seed or 0 for record in records) == [5, 6, 7]
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert body["usage"]["total_tokens"] == 15


async def test_samples_are_streamed_side_by_side(site: Site, handler: FakeRequestHandler) -> None:
    """Each choice of a stream has its role, its text and its end."""
    handler.chunks = ["hel", "lo"]

    got = await chunks(site, CHAT | {"n": 2, "stream": True})

    for index in (0, 1):
        own = [c["choices"][0] for c in got if c["choices"][0]["index"] == index]
        assert "".join(choice["delta"].get("content", "") for choice in own) == "hello"
        assert own[-1]["finish_reason"] == "stop"


async def test_one_failed_sample_fails_the_request(site: Site, handler: FakeRequestHandler) -> None:
    """The client gets the failure, not some of its answers."""
    handler.failure = errors.RetriesExhausted("why")

    status, body, _ = await site("POST", PATH, json=CHAT | {"n": 2})

    assert (status, body["error"]["code"]) == (503, "retries_exhausted")


@pytest.mark.parametrize(
    ("fields", "header", "is_shared"),
    [
        ({}, None, False),
        ({"temperature": 1}, None, False),
        ({"temperature": 0}, None, True),
        ({"seed": 0}, None, True),
        ({"cache": True}, None, True),
        ({"temperature": 0, "cache": False}, None, False),
        ({}, "max-age=60", True),
        ({"temperature": 0}, "no-cache", False),
        ({"cache": True}, "no-store", False),
        ({"cache": True}, "max-age=0", False),
    ],
)
async def test_cache_is_for_those_who_ask_or_repeat(
    site: Site,
    handler: FakeRequestHandler,
    fields: dict[str, Any],
    header: str | None,
    is_shared: bool,
) -> None:
    """Answers are shared where the caller wants that, or means the same answer again."""
    headers = {"Cache-Control": header} if header else {}

    await site("POST", PATH, json=CHAT | fields, headers=headers)

    record = asked(handler)
    assert record.cache is is_shared
    assert record.cache_ttl_s == (60 if header == "max-age=60" else None)


async def test_cached_answer_tells_its_original_usage(
    site: Site, handler: FakeRequestHandler
) -> None:
    """Nobody paid again: a header says so, and the usage is that of the answer."""
    _, _, first = await site("POST", PATH, json=CHAT)
    handler.is_cached = True

    _, body, headers = await site("POST", PATH, json=CHAT)

    assert "X-Streamapp-Cache" not in first
    assert headers["X-Streamapp-Cache"] == "hit"
    assert body["usage"]["total_tokens"] == 5


async def test_field_of_no_provider_is_refused(serve: Serve) -> None:
    """A field that no target of the route takes is named, not dropped."""
    plain = await serve(
        providers={"p": ProviderSettings(kind="offline")},
        models={"default": ModelSettings(targets=["p/m"])},
    )

    status, body, _ = await plain("POST", PATH, json=CHAT | {"top_k": 3})

    assert (status, body["error"]["param"]) == (422, "top_k")
