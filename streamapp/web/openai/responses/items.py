"""The items of ``input``, as turns of a conversation by the shape of chats."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NotRequired

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    Tag,
)
from pydantic_core import PydanticCustomError, core_schema
from typing_extensions import TypedDict

from streamapp.records.conversation import Audio, RefusalPart
from streamapp.records.tools import EXTRA_CONTENT
from streamapp.web.openai.fields import refused

_STRICT = ConfigDict(extra="forbid")
_NO_FILES = "no files are kept here: send the content"

Status = Literal["in_progress", "completed", "incomplete"]
CallID = Annotated[str, Field(min_length=1, max_length=200)]


class InputText(TypedDict):
    """Text within a message; where a vendor's cache may end says nothing to others."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]  # read by pydantic; no key

    type: Literal["input_text"]
    text: str
    prompt_cache_breakpoint: NotRequired[dict[str, JsonValue] | None]


class InputImage(TypedDict):
    """An image: an address or a data URL."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["input_image"]
    image_url: str
    detail: NotRequired[Literal["auto", "low", "high", "original"] | None]
    file_id: NotRequired[refused(_NO_FILES)]  # type: ignore[valid-type]
    prompt_cache_breakpoint: NotRequired[dict[str, JsonValue] | None]


class InputFile(TypedDict):
    """A file: a data URL, or the provider's id of one that it holds."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["input_file"]
    file_data: NotRequired[str | None]
    file_id: NotRequired[str | None]
    filename: NotRequired[str | None]
    file_url: NotRequired[refused("providers of chats take no address of a file")]  # type: ignore[valid-type]
    detail: NotRequired[Literal["auto", "low", "high"] | None]
    prompt_cache_breakpoint: NotRequired[dict[str, JsonValue] | None]


class InputAudio(TypedDict):
    """Sound within a message."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["input_audio"]
    input_audio: Audio


class OutputText(TypedDict):
    """Text that the model wrote, sent back."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["output_text"]
    text: str
    annotations: NotRequired[list[JsonValue] | None]
    parsed: NotRequired[JsonValue]
    logprobs: NotRequired[list[JsonValue] | None]


Part = Annotated[
    InputText | InputImage | InputFile | InputAudio | OutputText | RefusalPart,
    Discriminator("type"),
]


def _content_kind(value: Any) -> str:
    return "parts" if isinstance(value, list) else "text"


_Text = Annotated[str, Tag("text")]
_Parts = Annotated[list[Part], Field(min_length=1, fail_fast=True), Tag("parts")]
Content = Annotated[_Text | _Parts, Discriminator(_content_kind)]
#: A list of nothing is what a function without a result is told by.
_PerhapsParts = Annotated[list[Part], Field(fail_fast=True), Tag("parts")]
PerhapsContent = Annotated[_Text | _PerhapsParts, Discriminator(_content_kind)]


class ResponseMessage(TypedDict):
    """What somebody said, the model included."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: NotRequired[Literal["message"] | None]
    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    id: NotRequired[str | None]
    status: NotRequired[Status | None]
    phase: NotRequired[Literal["commentary", "final_answer"] | None]


class FunctionCallItem(TypedDict):
    """A call that the model wanted."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["function_call"]
    call_id: CallID
    name: Annotated[str, Field(min_length=1, max_length=200)]
    arguments: str
    parsed_arguments: NotRequired[JsonValue]
    id: NotRequired[str | None]
    status: NotRequired[Status | None]
    namespace: NotRequired[None]
    caller: NotRequired[JsonValue]
    extra_content: NotRequired[dict[str, JsonValue] | None]


class FunctionCallOutput(TypedDict):
    """What a function returned."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["function_call_output"]
    call_id: CallID
    output: PerhapsContent
    id: NotRequired[str | None]
    name: NotRequired[str | None]
    status: NotRequired[Status | None]
    namespace: NotRequired[None]
    caller: NotRequired[JsonValue]


class ReasoningItem(TypedDict):
    """What a model thought, sent back; dropped: no other model can read it."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["reasoning"]
    id: NotRequired[str | None]
    summary: NotRequired[list[JsonValue] | None]
    content: NotRequired[list[JsonValue] | None]
    encrypted_content: NotRequired[str | None]
    status: NotRequired[Status | None]


