"""`POST /v1/generate`: one record, answered while the caller waits."""

import asyncio
import json
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from typing import Any, Protocol
from uuid import uuid4

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.errors import Expired
from streamapp.processors.router import Answer
from streamapp.records.request import Request
from streamapp.web.errors import error_response
from streamapp.web.gate import Gate
from streamapp.web.health import Health, is_ready


class Answerer(Protocol):
    """Turns bytes into requests and requests into responses, as the stream does."""

    def decode(self, value: bytes) -> Request:
        """Return the request; raises a ``RecordError`` where the bytes are none."""
        ...

    async def answer(self, request: Request, *, id: str, key: bytes | None) -> Answer:
        """Return the answer; raises the ``Failure`` that a dead letter would carry."""
        ...


def generate(
    *,
    answerer: Answerer,
    health: Health,
    gate: Gate,
    models: Container[str],
    deadline_s: float,
) -> Blueprint:
    """Return the view.

    ``models`` are the names of the configured routes; ``deadline_s`` bounds a request from its
    head to its answer.
    """
    blueprint = Blueprint("generate")

    @blueprint.route("/v1/generate", name="generate")
    class Generate(View):
        """Answer a record, or ``{"prompt": ..., "variables": ...}`` for short."""

        async def post(self, request: Any, **kwargs: Any) -> Any:
            if not is_ready(health):
                return _unavailable("this worker is not ready: see /readyz", code="not_ready")
            if gate.is_full:
                return _unavailable("too many requests are waiting here", code="busy")
            async with _within(deadline_s), gate:
                return await answered(await request.read())

    async def answered(body: bytes) -> web.Response:
        record = answerer.decode(_with_type(body))
        if record.model is not None and record.model not in models:
            return error_response(
                404, "no such model is configured", code="model_not_found", param="model"
            )
        id = record.id or f"http-{uuid4().hex}"
        answer = await answerer.answer(record, id=id, key=None)
        return web.Response(body=answer.response.encode(), content_type="application/json")

    return blueprint


@asynccontextmanager
async def _within(limit_s: float) -> AsyncIterator[None]:
    """End the block with ``Expired`` after ``limit_s`` seconds; other time-outs pass."""
    try:
        async with asyncio.timeout(limit_s) as timeout:
            yield
    except TimeoutError as error:
        if timeout.expired():
            raise Expired(f"no answer within {limit_s:g} s") from error
        raise


def _unavailable(message: str, *, code: str) -> web.Response:
    return error_response(503, message, code=code, headers={"Retry-After": "1"})


def _with_type(body: bytes) -> bytes:
    """Name the type that the short form leaves out; what is no such form stays as it is.

    The bytes are only added to, so that the strict decoder still sees all of them.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if isinstance(fields, dict) and "prompt" in fields and "type" not in fields:
        return b'{"type":"generate",' + body.lstrip()[1:]
    return body
