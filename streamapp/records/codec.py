"""The bytes of a request record: strict JSON in, a typed request or a named failure out.

Strict, because what is read must come back unchanged and mean one thing only: UTF-8 without
lone surrogates, no key twice, no NaN or infinity, at most 200 levels deep.
"""

from math import isfinite
from typing import Any, TypeVar

import jiter
from pydantic import ValidationError

from streamapp.errors import InvalidRecord, Undecodable
from streamapp.records.framing import frame_of, without_mark
from streamapp.records.problems import describe
from streamapp.records.request import ID_LIMIT, Request

R = TypeVar("R", bound=Request)


def parse(value: bytes | None) -> dict[str, Any]:
    """Return the JSON object that ``value`` holds.

    Raises:
        Undecodable: The value is missing, empty or not strict JSON.
        InvalidRecord: It is JSON, but no object.
    """
    if not value:
        raise Undecodable("the value is empty: send a JSON object")
    fields = parse_value(value)
    if type(fields) is not dict:
        raise InvalidRecord("the record is JSON, but no object: send {...}")
    return fields


def parse_value(value: bytes) -> Any:
    """Return what strict JSON holds, an object or not.

    Raises:
        Undecodable: It is not strict JSON.
    """
    return _json(without_mark(value))


def validate(record: type[R], value: bytes) -> R:
    """Return ``value`` as a request of the type ``record``.

    Raises:
        InvalidRecord: A field is missing, unknown or wrong; names it and what to do.
    """
    try:
        # Strict and from bytes: JSON's own types only ("50" is no number), yet dates are text.
        return record.__pydantic_validator__.validate_json(without_mark(value), strict=True)  # type: ignore[no-any-return]  # typed Any by pydantic
    except ValidationError as error:
        problem = describe(error, record, parse_value(value))
    # Raised outside of the block: pydantic's error holds the record's values.
    raise InvalidRecord(problem)


def recover_id(value: bytes | None) -> str | None:
    """Return the id of a record that could not be decoded, or None where it cannot be read."""
    try:
        id = parse(value).get("id")
    except (Undecodable, InvalidRecord):
        return None
    return id if isinstance(id, str) and 1 <= len(id) <= ID_LIMIT else None


def _json(value: bytes) -> Any:
    try:
        fields = jiter.from_json(value, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        reason, _, place = str(error).rpartition(" at ")
        if reason.startswith("Detected duplicate key"):
            reason = "an object has the same key twice"
        problem = f"the value is not strict JSON in UTF-8: {reason} at {place}"
        problem = frame_of(value) or problem
    else:
        # It has few parts and many bytes: to search those would cost more, on the loop.
        if is_finite(fields):
            return fields
        problem = "the value is not strict JSON: a number is too large for a double"
    raise Undecodable(problem)


def is_finite(value: Any) -> bool:
    """Whether no number is infinite, as ``1e999`` is, or none at all: null would be written."""
    kind = type(value)
    if kind is float:
        return isfinite(value)
    if kind is dict:
        return all(map(is_finite, value.values()))
    if kind is list:
        return all(map(is_finite, value))
    return True
