"""Turns of a conversation by OpenAI's shape, as clients send them: null and empty mean absent."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, JsonValue, Tag
from typing_extensions import TypedDict

from streamapp.records.tools import FunctionCall, ToolCall, present_calls

_STRICT = ConfigDict(extra="forbid")

#: Fields of a turn that clients send back and no question needs; see docs/http.md.
DROPPED = frozenset(
    {"annotations", "audio", "parsed", "provider_specific_fields", "reasoning"}
    | {"reasoning_details", "thinking_blocks"}
)

# Typed dictionaries, not models: what is validated is already what is sent.


class CacheControl(TypedDict):
    """Where Anthropic's own cache may end."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]  # read by pydantic; no key

    type: Literal["ephemeral"]
    ttl: NotRequired[Literal["5m", "1h"]]


class TextPart(TypedDict):
    """Text within a message."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["text"]
    text: str
    cache_control: NotRequired[CacheControl | None]


class ImageURL(TypedDict):
    """Where the provider finds an image: an address or a data URL."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    url: str
    detail: NotRequired[Literal["auto", "low", "high", "original"] | None]


class ImagePart(TypedDict):
    """An image within a message."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["image_url"]
    image_url: ImageURL
    cache_control: NotRequired[CacheControl | None]


class Audio(TypedDict):
    """Sound in base64."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    data: str
    format: Literal["wav", "mp3"]


class AudioPart(TypedDict):
    """Sound within a message."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["input_audio"]
    input_audio: Audio
    cache_control: NotRequired[CacheControl | None]


class File(TypedDict):
    """A file: a data URL, or the provider's id of one that it holds."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    file_data: NotRequired[str | None]
    file_id: NotRequired[str | None]
    filename: NotRequired[str | None]


class FilePart(TypedDict):
    """A file within a message."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["file"]
    file: File
    cache_control: NotRequired[CacheControl | None]


class RefusalPart(TypedDict):
    """Why the model did not answer, sent back."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["refusal"]
    refusal: str


Part = Annotated[TextPart | ImagePart | AudioPart | FilePart | RefusalPart, Discriminator("type")]


def _kind(value: Any) -> str | None:
    if value is None:
        return "null"
    return "parts" if isinstance(value, list) else "text"


_Text = Annotated[str, Tag("text")]
_Parts = Annotated[list[Part], Field(min_length=1, fail_fast=True), Tag("parts")]
Content = Annotated[
    _Text | _Parts,
    Discriminator(
        _kind,
        custom_error_type="content_kind",
        custom_error_message="must be text or a list of parts",
    ),
]
#: A list of nothing is what a tool without a result is told by.
_PerhapsParts = Annotated[list[Part], Field(fail_fast=True), Tag("parts")]
PerhapsContent = Annotated[
    _Text | _PerhapsParts | Annotated[None, Tag("null")], Discriminator(_kind)
]


class SaidTurn(TypedDict):
    """What the system or the user says."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    role: Literal["system", "developer", "user"]
    content: Content
    name: NotRequired[str | None]
    cache_control: NotRequired[CacheControl | None]


class AssistantTurn(TypedDict):
    """What the model said, with all that clients hold of it and send back."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    role: Literal["assistant"]
    content: NotRequired[PerhapsContent]
    name: NotRequired[str | None]
    cache_control: NotRequired[CacheControl | None]
    refusal: NotRequired[str | None]
    tool_calls: NotRequired[list[ToolCall] | None]
    function_call: NotRequired[FunctionCall | None]
    extra_content: NotRequired[dict[str, JsonValue] | None]
    reasoning_content: NotRequired[str | None]
    annotations: NotRequired[list[JsonValue] | None]
    audio: NotRequired[dict[str, JsonValue] | None]
    parsed: NotRequired[JsonValue]
    provider_specific_fields: NotRequired[dict[str, JsonValue] | None]
    reasoning: NotRequired[JsonValue]
    reasoning_details: NotRequired[list[JsonValue] | None]
    thinking_blocks: NotRequired[list[JsonValue] | None]


class ToolTurn(TypedDict):
    """What a tool returned."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    role: Literal["tool"]
    content: PerhapsContent
    tool_call_id: Annotated[str, Field(min_length=1, max_length=200)]
    name: NotRequired[str | None]
    cache_control: NotRequired[CacheControl | None]


class FunctionTurn(TypedDict):
    """What a function returned, by OpenAI's older shape."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    role: Literal["function"]
    content: PerhapsContent
    name: str


def _role(value: Any) -> str | None:
    role = value.get("role") if isinstance(value, dict) else None
    return "said" if role in ("system", "developer", "user") else role


def _present(turn: dict[str, Any]) -> dict[str, Any]:
    """Return the turn without what is null, empty or dropped."""
    kept = {
        name: value
        for name, value in turn.items()
        if name == "content" or (name not in DROPPED and value not in (None, "", [], {}))
    }
    content = kept.get("content")
    if content is None or content == []:
        # An assistant's turn may be its tool calls alone; any other says nothing.
        has_calls = "tool_calls" in kept or "function_call" in kept
        kept["content"] = None if has_calls else kept.get("refusal", "")
    elif isinstance(content, list):
        kept["content"] = [_present_part(part) for part in content]
    kept.pop("refusal", None)
    if "tool_calls" in kept:
        kept["tool_calls"] = present_calls(kept["tool_calls"])
    return kept


def _present_part(part: dict[str, Any]) -> dict[str, Any]:
    if part["type"] == "refusal":
        return {"type": "text", "text": part["refusal"]}
    kept = {name: value for name, value in part.items() if value is not None}
    inner = kept.get(part["type"])
    if isinstance(inner, dict):
        kept[part["type"]] = {name: value for name, value in inner.items() if value is not None}
    return kept


ChatMessage = Annotated[
    Annotated[
        Annotated[SaidTurn, Tag("said")]
        | Annotated[AssistantTurn, Tag("assistant")]
        | Annotated[ToolTurn, Tag("tool")]
        | Annotated[FunctionTurn, Tag("function")],
        Discriminator(
            _role,
            custom_error_type="turn_role",
            custom_error_message=(
                "must be an object whose 'role' is one of 'system', 'developer', 'user',"
                " 'assistant', 'tool', 'function'"
            ),
        ),
    ],
    AfterValidator(_present),
]
