"""The fingerprint of what a step asks: equal in every worker, whatever it is given."""

import json
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from hashlib import blake2b
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json

#: Deeper parts of what a step is given count by their types.
_DEPTH = 50


def fingerprint_of(*parts: Any) -> str:
    """Return the fingerprint of what a step asks, 32 hexadecimal digits.

    Parts that are no JSON count by their type alone: whoever changes them changes the code.
    """
    try:
        text = to_json(parts, fallback=_type_of, bytes_mode="base64")
    except ValueError:  # surrogates, which only escapes can carry, or a circle
        try:
            text = json.dumps(parts, default=_type_of).encode()
        except (TypeError, ValueError, RecursionError):
            text = b"?"
    return blake2b(text, digest_size=16).hexdigest()


def stable(part: Any, depth: int = 0) -> Any:
    """Return what code gives a step such that its JSON is the same in every worker.

    Sets have an order of their own in each process, and who reads an iterator uses it up.
    """
    if isinstance(part, (str, int, float, bytes)) or part is None:
        return part
    if depth > _DEPTH or isinstance(part, Iterator):
        return _type_of(part)
    if isinstance(part, BaseModel):
        return stable(dict(part), depth + 1)
    if is_dataclass(part) and not isinstance(part, type):
        return [stable(getattr(part, field.name), depth + 1) for field in fields(part)]
    if isinstance(part, Mapping):
        return [[stable(key, depth + 1), stable(part[key], depth + 1)] for key in part]
    if isinstance(part, (list, tuple)):
        return [stable(one, depth + 1) for one in part]
    if isinstance(part, AbstractSet):
        return sorted(fingerprint_of(stable(one, depth + 1)) for one in part)
    return part


def _type_of(part: Any) -> str:
    return type(part).__qualname__
