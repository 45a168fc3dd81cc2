"""The answer of one vendor in one situation, and the right outcome of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "parts",
    "reasoning",
    "thoughts",
    "empty",
    "failed generation",
    "error in a 200",
    "stream",
    "usage",
    "embeddings",
    "tools",
    "JSON",
    "too long",
    "policy",
    "key",
    "model",
    "address",
    "quota",
    "busy",
    "server down",
    "parameter",
    "response format",
]
#: The columns of the table in docs/providers.md, in their order.
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]

ASK = {"messages": [{"role": "user", "content": "hi"}]}
LABEL = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["billing", "delivery"]}},
    "required": ["label"],
    "additionalProperties": False,
}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One HTTP answer: JSON, or the bytes of another body."""

    status: int = 200
    json: Any = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One situation.

    Attributes:
        vendor: Who answers so.
        kind: The column of the table.
        name: What is special, in a few words.
        source: Where it was seen.
        seen: Date of the source.
        replies: In turn; the last one repeats.
        right: The expected ``output``, or the name of the expected error.
        ask: Fields of the call.
        stream: Whether a stream is asked for.
        provider: Kind of adapter.
        calls: HTTP requests for the first call.
        usage: Expected input, output and reasoning tokens, where they matter.
        finish_reason: Expected, where it matters.
        then: HTTP requests of a second, equal call, where something is remembered.
        tool_arguments: Those of each expected call of a tool, in order.
    """

    vendor: str
    kind: Kind
    name: str
    source: str
    seen: str
    replies: Sequence[Reply]
    right: Any
    ask: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = False
    provider: str = "openai"
    calls: int = 1
    usage: tuple[int, int, int] | None = None
    finish_reason: str | None = None
    then: int | None = None
    tool_arguments: Sequence[str] = ()

    @property
    def id(self) -> str:
        """Name of the test."""
        return f"{self.vendor}: {self.name}"


def message(content: Any, *, reason: Any = "stop", usage: Any = None, **fields: Any) -> Any:
    """Return a whole answer."""
    answer = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **fields},
                "finish_reason": reason,
            }
        ],
    }
    tokens = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return {**answer, "usage": tokens if usage is None else usage}


def ok(text: str = "hello") -> Reply:
    """Return a good answer."""
    return Reply(json=message(text))


def refusal(status: int, error: Any, **headers: str) -> Reply:
    """Return an answer whose body is ``error``."""
    return Reply(status=status, json=error, headers=headers)


def events(*lines: str, end: str = "\n\n") -> Reply:
    """Return a stream of lines."""
    body = end.join(lines) + end
    return Reply(body=body.encode(), headers={"content-type": "text/event-stream"})


def delta(text: str, reason: str = "null") -> str:
    """Return the line of a chunk."""
    return (
        'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":'
        f'[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":{reason}}}]}}'
    )


END = delta("", '"stop"')
DONE = "data: [DONE]"
