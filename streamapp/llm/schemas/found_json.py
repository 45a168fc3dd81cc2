"""JSON in an answer: alone, in a Markdown fence, or among prose; with the digits it was written."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
from pydantic_core import PydanticSerializationError, to_json

#: So many digits a double, or 64 bits, may not hold.
_MANY_DIGITS = re.compile(r"\d{16}|\.\d{16}|[eE][+-]?\d{3}")
_FENCED = re.compile(r"```[A-Za-z0-9_-]*[ \t]*\n(.*?)```", re.DOTALL)
_FENCE = "```"
_START = re.compile(r"[{\[]")
_STARTS = 64
_PROSE_CHARS = 200_000


class UnkeptNumber(ValueError):
    """A number has more digits than a double keeps, and is no integer."""


def found_json(text: str) -> Iterator[Any]:
    """Return the values that may be meant, the likeliest first.

    That is the whole text, else what stands in fences, else objects and arrays among the prose;
    of several the last one first, since drafts come before.

    Raises:
        UnkeptNumber: The next value has such a number.
    """
    text = text.strip()
    whole = _whole(text)
    if whole is not _NONE:
        yield whole
        return
    if text.startswith(_FENCE) and text.endswith(_FENCE):
        inner = text.removesuffix(_FENCE).removeprefix(_FENCE).removeprefix("json")
        if (value := _whole(inner)) is not _NONE:
            yield value
            return
    text = text[-_PROSE_CHARS:]
    for block in reversed(_FENCED.findall(text)):
        if (value := _whole(block)) is not _NONE:
            yield value
    yield from reversed(list(_among_prose(text)))


_NONE = object()


def _whole(text: str) -> Any:
    try:
        if not _MANY_DIGITS.search(text):
            return orjson.loads(text)
        return _writable(_DECODER.decode(text))
    except UnkeptNumber:
        raise
    except (ValueError, RecursionError):
        return _NONE


def _among_prose(text: str) -> Iterator[Any]:
    at, starts = 0, 0
    while starts < _STARTS and (match := _START.search(text, at)):
        starts += 1
        try:
            value, at = _DECODER.raw_decode(text, match.start())
            value = _writable(value)
        except UnkeptNumber:
            raise
        except (ValueError, RecursionError):
            at = match.start() + 1
        else:
            if value is not _NONE:
                yield value


def _exact(digits: str) -> float:
    number = float(digits)
    if Decimal(digits) != Decimal(repr(number)):
        raise UnkeptNumber
    return number


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


# Models write line ends into strings as they are.
_DECODER = json.JSONDecoder(parse_float=_exact, parse_constant=_refuse, strict=False)


def _writable(value: Any) -> Any:
    """Return ``value``, where JSON can carry it: half a surrogate it cannot."""
    try:
        to_json(value)
    except PydanticSerializationError:
        return _NONE
    return value
