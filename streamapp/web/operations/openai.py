"""The operations of OpenAI's paths."""

from streamapp.web.openai.chat_answer import ChatCompletion
from streamapp.web.openai.chat_request import ChatCompletionRequest
from streamapp.web.openai.completion_answer import TextCompletion
from streamapp.web.openai.completion_request import CompletionRequest
from streamapp.web.openai.embeddings import Embeddings, EmbeddingsRequest
from streamapp.web.openai.models import ModelCard, ModelList
from streamapp.web.openai.responses.answer import ResponseObject
from streamapp.web.openai.responses.request import ResponsesRequest
from streamapp.web.operations.operation import ANSWERING, INFER, Operation

OPERATIONS = (
    Operation(
        "POST",
        "/v1/chat/completions",
        "Continue a conversation, as OpenAI does",
        ChatCompletion,
        body=ChatCompletionRequest,
        streams=True,
        errors=ANSWERING,
        access=INFER,
    ),
    Operation(
        "POST",
        "/v1/completions",
        "Continue one text or several, as OpenAI does",
        TextCompletion,
        body=CompletionRequest,
        streams=True,
        errors=ANSWERING,
        access=INFER,
    ),
    Operation(
        "POST",
        "/v1/responses",
        "Answer items with items, as OpenAI does; nothing is stored",
        ResponseObject,
        body=ResponsesRequest,
        streams=True,
        errors=ANSWERING,
        access=INFER,
    ),
    Operation(
        "POST",
        "/v1/embeddings",
        "Turn texts, or their tokens, into vectors, as OpenAI does",
        Embeddings,
        body=EmbeddingsRequest,
        errors=ANSWERING,
        access=INFER,
    ),
    Operation("GET", "/v1/models", "List the configured routes", ModelList),
    Operation(
        "GET",
        "/v1/models/{model}",
        "Tell of one configured route",
        ModelCard,
        errors=(404,),
    ),
)
