"""JSON bodies of requests and answers, encoded and checked."""

from typing import Any

import orjson

from streamapp.errors import GarbledAnswer, InvalidRecord


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
    """Return an answer's JSON.

    Raises:
        GarbledAnswer: It is none.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise garbled("not JSON", provider) from error


def decode(body: bytes, provider: str) -> dict[str, Any]:
    """Return an answer's object.

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
