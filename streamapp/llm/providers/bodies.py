"""JSON bodies of requests and answers, encoded and checked."""

import json
import re
from typing import Any

import orjson

from streamapp.errors import (
    GarbledAnswer,
    InvalidRecord,
    ProviderForbidden,
    ProviderUnavailable,
)
from streamapp.llm.attempt import refused

#: Escapes in JSON: a letter of two halves, half a letter alone (the group), and all others.
_ESCAPES = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_REPLACEMENT = "\\ufffd"


def encode(body: Any) -> bytes:
    """Return a request's body.

    Raises:
        InvalidRecord: JSON cannot carry it, such as a number above 64 bits.
    """
    try:
        return orjson.dumps(body)
    except TypeError as error:
        raise InvalidRecord("the request holds a value that JSON cannot carry") from error


def decode_any(body: bytes, provider: str) -> Any:
    """Return an answer's JSON, also where servers write it a little beside the rules.

    A log probability that JSON has no word for (``-Infinity``) is null, a letter of which only a
    part is there is U+FFFD, and control characters in texts and a byte order mark are taken.

    Raises:
        GarbledAnswer: It is none.
        ProviderForbidden: It is a web page: of a wrong address, or of what blocks the record.
        ProviderUnavailable: It is nothing but white space.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        text = body.decode("utf-8-sig", "replace").strip()
        if text.startswith("<"):
            refused()
            message = f"{provider}: a web page in place of an answer; look at its base_url"
            raise ProviderForbidden(message, provider=provider, status=200) from error
        if body and not text:
            raise only_signs_of_life(provider) from error
    try:
        answer = json.loads(_ESCAPES.sub(_whole, text), strict=False, parse_constant=_Unnamed)
        return _named(answer)
    except (ValueError, RecursionError) as error:
        raise garbled("not JSON", provider) from error


def decode(body: bytes, provider: str) -> dict[str, Any]:
    """Return an answer's object; raises as `decode_any`.

    Raises:
        GarbledAnswer: It is none.
    """
    answer = decode_any(body, provider)
    if not isinstance(answer, dict):
        raise garbled("no object", provider)
    return answer


def garbled(what: str, provider: str) -> GarbledAnswer:
    """Return the error of a 200 that is no answer."""
    return GarbledAnswer(f"{provider}: {what} in the answer", provider=provider, status=200)


def _whole(escape: re.Match[str]) -> str:
    return _REPLACEMENT if escape[1] else escape[0]


def only_signs_of_life(provider: str) -> ProviderUnavailable:
    """Return the error of a 200 that was kept open and never answered: nothing was generated."""
    refused()
    return ProviderUnavailable(f"{provider}: signs of life and no answer", provider=provider)


class _Unnamed(str):
    """A number that JSON has no word for."""


def _named(value: Any, *, is_chance: bool = False) -> Any:
    """Return ``value`` with null for each `_Unnamed` among log probabilities.

    Raises:
        ValueError: There is one elsewhere.
    """
    if isinstance(value, _Unnamed):
        if not is_chance:
            raise ValueError(value)
        return None
    if isinstance(value, list):
        return [_named(item, is_chance=is_chance) for item in value]
    if isinstance(value, dict):
        return {
            name: _named(item, is_chance=is_chance or name == "logprobs")
            for name, item in value.items()
        }
    return value