def _item_kind(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    return value.get("type") or ("message" if "role" in value else None)


Item = Annotated[
    Annotated[ResponseMessage, Tag("message")]
    | Annotated[FunctionCallItem, Tag("function_call")]
    | Annotated[FunctionCallOutput, Tag("function_call_output")]
    | Annotated[ReasoningItem, Tag("reasoning")],
    Discriminator(
        _item_kind,
        custom_error_type="item_kind",
        custom_error_message=(
            "is not supported: send items of the types message, function_call,"
            " function_call_output and reasoning; nothing is stored here, and with store false"
            " clients send items whole"
        ),
    ),
]


class SaysSomething:
    """Annotates a list of items that must not be reasoning alone.

    OpenAI refuses reasoning without the item that followed it, too.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        def checked(items: list[Any]) -> list[Any]:
            if all(item.get("type") == "reasoning" for item in items):
                message = "reasoning alone says nothing: send a message, too"
                raise PydanticCustomError("reasoning_alone", message)
            return items

        return core_schema.no_info_after_validator_function(checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        found = handler(schema)
        said = [
            kind
            for kind in found["items"]["oneOf"]
            if handler.resolve_ref_schema(kind)["properties"]["type"].get("const") != "reasoning"
        ]
        return {**found, "contains": {"oneOf": said}}


def turns_of(instructions: str | None, items: Any) -> list[dict[str, Any]]:
    """Return the turns of a chat.

    Args:
        instructions: What the system says first.
        items: A text, or items in order; calls that follow one another are those of one turn.
    """
    turns: list[dict[str, Any]] = []
    if instructions:
        turns.append({"role": "system", "content": instructions})
    if isinstance(items, str):
        return [*turns, {"role": "user", "content": items}]
    for item in items:
        match item.get("type") or "message":
            case "message" if item["role"] == "assistant":
                turn = _open_turn(turns)
                said = _text(item["content"])
                if turn is not None and turn["content"] is None:
                    turn["content"] = said
                else:
                    turns.append({"role": "assistant", "content": said})
            case "message":
                turns.append({"role": item["role"], "content": _content(item["content"])})
            case "function_call":
                function = {"name": item["name"], "arguments": item["arguments"]}
                call = {"id": item["call_id"], "type": "function", "function": function}
                if extra := item.get(EXTRA_CONTENT):
                    call[EXTRA_CONTENT] = extra
                turn = _open_turn(turns)
                if turn is None:
                    turn = {"role": "assistant", "content": None}
                    turns.append(turn)
                turn.setdefault("tool_calls", []).append(call)
            case "function_call_output":
                output = _content(item["output"])
                turns.append({"role": "tool", "tool_call_id": item["call_id"], "content": output})
    return turns


def _open_turn(turns: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the last turn where it is the assistant's."""
    return turns[-1] if turns and turns[-1]["role"] == "assistant" else None


def _text(content: Any) -> str:
    """Return what the model said as one text."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or part.get("refusal") or "" for part in content)


def _content(content: Any) -> str | list[dict[str, Any]]:
    """Return content as chats have it; a lone text as text, which every server takes."""
    if isinstance(content, str):
        return content
    parts = [_part(part) for part in content]
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(part: Any) -> dict[str, Any]:
    match part["type"]:
        case "input_image":
            detail = {"detail": part["detail"]} if part.get("detail") else {}
            return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
        case "input_file":
            names = ("file_data", "file_id", "filename")
            file = {name: part[name] for name in names if part.get(name)}
            return {"type": "file", "file": file}
        case "input_audio":
            return {"type": "input_audio", "input_audio": part["input_audio"]}
        case "refusal":
            return {"type": "text", "text": part["refusal"]}
    return {"type": "text", "text": part["text"]}
