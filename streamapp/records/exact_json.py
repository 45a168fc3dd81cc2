"""JSON that keeps the digits of integers, however many they have."""

from typing import Any

import orjson
from pydantic_core import from_json, to_json


def dumps(value: Any) -> bytes:
    """Return ``value`` as JSON.

    Raises:
        ValueError: It is none, such as half a surrogate.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        # orjson has 64 bits; the other one costs more.
        return to_json(value)


def loads(data: bytes | str) -> Any:
    """Return what ``data`` holds.

    Raises:
        ValueError: It is no JSON.
    """
    return from_json(data, allow_inf_nan=False)
