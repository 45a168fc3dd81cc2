"""`POST /v1/generate`: one record, answered while the caller waits."""

import json
from typing import Any
from uuid import uuid4

import orjson
from aiohttp import web
from faust.web import Blueprint, View

from streamapp.llm.chunks import give_whole
from streamapp.processors.request_handler import RequestHandler
from streamapp.records.framing import without_mark
from streamapp.records.request import Request
from streamapp.web.admission import Admission
from streamapp.web.events import ChunksSent, EventStream
from streamapp.web.keys import key_of
from streamapp.web.openai.cache_wish import CacheWish
from streamapp.web.tenancy import owned


def generate(*, handler: RequestHandler, admission: Admission) -> Blueprint:
    """Return the view."""
    blueprint = Blueprint("generate")

    @blueprint.route("/v1/generate", name="generate")
    class Generate(View):
        """Answer a record, or ``{"prompt": ..., "variables": ...}`` for short.

        A record with ``"stream": true`` is answered as events: ``chunk`` with the text as it is
        written, then ``response`` with the whole record, or ``error``.
        """

        async def post(self, request: web.Request, **kwargs: Any) -> Any:
            async with EventStream(request) as stream, admission.admitted(request) as body:
                record = owned(handler.decode(with_type(body)), key_of(request))
                record = CacheWish.of(request).applied(record)
                admission.check(record)
                id = record.id or f"http-{uuid4().hex}"
                if not record.stream:
                    answer = await handler.answer(record, id=id, key=None)
                    return web.Response(
                        body=answer.response.encode(), content_type="application/json"
                    )
                await send_chunks(stream, record, id=id)
            return await stream.end()

    async def send_chunks(stream: EventStream, record: Request, *, id: str) -> None:
        async def send(text: str) -> None:
            await stream.send(orjson.dumps({"text": text}), event="piece")

        chunks = ChunksSent(send)
        answer = await handler.answer(record, id=id, key=None, chunks=chunks)
        if not chunks.any:
            await give_whole(chunks, answer.response.output)
        await stream.send(answer.response.encode(), event="response")

    return blueprint


def with_type(body: bytes) -> bytes:
    """Name the type that the short form leaves out; what is no such form stays as it is.

    The bytes are only added to, so that the strict decoder still sees all of them.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if isinstance(fields, dict) and "prompt" in fields and "type" not in fields:
        return b'{"type":"generate",' + without_mark(body).lstrip()[1:]
    return body
