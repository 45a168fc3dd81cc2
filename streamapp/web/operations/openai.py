"""OpenAI's paths."""

from streamapp.web import openai_shapes as shapes
from streamapp.web.operations.operation import ANSWERING, Operation

OPERATIONS = (
    Operation(
        "POST",
        "/v1/chat/completions",
        "Continue a conversation, as OpenAI does",
        shapes.ChatCompletion,
        body=shapes.ChatCompletionRequest,
        streams=True,
        errors=ANSWERING,
    ),
    Operation(
        "POST",
        "/v1/embeddings",
        "Turn texts into vectors, as OpenAI does",
        shapes.Embeddings,
        body=shapes.EmbeddingsRequest,
        errors=ANSWERING,
    ),
    Operation("GET", "/v1/models", "List the configured routes", shapes.ModelList),
    Operation(
        "GET",
        "/v1/models/{model}",
        "Tell of one configured route",
        shapes.ModelCard,
        errors=(404,),
    ),
)
