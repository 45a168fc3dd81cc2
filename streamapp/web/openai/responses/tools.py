"""Function tools by the shape of responses, to that of chats."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Discriminator, Field, JsonValue, Tag
from typing_extensions import TypedDict

from streamapp.records.tools import TOOLS_LIMIT, Name
from streamapp.web.openai.fields import only

_STRICT = ConfigDict(extra="forbid")


class ResponseFunctionTool(TypedDict):
    """A function that the model may call; other tools run at one vendor alone."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]  # read by pydantic; no key

    type: Literal["function"]
    name: Name
    description: NotRequired[str | None]
    parameters: NotRequired[dict[str, JsonValue] | None]
    strict: NotRequired[bool | None]
    output_schema: NotRequired[dict[str, JsonValue] | None]
    defer_loading: NotRequired[only(False, "all tools are sent at once")]  # type: ignore[valid-type]
    allowed_callers: NotRequired[list[Literal["direct"]] | None]


class ResponseNamedTool(TypedDict):
    """The one function that the model must call."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["function"]
    name: Name


class ResponseAllowedTools(TypedDict):
    """Those of the offered functions that the model may call now, and whether it must."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: Annotated[list[ResponseNamedTool], Field(min_length=1, max_length=TOOLS_LIMIT)]


def _choice_kind(value: Any) -> str | None:
    return value.get("type") if isinstance(value, dict) else "mode"


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("mode")]
    | Annotated[ResponseNamedTool, Tag("function")]
    | Annotated[ResponseAllowedTools, Tag("allowed_tools")],
    Discriminator(
        _choice_kind,
        custom_error_type="tool_choice",
        custom_error_message=(
            "is not supported: send none, auto, required, a function or allowed_tools"
        ),
    ),
]


def tools_of(tools: Sequence[Any]) -> list[Any]:
    """Return the tools as chats have them."""
    names = ("name", "description", "parameters", "strict")
    return [
        {
            "type": "function",
            "function": {name: tool[name] for name in names if tool.get(name) is not None},
        }
        for tool in tools
    ]


def choice_of(choice: Any) -> Any:
    """Return the choice as chats have it."""
    if not isinstance(choice, dict):
        return choice
    if choice["type"] == "function":
        return _named(choice)
    some = {"mode": choice["mode"], "tools": [_named(tool) for tool in choice["tools"]]}
    return {"type": "allowed_tools", "allowed_tools": some}


def _named(tool: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": tool["name"]}}
