"""Clients that send every field, empty where they mean nothing by it."""

from typing import Any

import pytest
from pydantic import BaseModel

from streamapp.web.openai.chat_request import ChatCompletionRequest
from streamapp.web.openai.completion_request import CompletionRequest
from streamapp.web.openai.embeddings import EmbeddingsRequest
from streamapp.web.openai.responses.request import ResponsesRequest

BODIES: dict[type[BaseModel], dict[str, Any]] = {
    ChatCompletionRequest: {"messages": [{"role": "user", "content": "hello"}]},
    CompletionRequest: {"prompt": "hello"},
    EmbeddingsRequest: {"input": "hello"},
    ResponsesRequest: {"input": "hello"},
}
TEXTS = {
    *("tool_choice", "function_call", "reasoning_effort", "verbosity", "service_tier", "user"),
    *("prompt_cache_key", "prompt_cache_retention", "safety_identifier", "stop", "suffix"),
    *("encoding_format", "instructions", "truncation", "previous_response_id"),
}
LISTS = {"tools", "functions", "stop", "modalities", "include"}
OBJECTS = {
    *("tool_choice", "function_call", "response_format", "prediction", "logit_bias", "metadata"),
    *("stream_options", "audio", "web_search_options", "text", "reasoning", "prompt"),
}
EMPTY: dict[str, Any] = {"null": None, "text": "", "list": [], "object": {}}
KINDS = {"text": TEXTS, "list": LISTS, "object": OBJECTS}


def fields(body: type[BaseModel], kind: str) -> list[str]:
    """Return the optional fields which may be empty in this way."""
    optional = set(body.model_fields) - {*BODIES[body], "model"}
    return sorted(optional if kind == "null" else optional & KINDS[kind])


@pytest.mark.parametrize("kind", EMPTY)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_empty_fields_mean_absent(body: type[BaseModel], kind: str) -> None:
    """A field of nothing is accepted, and asks for the same as one that is left out."""
    bare = asked(body.model_validate(BODIES[body]))

    for name in fields(body, kind):
        assert asked(body.model_validate(BODIES[body] | {name: EMPTY[kind]})) == bare


def asked(body: BaseModel) -> dict[str, Any]:
    """Return what the body asks for."""
    return {name: value for name, value in body.model_dump(exclude_none=True).items() if value}
