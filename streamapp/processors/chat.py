"""``chat``: messages as OpenAI's API takes them, sent as they are."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from typing_extensions import TypedDict

from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.conversation import ChatMessage, Content
from streamapp.records.request import Request
from streamapp.records.sampling import EMPTY_IS_ABSENT, Sampling, is_absent
from streamapp.records.tools import ToolChoice, Tools, chosen, present_tools
from streamapp.records.whole import WHOLE

_STRICT = ConfigDict(extra="forbid")

#: Most samples of one question.
SAMPLES_LIMIT = 128


class ResponseFormat(TypedDict):
    """The shape of the answer, for the provider to keep."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]  # read by pydantic; no key

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NotRequired[dict[str, JsonValue] | None]


class Prediction(TypedDict):
    """What most of the answer will be, to have it sooner."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["content"]
    content: Content


class ChatOptions(BaseModel):
    """What a conversation may ask for besides how to sample; null and empty mean absent."""

    tools: Tools | None = None
    tool_choice: Annotated[ToolChoice | None, EMPTY_IS_ABSENT] = None
    parallel_tool_calls: bool | None = None
    response_format: Annotated[ResponseFormat | None, EMPTY_IS_ABSENT] = None
    prediction: Annotated[Prediction | None, EMPTY_IS_ABSENT] = None

    def options(self) -> dict[str, Any]:
        """Return what is set, by OpenAI's names."""
        values = self.__dict__
        found = {
            name: value
            for name in _OPTIONS
            if (value := values[name]) is not None and not is_absent(value)
        }
        if "tools" in found:
            tools, choice = chosen(present_tools(found["tools"]), found.get("tool_choice"))
            found |= {"tools": tools} | ({"tool_choice": choice} if choice else {})
        else:
            # Without tools these two say nothing, and providers refuse them.
            found.pop("parallel_tool_calls", None)
            if found.get("tool_choice") in ("none", "auto"):
                del found["tool_choice"]
        if found.get("response_format", {}).get("json_schema", ...) is None:
            found["response_format"] = {"type": found["response_format"]["type"]}
        return found


_OPTIONS = tuple(ChatOptions.model_fields)


class Chat(Request, Sampling, ChatOptions, type="chat"):
    """A conversation to continue; it takes no prompt of the registry.

    Attributes:
        messages: Turns, in order, by OpenAI's shape.
        sample: Which of several answers to one question is wanted: equal calls share a cached
            answer, those of other numbers do not.
        extra_body: Fields that only some providers know; each must take them by its
            ``pass_through``, or does not get them.
    """

    prompt: None = None
    messages: list[ChatMessage] = Field(min_length=1, fail_fast=True)
    sample: Annotated[int, Field(ge=0, lt=SAMPLES_LIMIT), WHOLE] = 0
    extra_body: dict[str, JsonValue] | None = None

    def parameters(self) -> dict[str, Any]:
        """Return what is set besides the messages, by OpenAI's names."""
        return {**(self.extra_body or {}), **self.sampling(), **self.options()}


@processor(Chat)
async def chat(request: Chat, llm: LLMClient) -> Any:
    """Return the model's next turn."""
    return await llm.chat(request.messages, parameters=request.parameters(), sample=request.sample)
