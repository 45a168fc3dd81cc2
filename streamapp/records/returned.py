"""The JSON of values that code of users returns; pydantic alone writes infinity as null."""

import re
from inspect import iscoroutine
from math import isfinite
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json, to_jsonable_python

_UNKNOWN = re.compile(r"Unable to serialize unknown type: <class '(.+)'>")
_NO_NUMBER = "NaN and infinity are not JSON"


def as_values(value: Any) -> Any:
    """Return a value in JSON's own types.

    Raises:
        ValueError: It has none, or holds a number that JSON has not.
    """
    return _read(to_json(value, inf_nan_mode="constants", by_alias=False), value)


def as_json(
    value: Any, adapter: TypeAdapter[Any], *, warnings: bool | Literal["error"] = False
) -> bytes:
    """Return a value as an annotation writes it; raises as `as_values`."""
    data = adapter.dump_json(value, warnings=warnings)
    if any(word in data for word in (b"null", b"NaN", b"Infinity")):
        _read(data, value)
    return data


def why_no_json(value: Any, error: ValueError) -> str:
    """Return what of a value is no JSON, behind a colon: types alone; empty where unknown."""
    if iscoroutine(value):
        value.close()  # else Python tells of it, at whatever line lets go of it
        return ": a coroutine; is an 'await' missing?"
    if str(error) == _NO_NUMBER:
        return f": {_NO_NUMBER}"
    unknown = _UNKNOWN.search(str(error))
    return f": there is a value of type {unknown[1]}" if unknown else ""


def _read(data: bytes, value: Any) -> Any:
    """Return what was written of a value; raises where that is no JSON, or says less than it."""
    written = from_json(data)
    try:
        held = to_jsonable_python(
            value, inf_nan_mode="constants", by_alias=False, fallback=_nothing
        )
    except ValueError:  # what the annotation alone can write has no numbers that we could look at
        held = None
    if _has_lost(written, held):
        raise ValueError(_NO_NUMBER)
    return written


def _has_lost(written: Any, held: Any) -> bool:
    """Whether a number stands there that JSON has not, or null in place of one."""
    if isinstance(written, dict):
        of = held if isinstance(held, dict) else {}
        return any(_has_lost(each, of.get(name)) for name, each in written.items())
    if isinstance(written, list):
        each_of = held if isinstance(held, list) and len(held) == len(written) else written
        return any(map(_has_lost, written, each_of))
    number = held if written is None else written
    return isinstance(number, float) and not isfinite(number)


def _nothing(value: Any) -> None:
    return None
