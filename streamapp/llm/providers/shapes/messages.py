"""Anthropic's request and answer bodies, to and from ours; nothing here does I/O."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import orjson

from streamapp.errors import AnswerBroken, ContentFiltered, ProviderUnavailable
from streamapp.llm.attempt import counted, refused
from streamapp.llm.chunks import CallDelta
from streamapp.llm.completion import Call, Completion
from streamapp.llm.providers.bodies import decode, encode, garbled
from streamapp.llm.providers.refusals.reading import error_within
from streamapp.llm.providers.shapes.chat_request import StructuredMode
from streamapp.llm.providers.shapes.message_tools import call_of, system_of, tools_of, turns_of
from streamapp.llm.providers.shapes.strict_schema import fits_output_config
from streamapp.llm.providers.shapes.tool_calls import ToolCall
from streamapp.llm.providers.shapes.usage import count
from streamapp.records.response import Usage

#: The first version without sampling parameters: it refuses a request that has one.
LATEST_VERSION = "2026-10-21"
DEFAULT_MAX_TOKENS = 8_192

_SAMPLING = ("temperature", "top_p")
_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}


def messages_request(
    call: Call,
    *,
    version: str,
    mode: StructuredMode = "json_schema",
    extra: Mapping[str, Any] | None = None,
    without: Collection[str] = (),
) -> bytes:
    """Return the body of ``POST /v1/messages``.

    Args:
        call: What is asked.
        version: Of the API.
        mode: How an answer that fits a schema is asked for; other ways than ``json_schema`` are
            in the prompt.
        extra: Fields sent beneath what is ours.
        without: Fields that are left out, since the target does not take them.

    What Anthropic has no word for (``seed``, the penalties, sampling from `LATEST_VERSION` on)
    is left out: a route may name targets of several vendors.

    Raises:
        InvalidRecord: A parameter cannot be written as JSON, such as a number above 64 bits.
    """
    wanted = call.parameters
    more = ""
    body: dict[str, Any] = {
        **(extra or {}),
        "model": call.model,
        "max_tokens": wanted.get("max_completion_tokens")
        or wanted.get("max_tokens")
        or DEFAULT_MAX_TOKENS,
        "messages": turns_of(call.messages),
        **tools_of(wanted),
    }
    if version < LATEST_VERSION:
        body |= {name: wanted[name] for name in _SAMPLING if name in wanted}
    if wanted.get("stop"):
        body["stop_sequences"] = wanted["stop"]
    if wanted.get("user"):
        body["metadata"] = {"user_id": wanted["user"]}
    config: dict[str, Any] = {}
    if wanted.get("reasoning_effort") in _EFFORTS:
        config["effort"] = wanted["reasoning_effort"]
    schema = _schema(call)
    if schema is not None and mode == "json_schema" and fits_output_config(schema):
        config["format"] = {"type": "json_schema", "schema": schema}
    elif schema is not None:
        text = orjson.dumps(schema).decode()
        more = f"Answer with JSON only, that fits this JSON Schema:\n{text}"
    if config:
        body["output_config"] = config
    system = system_of(call.messages, more=more)
    if system:
        body["system"] = system
    if not body["messages"]:
        body["messages"] = [{"role": "user", "content": body.pop("system", "")}]
    if call.chunks is not None:
        body["stream"] = True
    for name in without:
        body.pop(name, None)
    return encode(body)


def message_completion(body: bytes, call: Call, *, provider: str) -> Completion:
    """Read the answer of ``POST /v1/messages``.

    Raises:
        GarbledAnswer: The body is no message.
        ContentFiltered: The model refused to answer.
    """
    answer = decode(body, provider)
    if answer.get("type") == "error" or answer.get("error"):
        refused()
        raise error_within(answer, provider=provider)
    blocks = answer.get("content")
    if not isinstance(blocks, list):
        raise garbled("no content", provider)
    calls = _calls(blocks, provider)
    return _completion(_joined(blocks, provider), calls, answer, call, provider)


class MessageStream:
    """Puts a streamed answer of ``POST /v1/messages`` together."""

    def __init__(self, call: Call, *, provider: str) -> None:
        self._call = call
        self._provider = provider
        self._texts: list[str] = []
        self._uses: dict[Any, dict[str, Any]] = {}
        self._inputs: dict[Any, list[str]] = {}
        self._new_calls: list[CallDelta] = []
        self._answer: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._has_ended = self._has_begun = False

    def feed(self, event: bytes) -> str:
        """Take the data of one event; return the text it adds, often none.

        Raises:
            GarbledAnswer: It is no part of a message.
            ProviderError: It says that something went wrong.
        """
        if not event:
            return ""
        data = decode(event, self._provider)
        if "type" not in data and data.get("error"):
            refused()
            raise error_within(data, provider=self._provider)
        try:
            match data.get("type"):
                case "message_start":
                    self._answer = dict(data["message"])
                    self._usage |= self._answer.get("usage") or {}
                case "content_block_start":
                    self._has_begun = True
                    if (block := data["content_block"]).get("type") == "tool_use":
                        self._new_calls.append(
                            CallDelta(len(self._uses), "" + block["id"], "" + block["name"])
                        )
                        self._uses[data["index"]] = block
                        self._inputs[data["index"]] = []
                case "content_block_delta" if data["delta"].get("type") == "text_delta":
                    self._texts.append("" + data["delta"]["text"])
                    return self._texts[-1]
                case "content_block_delta" if data["delta"].get("type") == "input_json_delta":
                    arguments, place = "" + data["delta"]["partial_json"], data["index"]
                    self._inputs[place].append(arguments)
                    index = list(self._uses).index(place)
                    self._new_calls.append(CallDelta(index, arguments=arguments))
                case "message_delta":
                    self._answer |= data["delta"]
                    counts = data.get("usage") or {}
                    self._usage |= {k: v for k, v in counts.items() if v is not None}
                case "message_stop":
                    self._has_ended = True
                case "error":
                    raise error_within({"error": data["error"]}, provider=self._provider)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise garbled("no event of a message", self._provider) from error
        return ""

    def new_calls(self) -> Sequence[CallDelta]:
        """Return what was added to tool calls since it was last asked for."""
        new, self._new_calls = self._new_calls, []
        return new

    @property
    def has_begun(self) -> bool:
        """Whether anything was generated: then it is paid for."""
        return self._has_begun

    @property
    def is_over(self) -> bool:
        """Whether the answer says that it is whole."""
        return self._has_ended or bool(self._answer.get("stop_reason"))

    def end(self) -> str:
        """Return nothing: no text is held back.

        Raises:
            AnswerBroken: The stream ended before the answer did, of which something had come.
            ProviderUnavailable: It ended before anything came.
        """
        if not self.is_over:
            message = f"{self._provider}: broke off"
            if self.has_begun:
                raise AnswerBroken(message, provider=self._provider)
            raise ProviderUnavailable(message, provider=self._provider)
        return ""

    def completion(self) -> Completion:
        """Return the whole answer, after `end`; raises as `message_completion`."""
        answer = {**self._answer, "usage": self._usage}
        try:
            calls = [
                call_of(self._uses[index], "".join(self._inputs[index])) for index in self._uses
            ]
        except (LookupError, TypeError) as error:
            raise garbled("no tool use", self._provider) from error
        return _completion("".join(self._texts), calls, answer, self._call, self._provider)


def _completion(
    text: str, calls: list[ToolCall], answer: Mapping[str, Any], call: Call, provider: str
) -> Completion:
    usage = counted(_usage(answer.get("usage")))
    reason, model = answer.get("stop_reason"), answer.get("model")
    if reason == "refusal":
        raise ContentFiltered(f"{provider}: the answer was withheld", provider=provider, status=200)
    if not isinstance(reason, str):
        raise garbled("no stop reason", provider)
    return Completion(
        output=text,
        tool_calls=calls,
        model=model if isinstance(model, str) and model else call.model,
        provider=provider,
        usage=usage,
        finish_reason=_FINISH_REASONS.get(reason, reason),
    )


def _usage(usage: Any) -> Usage:
    if not isinstance(usage, Mapping):
        return Usage()
    cached = count(usage.get("cache_read_input_tokens"))
    written = count(usage.get("cache_creation_input_tokens"))
    return Usage(
        input_tokens=count(usage.get("input_tokens")) + cached + written,
        output_tokens=count(usage.get("output_tokens")),
        cached_input_tokens=cached,
    )


def _calls(blocks: Iterable[Any], provider: str) -> list[ToolCall]:
    """Return what the model wants called, in order."""
    try:
        return [call_of(block) for block in blocks if block["type"] == "tool_use"]
    except (LookupError, TypeError) as error:
        raise garbled("no content blocks", provider) from error


def _joined(blocks: Iterable[Any], provider: str) -> str:
    """Return the text of all text blocks; others, such as thinking, are not the answer."""
    try:
        return "".join(block["text"] for block in blocks if block["type"] == "text")
    except (LookupError, TypeError) as error:
        raise garbled("no content blocks", provider) from error


def _schema(call: Call) -> Mapping[str, Any] | None:
    """Return the schema that the call, or the record's own ``response_format``, asks for."""
    if call.output_schema is not None:
        return call.output_schema
    shape = call.parameters.get("response_format") or {}
    if shape.get("type") == "json_object":
        return {"type": "object"}
    schema = (shape.get("json_schema") or {}).get("schema")
    return schema if isinstance(schema, Mapping) else None
