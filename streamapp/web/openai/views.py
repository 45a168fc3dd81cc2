"""The views of OpenAI's paths."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any
from uuid import uuid4

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.processors.request_handler import RequestHandler
from streamapp.records import exact_json
from streamapp.records.codec import parse
from streamapp.web.admission import Admission
from streamapp.web.bodies import read
from streamapp.web.events import EventStream
from streamapp.web.keys import key_of
from streamapp.web.openai.answers import Answers, answered
from streamapp.web.openai.cache_wish import CacheWish
from streamapp.web.openai.chat_answer import chat_completion
from streamapp.web.openai.chat_request import ChatCompletionRequest
from streamapp.web.openai.chat_stream import CompletionChunks, send_chunks
from streamapp.web.openai.embeddings import EmbeddingsRequest, embeddings
from streamapp.web.openai.models import model as model_card
from streamapp.web.responses import json_response
from streamapp.web.tenancy import owned


def openai(
    *,
    handler: RequestHandler,
    admission: Admission,
    models: Collection[str],
    pass_through: Mapping[str, frozenset[str]] | None = None,
    now: Callable[[], float] = time.time,
) -> Blueprint:
    """Return the views of chat completions, embeddings and models.

    Args:
        handler: Answers the records that the bodies become.
        admission: The door of everything that is answered synchronously.
        models: The names of the configured routes.
        pass_through: By route, the fields besides OpenAI's that one of its targets takes.
        now: Wall clock, seconds since the epoch.
    """
    blueprint = Blueprint("openai")
    started_at = now()
    answers = Answers(handler)
    passed = {model: names for model, names in (pass_through or {}).items() if names}

    @blueprint.route("/v1/chat/completions", name="chat_completions")
    class ChatCompletions(View):
        """Continue a conversation, whole or as it is written."""

        async def post(self, request: web.Request, **kwargs: Any) -> Any:
            id = f"chatcmpl-{uuid4().hex}"
            async with EventStream(request) as stream, admission.admitted(request) as raw:
                raw, extra = without_extra(raw, passed)
                body = read(ChatCompletionRequest, raw)
                key = key_of(request)
                key.check_model(body.model)
                admission.check_model(body.model)
                made = body.records(CacheWish.of(request), extra=extra)
                records = [owned(record, key) for record in made]
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
                await send_chunks(answers, stream, chunks, records, id=id)
            return await stream.end()

    @blueprint.route("/v1/embeddings", name="embeddings")
    class Embeddings(View):
        """Turn texts, or their tokens, into vectors."""

        async def post(self, request: web.Request, **kwargs: Any) -> Any:
            async with admission.admitted(request) as raw:
                body = read(EmbeddingsRequest, raw)
                record = owned(body.record(CacheWish.of(request)), key_of(request))
                admission.check_model(body.model)
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


def without_extra(raw: bytes, passed: Mapping[str, frozenset[str]]) -> tuple[bytes, dict[str, Any]]:
    """Return the body without the fields that the route's targets take besides OpenAI's, and those.

    Args:
        raw: Strict JSON, or what the reader refuses later.
        passed: By route, the names of those fields.
    """
    if not passed:
        return raw, {}
    fields = parse(raw)
    names = passed.get(fields.get("model") or "default", frozenset())
    extra = {name: fields.pop(name) for name in names & fields.keys()}
    return (exact_json.dumps(fields), extra) if extra else (raw, {})
