"""The views of OpenAI's paths."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any
from uuid import uuid4

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.processors.request_handler import RequestHandler
from streamapp.web.admission import Admission
from streamapp.web.events import EventStream
from streamapp.web.keys import key_of
from streamapp.web.openai.answers import Answers, answered, hit_header
from streamapp.web.openai.cache_wish import CacheWish
from streamapp.web.openai.chat_answer import chat_completion
from streamapp.web.openai.chat_request import ChatCompletionRequest
from streamapp.web.openai.chat_stream import CompletionChunks
from streamapp.web.openai.choices import send_choices
from streamapp.web.openai.completion_answer import TextChunks, text_completion
from streamapp.web.openai.completion_request import CompletionRequest
from streamapp.web.openai.embeddings import EmbeddingsRequest, embeddings
from streamapp.web.openai.intake import Intake
from streamapp.web.openai.models import model as model_card
from streamapp.web.openai.responses.answer import answered_object, asked_object, output_of
from streamapp.web.openai.responses.request import ResponsesRequest
from streamapp.web.openai.responses.stream import ResponseEvents
from streamapp.web.responses import json_response
from streamapp.web.tenancy import owned, owned_all


def openai(
    *,
    handler: RequestHandler,
    admission: Admission,
    models: Collection[str],
    pass_through: Mapping[str, frozenset[str]] | None = None,
    now: Callable[[], float] = time.time,
) -> Blueprint:
    """Return the views of chats, completions, responses, embeddings and models.

    Args:
        handler: Answers the records that the bodies become.
        admission: The admission of everything that is answered synchronously.
        models: The names of the configured routes.
        pass_through: By route, the fields besides OpenAI's that one of its targets takes.
        now: Wall clock, seconds since the epoch.
    """
    blueprint = Blueprint("openai")
    started_at = now()
    answers = Answers(handler)
    intake = Intake(admission, pass_through=pass_through)

    @blueprint.route("/v1/chat/completions", name="chat_completions")
    class ChatCompletions(View):
        """Continue a conversation, whole or as it is written."""

        async def post(self, request: web.Request, **kwargs: Any) -> Any:
            id = f"chatcmpl-{uuid4().hex}"
            async with (
                EventStream(request) as stream,
                intake.taken(request, ChatCompletionRequest) as (body, extra),
            ):
                made = body.records(CacheWish.of(request), extra=extra)
                records = owned_all(made, key_of(request))
                if not body.stream:
                    responses = await answers.of(records, id=id)
                    found = chat_completion(responses, id=id, has_functions=body.has_functions)
                    return answered(found, responses)
                chunks = CompletionChunks(
                    id=id,
                    model=body.model,
                    created=now(),
                    with_usage=body.with_usage,
                    has_functions=body.has_functions,
                )
                await send_choices(answers, stream, chunks, records, id=id)
            return await stream.end()

    @blueprint.route("/v1/completions", name="completions")
    class Completions(View):
        """Continue one text or several, by the shape that came before chats."""

        async def post(self, request: web.Request, **kwargs: Any) -> Any:
            id = f"cmpl-{uuid4().hex}"
            async with (
                EventStream(request) as stream,
                intake.taken(request, CompletionRequest) as (body, extra),
            ):
                made = body.records(CacheWish.of(request), extra=extra)
                records = owned_all(made, key_of(request))
                if not body.stream:
                    responses = await answers.of(records, id=id)
                    return answered(
                        text_completion(responses, id=id, echoed=body.echoed), responses
                    )
                chunks = TextChunks(
                    id=id,
                    model=body.model,
                    created=now(),
                    with_usage=body.with_usage,
                    echoed=body.echoed,
                )
                await send_choices(answers, stream, chunks, records, id=id)
            return await stream.end()

    @blueprint.route("/v1/responses", name="responses")
    class Responses(View):
        """Answer items with items; nothing is stored."""

        async def post(self, request: web.Request, **kwargs: Any) -> Any:
            id = f"resp_{uuid4().hex}"
            async with (
                EventStream(request) as stream,
                intake.taken(request, ResponsesRequest) as (body, extra),
            ):
                made = body.record(CacheWish.of(request), extra=extra)
                records = [owned(made, key_of(request))]
                asked = asked_object(body, id=id, created=now())
                if not body.stream:
                    (response,) = responses = await answers.of(records, id=id)
                    output = output_of(response, id=id)
                    return answered(answered_object(asked, response, output), responses)
                events = ResponseEvents(stream, asked, on_hit=hit_header(stream, records))
                stream.on_failure = events.failed
                (response,) = await answers.of(records, id=id, chunks=lambda _: events.sent)
                await events.end(response)
            return await stream.end()

    @blueprint.route("/v1/embeddings", name="embeddings")
    class Embeddings(View):
        """Turn texts, or their tokens, into vectors."""

        async def post(self, request: web.Request, **kwargs: Any) -> Any:
            async with intake.taken(request, EmbeddingsRequest, has_extra=False) as (body, _):
                record = owned(body.record(CacheWish.of(request)), key_of(request))
                responses = await answers.of([record], id=f"embd-{uuid4().hex}")
                as_base64 = body.encoding_format == "base64"
                return answered(embeddings(responses[0], as_base64=as_base64), responses)

    @blueprint.route("/v1/models", name="models")
    class Models(View):
        """List the configured routes."""

        async def get(self, request: web.Request, **kwargs: Any) -> Any:
            allowed = key_of(request).models
            names = [name for name in models if allowed is None or name in allowed]
            data = [model_card(name, created=started_at) for name in names]
            return json_response({"object": "list", "data": data})

    @blueprint.route("/v1/models/{model}", name="model")
    class Model(View):
        """Tell of one configured route."""

        async def get(self, request: web.Request, model: str, **kwargs: Any) -> Any:
            key_of(request).check_model(model)
            admission.check_model(model)
            return json_response(model_card(model, created=started_at))

    return blueprint
