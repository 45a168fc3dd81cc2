"""OpenAI's bodies for chat and embeddings, to our records and back; nothing here does I/O."""

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, cast

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from streamapp.llm.routing.routes import DEFAULT
from streamapp.processors.chat import Chat, ChatMessage, ResponseFormat
from streamapp.processors.embed import Embed, Text
from streamapp.records import exact_json
from streamapp.records.response import Response, Usage
from streamapp.records.sampling import Sampling, as_list

ModelName = Annotated[str, Field(min_length=1, max_length=200)]


def _off(value: bool) -> bool:
    if value:
        raise PydanticCustomError("off", "is not supported: leave it out")
    return value


#: What may be said only to be off.
Off = Annotated[bool, AfterValidator(_off), WithJsonSchema({"type": "boolean", "const": False})]


Empty = Annotated[list[JsonValue], Field(max_length=0)]


class StreamOptions(BaseModel):
    """What a stream holds besides the text."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False
    include_obfuscation: Off | None = None


class Turn(ChatMessage):
    """A message, also as clients send an answer back: with all that it does not have."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]  # read by pydantic

    refusal: NotRequired[None]
    annotations: NotRequired[Empty | None]
    audio: NotRequired[None]
    function_call: NotRequired[None]
    tool_calls: NotRequired[Empty | None]


class ChatCompletionRequest(Sampling):
    """The body of ``POST /v1/chat/completions``; what is not listed is not supported."""

    model: ModelName = DEFAULT
    messages: list[Turn] = Field(min_length=1, fail_fast=True)
    response_format: ResponseFormat | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = None
    logprobs: Off | None = None
    store: Off | None = None
    metadata: dict[str, str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    def record(self) -> Chat:
        """Return the ``chat`` record that asks for the same."""
        return Chat(
            type=Chat.record_type,
            model=self.model,
            messages=[_said(turn) for turn in self.messages],
            response_format=self.response_format,
            metadata=self.metadata or {},
            stream=bool(self.stream),
            **self.sampling(),
        )


def _said(turn: Turn) -> ChatMessage:
    kept = {name: turn[name] for name in ChatMessage.__annotations__ if name in turn}  # type: ignore[literal-required]
    return cast(ChatMessage, kept)


class EmbeddingsRequest(BaseModel):
    """The body of ``POST /v1/embeddings``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelName | None = None
    input: Annotated[
        list[Text],
        Field(min_length=1, fail_fast=True),
        BeforeValidator(as_list, json_schema_input_type=Text | list[Text]),
    ]
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None

    def record(self) -> Embed:
        """Return the ``embed`` record that asks for the same."""
        return Embed(type=Embed.record_type, model=self.model, input=self.input)


class TokenCounts(TypedDict):
    """OpenAI's ``usage`` of a chat."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AssistantMessage(TypedDict):
    """What the model said."""

    role: Literal["assistant"]
    content: str
    refusal: None


class Choice(TypedDict):
    """The one answer."""

    index: int
    message: AssistantMessage
    logprobs: None
    finish_reason: str


class ChatCompletion(TypedDict):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: TokenCounts


class Embedding(TypedDict):
    """One vector, as numbers or packed in base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class InputTokens(TypedDict):
    """OpenAI's ``usage`` of embeddings."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(TypedDict):
    """A vector per input, in their order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: InputTokens


class ModelCard(TypedDict):
    """A configured route."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: Literal["streamapp"]


class ModelList(TypedDict):
    """All configured routes."""

    object: Literal["list"]
    data: list[ModelCard]


def chat_completion(response: Response, *, id: str) -> ChatCompletion:
    """Return the whole answer."""
    message: AssistantMessage = {
        "role": "assistant",
        "content": text_of(response.output),
        "refusal": None,
    }
    choice: Choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": response.finish_reason or "stop",
    }
    return {
        "id": id,
        "object": "chat.completion",
        "created": int(response.created_at.timestamp()),
        "model": response.model,
        "choices": [choice],
        "usage": _usage(response.usage),
    }


class CompletionChunks:
    """The chunks of one streamed answer, each as one JSON line.

    Args:
        created: Seconds since the epoch, the same in all chunks.
        with_usage: Whether the last chunk tells the usage and the others that it is to come.
    """

    def __init__(self, *, id: str, model: str, created: float, with_usage: bool) -> None:
        self._with_usage = with_usage
        self._head = {
            "id": id,
            "object": "chat.completion.chunk",
            "created": int(created),
            "model": model,
        }

    def delta(self, delta: Mapping[str, str], *, finish_reason: str | None = None) -> bytes:
        """Return a chunk of the message, or its end."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._chunk([choice], usage=None)

    def last(self, response: Response) -> list[bytes]:
        """Return the end of the message, and the usage where it was asked for."""
        end = self.delta({}, finish_reason=response.finish_reason or "stop")
        return [end, self._chunk([], usage=_usage(response.usage))] if self._with_usage else [end]

    def _chunk(self, choices: Sequence[Any], *, usage: TokenCounts | None) -> bytes:
        chunk = {**self._head, "choices": choices}
        return orjson.dumps({**chunk, "usage": usage} if self._with_usage else chunk)


def embeddings(response: Response, *, as_base64: bool) -> Embeddings:
    """Return the vectors, in the order of the inputs."""
    data: list[Embedding] = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _packed(vector) if as_base64 else vector,
        }
        for index, vector in enumerate(response.output)
    ]
    tokens = response.usage.input_tokens
    return {
        "object": "list",
        "data": data,
        "model": response.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def model(name: str, *, created: float) -> ModelCard:
    """Return a configured route as one of OpenAI's models."""
    return {"id": name, "object": "model", "created": int(created), "owned_by": "streamapp"}


def text_of(output: Any) -> str:
    """Return an output as the text of a message."""
    return output if isinstance(output, str) else exact_json.dumps(output).decode()


def _packed(vector: Sequence[float]) -> str:
    """Return the numbers as OpenAI packs them: little-endian singles, in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _usage(usage: Usage) -> TokenCounts:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
