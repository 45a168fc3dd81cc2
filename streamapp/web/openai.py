"""OpenAI's paths, so that any client of theirs works with our ``base_url`` alone."""

import time
from collections.abc import Callable, Collection
from typing import Any
from uuid import uuid4

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.llm.chunks import ChunkSink
from streamapp.processors.request_handler import RequestHandler
from streamapp.records.request import Request
from streamapp.records.response import Response
from streamapp.web import openai_shapes as shapes
from streamapp.web.admission import Admission
from streamapp.web.bodies import read
from streamapp.web.events import ChunksSent, EventStream
from streamapp.web.responses import json_response

DONE = b"[DONE]"


def openai(
    *,
    handler: RequestHandler,
    admission: Admission,
    models: Collection[str],
    now: Callable[[], float] = time.time,
) -> Blueprint:
    """Return the views of chat completions, embeddings and models.

    Args:
        handler: Answers the records that the bodies become.
        admission: The door of everything that is answered synchronously.
        models: The names of the configured routes.
        now: Wall clock, seconds since the epoch.
    """
    blueprint = Blueprint("openai")
    started_at = now()

    @blueprint.route("/v1/chat/completions", name="chat_completions")
    class ChatCompletions(View):
        """Continue a conversation, whole or as it is written."""

        async def post(self, request: web.Request, **kwargs: Any) -> Any:
            id = f"chatcmpl-{uuid4().hex}"
            async with EventStream(request) as stream, admission.admitted(request) as raw:
                body = read(shapes.ChatCompletionRequest, raw)
                admission.check_model(body.model)
                if not body.stream:
                    response = await answered(body.record(), id=id)
                    return json_response(shapes.chat_completion(response, id=id))
                await send_chunks(stream, body, id=id)
            return await stream.end()

    @blueprint.route("/v1/embeddings", name="embeddings")
    class Embeddings(View):
        """Turn texts into vectors."""

        async def post(self, request: web.Request, **kwargs: Any) -> Any:
            async with admission.admitted(request) as raw:
                body = read(shapes.EmbeddingsRequest, raw)
                admission.check_model(body.model)
                response = await answered(body.record(), id=f"embd-{uuid4().hex}")
                as_base64 = body.encoding_format == "base64"
                return json_response(shapes.embeddings(response, as_base64=as_base64))

    @blueprint.route("/v1/models", name="models")
    class Models(View):
        """List the configured routes."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            data = [shapes.model(name, created=started_at) for name in models]
            return json_response({"object": "list", "data": data})

    @blueprint.route("/v1/models/{model}", name="model")
    class Model(View):
        """Tell of one configured route."""

        async def get(self, request: web.Request, model: str, **kwargs: Any) -> Any:
            admission.check_model(model)
            return json_response(shapes.model(model, created=started_at))

    async def answered(record: Request, *, id: str, chunks: ChunkSink | None = None) -> Response:
        return (await handler.answer(record, id=id, key=None, chunks=chunks)).response

    async def send_chunks(
        stream: EventStream, body: shapes.ChatCompletionRequest, *, id: str
    ) -> None:
        with_usage = body.stream_options is not None and body.stream_options.include_usage
        chunks = shapes.CompletionChunks(
            id=id, model=body.model, created=now(), with_usage=with_usage
        )

        async def send(text: str) -> None:
            if not stream.has_begun:
                await stream.send(chunks.delta({"role": "assistant", "content": ""}))
            await stream.send(chunks.delta({"content": text}))

        sent = ChunksSent(send)
        response = await answered(body.record(), id=id, chunks=sent)
        if not sent.any:
            await send(shapes.text_of(response.output))
        for chunk in chunks.last(response):
            await stream.send(chunk)
        await stream.send(DONE)

    return blueprint
