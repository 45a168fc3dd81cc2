"""Tools by OpenAI's shape: what a model may call, which it must, and what it wants called."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, JsonValue
from typing_extensions import TypedDict

_STRICT = ConfigDict(extra="forbid")

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


class FunctionCall(TypedDict):
    """A call with its arguments, JSON as the model wrote it."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    name: Annotated[str, Field(min_length=1, max_length=200)]
    arguments: str


class ToolCall(TypedDict):
    """A call that the model wanted; sent back before the tool's own turn."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    id: Annotated[str, Field(min_length=1, max_length=200)]
    type: Literal["function"]
    function: FunctionCall
    index: NotRequired[int | None]


Tools = Annotated[list[FunctionTool], Field(max_length=TOOLS_LIMIT)]
ToolChoice = Literal["none", "auto", "required"] | NamedTool


def present_tools(tools: list[FunctionTool]) -> list[dict[str, Any]]:
    """Return tools without what is null, as providers take them."""
    return [
        {
            **{name: value for name, value in tool.items() if value is not None},
            "function": {k: v for k, v in tool["function"].items() if v is not None},
        }
        for tool in tools
    ]
