"""A message's content as vendors write it: text, parts, nothing; with reasoning beside it."""

from dataclasses import dataclass
from typing import Any

#: Fields beside the content that hold a model's reasoning.
_BESIDE = frozenset({"reasoning_content", "reasoning", "reasoning_text", "thinking"})
_TEXT_TYPES = frozenset({"text", "output_text"})


@dataclass(slots=True)
class Content:
    """What a message, or a part of a streamed one, says; nobody changes one that he was given.

    Attributes:
        text: Of all parts that are text.
        refusal: Why the model does not answer; empty where it does.
        reasoning_chars: Length of the reasoning beside the text or among its parts.
        is_there: Whether there was content at all, if only an empty text.
    """

    text: str = ""
    refusal: str = ""
    reasoning_chars: int = 0
    is_there: bool = False


NO_CONTENT = Content()


def content_of(message: Any) -> Content:
    """Read a message, or a ``delta``.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(message, dict):
        raise TypeError("no message")
    content = message.get("content")
    text, refusal, reasoning = _read(content)
    if isinstance(own := message.get("refusal"), str):
        refusal += own
    beside = 0
    if not _BESIDE.isdisjoint(message):
        beside = max(_length(message.get(name)) for name in _BESIDE)
    return Content(text, refusal, reasoning + beside, content is not None)


def _read(content: Any) -> tuple[str, str, int]:
    if content is None or isinstance(content, str):
        return content or "", "", 0
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise TypeError("no content")
    texts, refusals, reasoning = [], [], 0
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif not isinstance(part, dict):
            raise TypeError("no part")
        elif part.get("type", "text") in _TEXT_TYPES:
            texts.append(_text(part.get("text")))
        elif part["type"] == "refusal":
            refusals.append(_text(part.get("refusal")))
        elif part["type"] in ("thinking", "reasoning"):
            reasoning += _length(part.get("thinking") or part.get("reasoning") or part.get("text"))
    return "".join(texts), "".join(refusals), reasoning


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("value")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_length, value))
    if isinstance(value, dict):
        return sum(_length(value.get(name)) for name in ("text", "content", "summary", "thinking"))
    return 0
