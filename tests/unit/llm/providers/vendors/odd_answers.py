"""Answers that are paid for and easily thrown away: odd numbers, letters, indexes and endings."""

from typing import Any

from tests.unit.llm.providers.vendors.shape import (
    DONE,
    END,
    Reply,
    Shape,
    delta,
    events,
    message,
)

_G = "https://github.com/"
_TWO = {"operation": "embeddings", "inputs": ["a", "b"], "messages": []}
_TOOLS = {
    "parameters": {"tools": [{"type": "function", "function": {"name": "weather"}}]},
}


def _vectors(*items: Any, **fields: Any) -> Reply:
    return Reply(json={"object": "list", "data": list(items), "model": "m", **fields})


def _call(city: str, **fields: Any) -> str:
    """Return the line of a chunk with a whole call."""
    arguments = '{\\"city\\":\\"' + city + '\\"}'
    extra = "".join(f'"{name}":{value},' for name, value in fields.items())
    return (
        'data: {"choices":[{"index":0,"delta":{"tool_calls":[{' + extra + '"type":"function",'
        '"function":{"name":"weather","arguments":"' + arguments + '"}}]},"finish_reason":null}]}'
    )


def _piece(arguments: str, **fields: Any) -> str:
    """Return the line of a chunk with a piece of a call's arguments."""
    extra = "".join(f'"{name}":{value},' for name, value in fields.items())
    return (
        'data: {"choices":[{"index":0,"delta":{"tool_calls":[{' + extra + '"function":'
        '{"arguments":"' + arguments + '"}}]},"finish_reason":null}]}'
    )


