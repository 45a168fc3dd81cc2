"""Request bodies: read within bounds, then strict JSON into pydantic models.

Errors name fields, never values.
"""

import asyncio
from contextlib import nullcontext
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from streamapp.errors import Kind
from streamapp.records.codec import parse
from streamapp.records.framing import without_mark
from streamapp.records.problems import describe, escape, place_of
from streamapp.web.errors import STATUS, Refusal
from streamapp.web.packing import unpacked

M = TypeVar("M", bound=BaseModel)

#: Longest time a body may take to arrive, seconds.
BODY_S = 20.0
#: Bodies longer than this, or of unknown length, are read a few at a time.
SMALL_BYTES = 64 * 1024
LARGE_AT_ONCE = 32


#: One record a line.
LINES = frozenset(
    {"application/jsonl", "application/jsonlines", "application/ndjson", "application/x-ndjson"}
)
#: What a body may be said to be: JSON, or what curl and aiohttp say where nobody said anything.
TYPES = LINES | {
    "application/json",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "text/plain",
}


#: How a body may be packed.
PACKED = frozenset({"gzip", "deflate"})


class BodyReader:
    """Reads bodies so that neither slow nor large ones use up the memory or the places."""

    def __init__(self, *, limit_s: float = BODY_S) -> None:
        self._limit_s = limit_s
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def read(self, request: web.Request) -> bytes:
        """Return the whole body.

        Raises:
            Refusal: It did not arrive in time, or is said to be no JSON, or to be packed by what
                is not known here, or is not packed so.
            HTTPRequestEntityTooLarge: It is longer than the server takes, unpacked too.
        """
        if request.content_type not in TYPES:
            raise Refusal(
                415, "send application/json", code="unsupported_media_type", param="content-type"
            )
        encoding = request.headers.get("Content-Encoding", "").lower()
        if encoding not in PACKED and encoding not in ("", "identity"):
            raise Refusal(
                415,
                "send the body as it is, or with gzip or deflate",
                code="unsupported_media_type",
                param="content-encoding",
            )
        length = request.content_length
        is_small = not request.can_read_body or (length is not None and length <= SMALL_BYTES)
        try:
            async with asyncio.timeout(self._limit_s) as timeout:
                async with nullcontext() if is_small else self._large:
                    body = await request.read()
                    if body and encoding in PACKED:
                        body = unpacked(body, encoding, most=request.client_max_size)
        except (web.RequestPayloadError, ValueError) as error:
            message = "the body is not encoded as its headers say"
            raise Refusal(400, message, code="bad_request") from error
        except TimeoutError:
            if timeout.expired():
                message = f"the body did not arrive within {self._limit_s:g} s"
                headers = {"Connection": "close"}
                raise Refusal(408, message, code="request_timeout", headers=headers) from None
            raise
        if len(body) > request.client_max_size:
            raise web.HTTPRequestEntityTooLarge(request.client_max_size)
        return body


def read(model: type[M], body: bytes) -> M:
    """Return ``body`` as a ``model``, by the same rules as a record.

    Raises:
        Undecodable: It is no strict JSON.
        InvalidRecord: It is JSON, but no object.
        Refusal: A field is missing, unknown or wrong; ``param`` names the first one.
    """
    value = parse(body)
    try:
        return model.model_validate_json(without_mark(body), strict=True)
    except ValidationError as error:
        problem = describe(error, model, value)
        first = place_of(error.errors(include_url=False, include_input=False)[0]["loc"], value)
    param = ".".join(escape(str(part)) for part in first) or None
    kind = Kind.INVALID
    # Raised outside of the block: pydantic's error holds the values.
    raise Refusal(STATUS[kind], problem, code=kind.value, param=param)


def flag(request: web.Request, name: str) -> bool:
    """Return a query parameter that is ``true`` or ``false``; false where it is not given.

    Raises:
        Refusal: It is something else.
    """
    match request.query.getall(name, ["false"]):
        case ["true" | "1"]:
            return True
        case ["false" | "0"]:
            return False
    raise Refusal(422, f"{name}: must be true or false", code=Kind.INVALID.value, param=name)


def whole(request: web.Request, name: str, *, default: int, least: int = 0, most: int) -> int:
    """Return a query parameter that is a whole number from ``least`` to ``most``.

    Raises:
        Refusal: It is something else.
    """
    match request.query.getall(name, [str(default)]):
        case [text] if text.isascii() and text.isdigit() and len(text) <= len(str(most)):
            if least <= int(text) <= most:
                return int(text)
    message = f"{name}: must be a number from {least} to {most}"
    raise Refusal(422, message, code=Kind.INVALID.value, param=name)
