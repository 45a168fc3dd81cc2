"""The tables of OpenAI's fields: the code's, the documentation's, and OpenAI's own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import response_create_params
from pydantic import BaseModel

from streamapp.web.openai.chat_request import ChatCompletionRequest
from streamapp.web.openai.completion_request import CompletionRequest
from streamapp.web.openai.embeddings import EmbeddingsRequest
from streamapp.web.openai.fields import FIELDS
from streamapp.web.openai.responses.request import ResponsesRequest

PAGE = Path(__file__).parents[4] / "docs" / "http.md"

#: What OpenAI's own client can send, by path.
OPENAI: Mapping[str, set[str]] = {
    "/v1/chat/completions": {
        *chat_create_params.CompletionCreateParamsNonStreaming.__annotations__,
        *chat_create_params.CompletionCreateParamsStreaming.__annotations__,
    },
    "/v1/completions": {
        *completion_create_params.CompletionCreateParamsNonStreaming.__annotations__,
        *completion_create_params.CompletionCreateParamsStreaming.__annotations__,
    },
    "/v1/responses": {
        *response_create_params.ResponseCreateParamsNonStreaming.__annotations__,
        *response_create_params.ResponseCreateParamsStreaming.__annotations__,
    },
    "/v1/embeddings": set(embedding_create_params.EmbeddingCreateParams.__annotations__),
}
BODIES: Mapping[str, type[BaseModel]] = {
    "/v1/chat/completions": ChatCompletionRequest,
    "/v1/completions": CompletionRequest,
    "/v1/embeddings": EmbeddingsRequest,
    "/v1/responses": ResponsesRequest,
}
NEEDED: Mapping[str, Mapping[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "a"}]},
    "/v1/completions": {"prompt": "a"},
    "/v1/embeddings": {"input": "a"},
    "/v1/responses": {"input": "a"},
}
#: Ours, beside OpenAI's.
OWN = {"cache"}


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_of_openai_is_in_the_table(path: str) -> None:
    """What OpenAI's client can send is told, and nothing else."""
    assert FIELDS[path].keys() == OPENAI[path]


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_is_known_by_the_body(path: str) -> None:
    """No field of the table is unknown to the code that reads it, and none is read beside it."""
    assert BODIES[path].model_fields.keys() - OWN == FIELDS[path].keys()


@pytest.mark.parametrize("path", FIELDS)
def test_documentation_has_the_same_table(path: str) -> None:
    """The page says of each field what the code does with it."""
    lines = iter(PAGE.read_text().splitlines())
    assert any(line == f"| `{path}` | | |" for line in lines)
    next(lines)
    told = []
    for line in lines:
        if not line.startswith("|"):
            break
        told.append(line)

    assert told == [f"| `{name}` | {how} | {why} |" for name, (how, why) in FIELDS[path].items()]


def _model(path: str, **fields: Any) -> BaseModel:
    return BODIES[path].model_validate({**NEEDED[path], **fields})


REFUSED = [
    (path, name)
    for path, fields in FIELDS.items()
    for name, treatment in fields.items()
    if treatment.how == "refused"
]


@pytest.mark.parametrize(("path", "name"), REFUSED)
def test_refused_field_is_refused_with_its_reason(path: str, name: str) -> None:
    """Whoever sends what is not supported learns why; nothing by it is no wish."""
    with pytest.raises(ValueError, match=r"is not supported: ") as caught:
        _model(path, **{name: {"any": "thing"}})

    assert FIELDS[path][name].why in str(caught.value)
    assert getattr(_model(path, **{name: None}), name) is None


@pytest.mark.parametrize("path", FIELDS)
@pytest.mark.parametrize("how", ["honoured", "dropped", "refused"])
def test_null_is_no_wish(path: str, how: str) -> None:
    """Each field that need not be there may be null."""
    names = [name for name, field in FIELDS[path].items() if field.how == how]

    for name in set(names) - NEEDED[path].keys() - {"model"}:
        assert getattr(_model(path, **{name: None}), name) is None


ONE_VALUE = [
    ("/v1/chat/completions", "store", True),
    ("/v1/completions", "best_of", 3),
    ("/v1/responses", "store", True),
    ("/v1/responses", "background", True),
    ("/v1/responses", "truncation", "auto"),
]


@pytest.mark.parametrize(("path", "name", "value"), ONE_VALUE)
def test_other_value_than_the_one_is_refused(path: str, name: str, value: Any) -> None:
    """A field of which one value alone means nothing here is refused with any other."""
    with pytest.raises(ValueError, match=r"is not supported: "):
        _model(path, **{name: value})
