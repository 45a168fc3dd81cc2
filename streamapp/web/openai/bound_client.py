"""OpenAI's own client bound to one record: its requests are answered within the process.

Whatever is built on that client (Pydantic AI, Instructor, ...) calls as `LLMClient.chat` does: by
the record's route, limits, retries, cache, budgets and durable steps. There is no socket.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from streamapp.errors import Failure, InvalidRecord
from streamapp.llm.client import LLMClient
from streamapp.llm.completion import Completion
from streamapp.llm.routing.routes import DEFAULT, Routes
from streamapp.processors.chat import Chat
from streamapp.records.problems import describe
from streamapp.records.response import Response
from streamapp.web.errors import error_body, failure_body, failure_status
from streamapp.web.openai.cache_wish import CacheWish
from streamapp.web.openai.calls_sent import CallsSent
from streamapp.web.openai.chat_answer import chat_completion, text_of
from streamapp.web.openai.chat_request import ChatCompletionRequest
from streamapp.web.openai.chat_stream import CompletionChunks
from streamapp.web.openai.choices import DONE
from streamapp.web.openai.embeddings import EmbeddingsRequest, embeddings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

M = TypeVar("M", bound=BaseModel)

#: A name that no resolver knows: nothing is ever sent there.
_BASE_URL = "http://streamapp.invalid/v1"
_JSON = {"content-type": "application/json"}
_EVENTS = {"content-type": "text/event-stream; charset=utf-8"}


def bound_client(llm: LLMClient, routes: Routes) -> "AsyncOpenAI":
    """Return OpenAI's client whose calls are those of a record; it needs no closing.

    Args:
        llm: The record's client. It is the model ``default``; other routes go by their names.
        routes: The configured ones.
    """
    # Here, since the package takes a second to import and most workers never need it.
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    # `httpx`, or `httpx2` since openai 3.
    package = DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0]
    transport = _transport(_Door(llm, routes), import_module(package))
    http = DefaultAsyncHttpxClient(transport=transport, trust_env=False)
    return AsyncOpenAI(api_key="none", base_url=_BASE_URL, max_retries=0, http_client=http)


def _transport(door: "_Door", httpx: Any) -> Any:
    """Return a transport of the HTTP package that OpenAI's is built on."""

    class InProcess(httpx.AsyncBaseTransport):  # type: ignore[misc]
        """Answers requests by the record's client."""

        async def handle_async_request(self, request: Any) -> Any:
            """Return the response; raises what must end the worker or the record's task."""
            raw = await request.aread()
            path = request.url.path.removeprefix("/v1/")
            try:
                content, headers = await door.answer(path, raw)
            except Failure as failure:
                # The SDK's error holds the response, and the router finds the failure in it.
                return httpx.Response(
                    failure_status(failure),
                    headers=_JSON | {"x-should-retry": "false"},
                    content=orjson.dumps(failure_body(failure)),
                    extensions={"streamapp_failure": failure},
                )
            except _NotServed as refusal:
                return httpx.Response(
                    404,
                    headers=_JSON,
                    content=orjson.dumps(error_body(404, str(refusal), code=refusal.code)),
                )
            return httpx.Response(200, headers=headers, content=content)

    return InProcess()


class _NotServed(Exception):
    """A path or model that there is not."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class _Door:
    """Answers the bodies of one record's client."""

    def __init__(self, llm: LLMClient, routes: Routes) -> None:
        self._llm = llm
        self._routes = routes

    async def answer(self, path: str, raw: bytes) -> tuple[bytes, Mapping[str, str]]:
        """Return the body of the response and its headers."""
        if path == "chat/completions":
            return await self._chat(_read(ChatCompletionRequest, raw))
        if path == "embeddings":
            return await self._embeddings(_read(EmbeddingsRequest, raw))
        served = "chat completions and embeddings"
        raise _NotServed(f"there is no '{path}' here: use {served}", "not_found")

    async def _chat(self, body: ChatCompletionRequest) -> tuple[bytes, Mapping[str, str]]:
        route, provider = self._route(body.model)
        records = body.records(CacheWish(), extra={})
        scope = self._llm.calls.steps.scope
        made = await asyncio.gather(*(self._one(record, route, provider) for record in records))
        responses = [_response(completion) for completion in made]
        id = f"chatcmpl-{self._llm.id}-{scope.prefix}{scope.begun}"
        if not body.stream:
            found = chat_completion(responses, id=id, has_functions=body.has_functions)
            return orjson.dumps(found), _JSON
        chunks = CompletionChunks(
            id=id,
            model=body.model,
            created=responses[0].created_at.timestamp(),
            with_usage=body.with_usage,
            has_functions=body.has_functions,
        )
        lines: list[bytes] = []
        for place, response in enumerate(responses):
            lines += chunks.begin(place)
            if text := text_of(response.output or ""):
                lines += chunks.text(text, place)
            for delta in CallsSent().rest(response.tool_calls or ()):
                lines += chunks.call(delta, place)
            lines.append(chunks.end(response, place))
        lines += [*chunks.usage(responses), DONE]
        return b"".join(b"data: %b\n\n" % line for line in lines), _EVENTS

    async def _one(self, record: Chat, route: str | None, provider: Any) -> Completion:
        return await self._llm.calls.complete(
            record.messages,
            parameters=record.parameters(),
            sample=record.sample,
            is_streamed=False,
            model=route,
            provider=provider,
        )

    async def _embeddings(self, body: EmbeddingsRequest) -> tuple[bytes, Mapping[str, str]]:
        record = body.record(CacheWish())
        route, provider = self._route(body.model or DEFAULT)
        completion = await self._llm.calls.embed(
            record.input, parameters=record.parameters(), model=route, provider=provider
        )
        found = embeddings(_response(completion), as_base64=body.encoding_format == "base64")
        return orjson.dumps(found), _JSON

    def _route(self, model: str) -> tuple[str | None, Any]:
        """Return a route in place of the record's, and what answers its calls; None for none."""
        if model in (DEFAULT, self._llm.calls.common.model):
            return None, None
        try:
            return model, self._routes.resolve(model)
        except InvalidRecord as error:
            raise _NotServed(str(error), "model_not_found") from None


def _read(model: type[M], raw: bytes) -> M:
    """Return a body; raises `InvalidRecord`, which names fields and never values."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        problem = describe(error, model)
    raise InvalidRecord(problem)  # outside of the block: the cause holds the values


def _response(completion: Completion) -> Response:
    """Return a completion as the response that OpenAI's shapes are made of."""
    return Response(
        id="",
        type="chat",
        output=completion.output,
        model=completion.model,
        provider=completion.provider,
        tool_calls=[dict(call) for call in completion.tool_calls] or None,
        logprobs=dict(completion.logprobs) if completion.logprobs else None,
        usage=completion.usage,
        original_usage=completion.original_usage,
        finish_reason=completion.finish_reason,
        created_at=datetime.now(UTC),
    )
