"""Tools by OpenAI's shape: what a model may call, which it must, and what it wants called."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Discriminator, Field, JsonValue, Tag
from typing_extensions import TypedDict

from streamapp.records.whole import Whole

_STRICT = ConfigDict(extra="forbid")

#: What a vendor wants back with a call or a turn of its model, as it was: Gemini's signature of
#: the thought that led to a call, without which it refuses the next turn.
#: Source: https://ai.google.dev/gemini-api/docs/thought-signatures#openai
EXTRA_CONTENT = "extra_content"

#: Longest list of tools, as of OpenAI.
TOOLS_LIMIT = 128

Name = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_.:-]+$")]


class Function(TypedDict):
    """A function that the model may call."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]  # read by pydantic; no key

    name: Name
    description: NotRequired[str | None]
    parameters: NotRequired[dict[str, JsonValue] | None]
    strict: NotRequired[bool | None]


class FunctionTool(TypedDict):
    """A tool; functions are the only ones that every provider knows."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["function"]
    function: Function
    cache_control: NotRequired[dict[str, JsonValue] | None]


class NamedFunction(TypedDict):
    """A function by its name."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    name: Name


class NamedTool(TypedDict):
    """The one tool that the model must call."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["function"]
    function: NamedFunction


class SomeTools(TypedDict):
    """Those of the offered tools that the model may call now, and whether it must."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedTool], Field(min_length=1, max_length=TOOLS_LIMIT)]


class AllowedTools(TypedDict):
    """A choice among some of the tools: the others stay in the list, for the vendor's cache."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["allowed_tools"]
    allowed_tools: SomeTools


class FunctionCall(TypedDict):
    """A call with its arguments, JSON as the model wrote it."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    name: Annotated[str, Field(min_length=1, max_length=200)]
    arguments: str


class SentCall(FunctionCall):
    """A call with what a client has read of its arguments."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    parsed_arguments: NotRequired[JsonValue]


class ToolCall(TypedDict):
    """A call that the model wanted; sent back before the tool's own turn."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    id: Annotated[str, Field(min_length=1, max_length=200)]
    type: Literal["function"]
    function: SentCall
    index: NotRequired[Whole | None]
    extra_content: NotRequired[dict[str, JsonValue] | None]


Tools = Annotated[list[FunctionTool], Field(max_length=TOOLS_LIMIT)]


def _choice_kind(value: Any) -> str | None:
    if isinstance(value, dict):
        return "named" if value.get("type") == "function" else value.get("type")
    return "mode"


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("mode")]
    | Annotated[NamedTool, Tag("named")]
    | Annotated[AllowedTools, Tag("allowed_tools")],
    Discriminator(
        _choice_kind,
        custom_error_type="tool_choice",
        custom_error_message="must be none, auto, required, a function or allowed_tools",
    ),
]


def chosen(tools: list[dict[str, Any]], choice: Any) -> tuple[list[dict[str, Any]], Any]:
    """Return tools and choice as every vendor knows them: what is not allowed is not offered.

    Where none of the allowed ones is offered both stay as they are, for the vendor to refuse.
    """
    if not isinstance(choice, dict) or choice["type"] != "allowed_tools":
        return tools, choice
    allowed = {tool["function"]["name"] for tool in choice["allowed_tools"]["tools"]}
    kept = [tool for tool in tools if tool["function"]["name"] in allowed]
    if not kept:
        return tools, choice
    return kept, choice["allowed_tools"]["mode"]


def present_calls(calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return calls that are sent back as the model wrote them."""
    return [
        {
            **{name: value for name, value in call.items() if value is not None},
            "function": {name: call["function"][name] for name in ("name", "arguments")},
        }
        for call in calls
    ]


def present_tools(tools: list[FunctionTool]) -> list[dict[str, Any]]:
    """Return tools without what is null, as providers take them."""
    return [
        {
            **{name: value for name, value in tool.items() if value is not None},
            "function": {k: v for k, v in tool["function"].items() if v is not None},
        }
        for tool in tools
    ]