_CALLED = delta("", '"tool_calls"')
OPEN_WEIGHTS = (
    Shape(
        vendor="SGLang",
        kind="JSON",
        name="a log probability that JSON has no word for",
        source=_G + "sgl-project/sglang/issues/2955",
        seen="2025-01-17",
        replies=[
            Reply(
                body=b'{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":'
                b'"hello"},"logprobs":{"content":[{"token":"hello","logprob":-Infinity}]},'
                b'"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5}}'
            )
        ],
        right="hello",
        usage=(10, 5, 0),
    ),
    Shape(
        vendor="vLLM",
        kind="JSON",
        name="half a letter in a token's text",
        source=_G + "vllm-project/vllm/issues/2706",
        seen="2024-02-02",
        replies=[
            Reply(
                body=b'{"choices":[{"index":0,"message":{"content":"hello"},"logprobs":{"content":'
                b'[{"token":"\xf0\x9f","logprob":-1}]},"finish_reason":"stop"}]}'
            )
        ],
        right="hello",
    ),
    Shape(
        vendor="Ollama",
        kind="tools",
        name="two calls, both with index 0",
        source=_G + "ollama/ollama/issues/15457",
        seen="2026-04",
        stream=True,
        ask=_TOOLS,
        replies=[
            events(
                _call("Rome", index=0, id='"call_a"'),
                _call("Oslo", index=0, id='"call_b"'),
                _CALLED,
                DONE,
            )
        ],
        right="",
        tool_arguments=('{"city":"Rome"}', '{"city":"Oslo"}'),
    ),
    Shape(
        vendor="Ollama",
        kind="tools",
        name="two calls without any index",
        source=_G + "ollama/ollama/issues/7881",
        seen="2024-11-29",
        stream=True,
        ask=_TOOLS,
        replies=[events(_call("Rome", id='"call_a"'), _call("Oslo", id='"call_b"'), _CALLED, DONE)],
        right="",
        tool_arguments=('{"city":"Rome"}', '{"city":"Oslo"}'),
    ),
    Shape(
        vendor="llama.cpp",
        kind="embeddings",
        name="index 0 for each of them",
        source=_G + "ikawrakow/ik_llama.cpp/pull/1303",
        seen="2026-02-22",
        ask=_TWO,
        replies=[
            _vectors(
                {"index": 0, "embedding": [0.5, 1.0]},
                {"index": 0, "embedding": [1.5, 2.0]},
                usage={"prompt_tokens": 4, "total_tokens": 4},
            )
        ],
        right=[[0.5, 1.0], [1.5, 2.0]],
        usage=(4, 0, 0),
    ),
    Shape(
        vendor="a gateway",
        kind="stream",
        name="an error after its finish reason",
        source=_G + "mnfst/llm-gateway/pull/2231",
        seen="2026-06-12",
        stream=True,
        replies=[
            events(
                delta("hello"),
                END,
                'data: {"error":{"message":"EngineCore encountered an issue","code":500}}',
                DONE,
            )
        ],
        right="hello",
    ),
)
HOSTED = (
    Shape(
        vendor="Moonshot",
        kind="usage",
        name="within the last choice of a stream",
        source=_G + "earendil-works/pi/issues/2017",
        seen="2026-03-10",
        stream=True,
        replies=[
            events(
                delta("hello"),
                'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":'
                '{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cached_tokens":4}}]}',
                DONE,
            )
        ],
        right="hello",
        usage=(10, 5, 0),
    ),
    Shape(
        vendor="DeepSeek",
        kind="stream",
        name="comments alone until it gives up",
        source="https://api-docs.deepseek.com/quick_start/rate_limit",
        seen="2026-11",
        stream=True,
        replies=[events(": keep-alive", ": keep-alive")],
        right="ProviderUnavailable",
    ),
    Shape(
        vendor="DeepSeek",
        kind="empty",
        name="blank lines alone until it gives up",
        source="https://api-docs.deepseek.com/quick_start/rate_limit",
        seen="2026-11",
        replies=[Reply(body=b"\n\n\n")],
        right="ProviderUnavailable",
    ),
    Shape(
        vendor="Voyage",
        kind="usage",
        name="a total alone, of embeddings",
        source="https://docs.voyageai.com/reference/embeddings-api",
        seen="2026-11",
        ask=_TWO,
        replies=[
            _vectors(
                {"index": 0, "embedding": [0.5, 1.0]},
                {"index": 1, "embedding": [1.5, 2.0]},
                usage={"total_tokens": 10},
            )
        ],
        right=[[0.5, 1.0], [1.5, 2.0]],
        usage=(10, 0, 0),
    ),
    Shape(
        vendor="Gemini",
        kind="tools",
        name="calls in chunks of their own, without index and id",
        source=_G + "NousResearch/hermes-agent/issues/62937",
        seen="2026-08-09",
        stream=True,
        ask=_TOOLS,
        replies=[events(_call("Rome", id='""'), _call("Oslo", id='""'), _CALLED, DONE)],
        right="",
        tool_arguments=('{"city":"Rome"}', '{"city":"Oslo"}'),
    ),
    Shape(
        vendor="Gemini",
        kind="tools",
        name="calls in chunks of their own, with index 0 and no id",
        source=_G + "omnigent-ai/omnigent/pull/28",
        seen="2026-06-13",
        stream=True,
        ask=_TOOLS,
        replies=[events(_call("Rome", index=0), _call("Oslo", index=0), _CALLED, DONE)],
        right="",
        tool_arguments=('{"city":"Rome"}', '{"city":"Oslo"}'),
    ),
    Shape(
        vendor="xAI",
        kind="tools",
        name="pieces that repeat their call's id, without an index",
        source=_G + "oracle/langchain-oracle/pull/108",
        seen="2026-01-29",
        stream=True,
        ask=_TOOLS,
        replies=[
            events(
                'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"id":"abc","function":'
                '{"name":"weather","arguments":"{\\"ci"}}]}}]}',
                _piece('ty\\":', id='"abc"'),
                _piece('\\"Rome\\"}', id='""'),
                _CALLED,
                DONE,
            )
        ],
        right="",
        tool_arguments=('{"city":"Rome"}',),
    ),
    Shape(
        vendor="Gemini",
        kind="failed generation",
        name="a filter of function calls",
        source=_G + "googleapis/python-genai/issues/1836",
        seen="2025-12-09",
        replies=[
            Reply(json=message("", reason="function_call_filter: MALFORMED_FUNCTION_CALL")),
            Reply(json=message("hello")),
        ],
        right="hello",
        calls=2,
    ),
    Shape(
        vendor="a gateway",
        kind="stream",
        name="a letter in two halves",
        source=_G + "elizaOS/eliza/issues/30904",
        seen="2026-09-07",
        stream=True,
        replies=[events(delta("hello \\ud83d"), delta("\\ude00!"), END, DONE)],
        right="hello \N{GRINNING FACE}!",
    ),
    Shape(
        vendor="Ai00",
        kind="stream",
        name="the word null for no finish reason: it broke off",
        source=_G + "Ai00-X/ai00_server/issues/90",
        seen="2024-03-27",
        stream=True,
        replies=[events(delta("half", '"null"'))],
        right="AnswerBroken",
    ),
    Shape(
        vendor="OpenRouter",
        kind="stream",
        name="a ping that is no JSON",
        source=_G + "router-for-me/CLIProxyAPI/issues/942",
        seen="2026-01-09",
        stream=True,
        replies=[events("data: : OPENROUTER PROCESSING", delta("hello"), END, DONE)],
        right="hello",
    ),
    Shape(
        vendor="Inferencer",
        kind="stream",
        name="an indented answer after blank lines, in place of a stream",
        source=_G + "inferencerlabs/inferencer-feedback/issues/158",
        seen="2026-02-02",
        stream=True,
        replies=[
            Reply(
                body=b'\n\n\n{\n  "choices": [\n    {"index": 0,\n     "message": {"content":'
                b' "hello"},\n     "finish_reason": "stop"}\n  ]\n}\n',
                headers={"content-type": "text/event-stream"},
            )
        ],
        right="hello",
    ),
    Shape(
        vendor="a gateway",
        kind="stream",
        name="the usage, and no finish reason",
        source=_G + "earendil-works/pi/pull/7441",
        seen="2026-08-01",
        stream=True,
        replies=[
            events(
                delta("hello"),
                'data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}}',
            )
        ],
        right="hello",
        usage=(10, 5, 0),
    ),
    Shape(
        vendor="a gateway",
        kind="JSON",
        name="a byte order mark before it",
        source="https://datatracker.ietf.org/doc/html/rfc8259#section-8.1",
        seen="2017-12",
        replies=[
            Reply(
                body=b'\xef\xbb\xbf{"choices":[{"index":0,"message":{"content":"hello"},'
                b'"finish_reason":"stop"}]}'
            )
        ],
        right="hello",
    ),
    Shape(
        vendor="MiniMax",
        kind="quota",
        name="a status of its own in a 200",
        source=_G + "adrianlyjak/obsidian-aloud-tts/pull/114",
        seen="2025-12-26",
        replies=[
            Reply(
                json={
                    "choices": None,
                    "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"},
                }
            )
        ],
        right="ProviderDenied",
    ),
)
SHAPES = (*OPEN_WEIGHTS, *HOSTED)
