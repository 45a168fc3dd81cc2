"""The formats of values on users' topics: bytes in, a value out."""

from typing import Any, Literal

from pydantic_core import PydanticSerializationError, to_json

from streamapp.errors import OutputInvalid, Undecodable
from streamapp.records.codec import parse_value

Format = Literal["json", "text"]


def decode(format: Format, value: bytes | None) -> Any:
    """Return what ``value`` holds; None for a record without a value.

    Raises:
        Undecodable: It is no value of that format.
    """
    if value is None:
        return None
    if format == "json":
        return parse_value(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        problem = "the value is not UTF-8 text"
    raise Undecodable(problem)  # outside of the block: the cause holds the value


def encode(format: Format, value: Any) -> bytes:
    """Return ``value`` as bytes of that format.

    Raises:
        OutputInvalid: It cannot be written so.
    """
    if format == "text":
        if isinstance(value, str):
            return value.encode()
        raise OutputInvalid('the output is no text: use output_format = "json"')
    try:
        return to_json(value)
    except PydanticSerializationError:
        problem = "the output is not JSON"
    raise OutputInvalid(problem)
