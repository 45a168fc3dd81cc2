"""The body of ``POST /v1/responses``, to a ``chat`` record."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag
from typing_extensions import TypedDict

from streamapp.llm.routing.routes import DEFAULT
from streamapp.processors.chat import Chat
from streamapp.records.sampling import (
    EMPTY_IS_ABSENT,
    CacheRetention,
    TopLogprobs,
    Verbosity,
    is_absent,
)
from streamapp.records.whole import Positive
from streamapp.web.openai.cache_wish import CacheWish
from streamapp.web.openai.chat_request import RouteName
from streamapp.web.openai.fields import RESPONSES, only, refused
from streamapp.web.openai.responses.items import Item, SaysSomething, turns_of
from streamapp.web.openai.responses.tools import (
    ResponseFunctionTool,
    ToolChoice,
    choice_of,
    tools_of,
)

_STRICT = ConfigDict(extra="forbid")

LOGPROBS = "message.output_text.logprobs"

Include = Literal[
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "message.input_image.image_url",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
]


class PlainFormat(TypedDict):
    """Text, or JSON of any shape."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]  # read by pydantic; no key

    type: Literal["text", "json_object"]


class SchemaFormat(TypedDict):
    """JSON that fits a schema."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["json_schema"]
    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
    schema: dict[str, JsonValue]
    description: NotRequired[str | None]
    strict: NotRequired[bool | None]


class TextConfig(BaseModel):
    """The shape of the answer, and how long it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Annotated[PlainFormat | SchemaFormat, Discriminator("type")] | None = None
    verbosity: Verbosity = None


class Reasoning(BaseModel):
    """How much the model thinks; summaries are not made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    effort: str | None = Field(default=None, max_length=32)
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    mode: only("standard", "no provider but one knows another mode") = None  # type: ignore[valid-type]


class ResponseStreamOptions(BaseModel):
    """What a stream holds besides the answer: nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    include_obfuscation: bool | None = None


def _input_kind(value: Any) -> str:
    return "items" if isinstance(value, list) else "text"


Input = Annotated[
    Annotated[str, Field(min_length=1), Tag("text")]
    | Annotated[list[Item], Field(min_length=1, fail_fast=True), SaysSomething(), Tag("items")],
    Discriminator(_input_kind),
]


def _refused(name: str) -> Any:
    return refused(RESPONSES[name].why)


class ResponsesRequest(BaseModel):
    """The body; what is null or empty is absent, and what is not listed is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: RouteName = DEFAULT
    input: Input
    instructions: str | None = None
    include: list[Include] | None = None
    max_output_tokens: Positive | None = None
    max_tool_calls: Positive | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    prompt_cache_key: str | None = Field(default=None, max_length=512)
    prompt_cache_retention: CacheRetention = None
    reasoning: Reasoning | None = None
    safety_identifier: str | None = Field(default=None, max_length=512)
    service_tier: str | None = Field(default=None, max_length=32)
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    text: TextConfig | None = None
    tool_choice: Annotated[ToolChoice | None, EMPTY_IS_ABSENT] = None
    tools: Annotated[list[ResponseFunctionTool], Field(max_length=128)] | None = None
    top_logprobs: TopLogprobs | None = None
    top_p: float | None = Field(default=None, ge=0, le=1)
    user: str | None = Field(default=None, max_length=512)
    cache: bool | None = None
    store: only(False, RESPONSES["store"].why) = None  # type: ignore[valid-type]
    background: only(False, RESPONSES["background"].why) = None  # type: ignore[valid-type]
    truncation: only("disabled", RESPONSES["truncation"].why) = None  # type: ignore[valid-type]
    access_programs: _refused("access_programs") = None  # type: ignore[valid-type]
    background_options: _refused("background_options") = None  # type: ignore[valid-type]
    context_management: _refused("context_management") = None  # type: ignore[valid-type]
    conversation: _refused("conversation") = None  # type: ignore[valid-type]
    image: _refused("image") = None  # type: ignore[valid-type]
    moderation: _refused("moderation") = None  # type: ignore[valid-type]
    previous_response_id: _refused("previous_response_id") = None  # type: ignore[valid-type]
    prompt: _refused("prompt") = None  # type: ignore[valid-type]
    prompt_cache_options: _refused("prompt_cache_options") = None  # type: ignore[valid-type]

    def record(self, wish: CacheWish, *, extra: Mapping[str, Any]) -> Chat:
        """Return the ``chat`` record that asks for the same.

        Args:
            wish: What the request's headers say of the cache.
            extra: Fields that only some providers know.
        """
        is_shared, ttl_s = wish.decided(self.cache, is_repeatable=self.temperature == 0)
        return Chat(
            type=Chat.record_type,
            model=self.model,
            messages=turns_of(self.instructions, self.input),
            metadata=self.metadata or {},
            stream=bool(self.stream),
            cache=is_shared,
            cache_ttl_s=ttl_s,
            extra_body=dict(extra) or None,
            tools=tools_of(self.tools or ()) or None,
            tool_choice=choice_of(self.tool_choice),
            response_format=self._response_format(),
            **self._sampling(),
        )

    def _response_format(self) -> Any:
        wanted: Any = self.text.format if self.text else None
        if wanted is None or wanted["type"] == "text":
            return None
        if wanted["type"] == "json_object":
            return {"type": "json_object"}
        names = ("name", "schema", "description", "strict")
        shape = {name: wanted[name] for name in names if wanted.get(name) is not None}
        return {"type": "json_schema", "json_schema": shape}

    def _sampling(self) -> dict[str, Any]:
        values = self.__dict__
        asked = {name: values[name] for name in _PASSED if not is_absent(values[name])}
        others = {
            "max_completion_tokens": self.max_output_tokens,
            "reasoning_effort": self.reasoning and self.reasoning.effort,
            "verbosity": self.text and self.text.verbosity,
            "logprobs": bool(self.top_logprobs) or LOGPROBS in (self.include or ()) or None,
        }
        return asked | {name: value for name, value in others.items() if not is_absent(value)}


_PASSED = (
    *("parallel_tool_calls", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"),
    *("service_tier", "temperature", "top_logprobs", "top_p", "user"),
)
