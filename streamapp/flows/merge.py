"""Merging into a JSON object: what is not replaced stays as it was written, digit by digit.

A number that is read as a double and written again is another one for whoever needs its digits;
so the members of the source are found in its text, and never rendered anew.
"""

from collections.abc import Mapping
from json import JSONDecoder
from json.decoder import scanstring  # type: ignore[attr-defined]  # not in the type stubs

from pydantic_core import to_json

#: Numbers are not looked at: of any length, they stand as they are.
_DECODER = JSONDecoder(parse_int=str, parse_float=str)
_SPACE = " \t\n\r"


def merge(source: bytes, members: Mapping[str, bytes]) -> bytes:
    """Return the object ``source`` with other members, in its order, new ones at the end.

    Args:
        source: A JSON object, UTF-8, without a name twice.
        members: JSON values by name.
    """
    text = source.decode("utf-8-sig")
    merged = {name: value.encode() for name, value in members_of(text).items()}
    merged.update(members)
    return b"{%b}" % b",".join(b"%b:%b" % (to_json(name), raw) for name, raw in merged.items())


def members_of(text: str) -> dict[str, str]:
    """Return the members of a JSON object by their names, each as it is written.

    Raises:
        ValueError: It is no JSON object.
    """
    found: dict[str, str] = {}
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("no object")
    at = _skip(text, at + 1)
    while text[at : at + 1] == '"':
        name, at = scanstring(text, at + 1, True)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise ValueError("no colon")
        start = _skip(text, at + 1)
        _, at = _DECODER.raw_decode(text, start)
        found[name] = text[start:at]
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    return at
