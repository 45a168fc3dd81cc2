"""OpenAI's bodies for embeddings, to ``embed`` records and back."""

import base64
import struct
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from streamapp.processors.embed import Dimensions, Embed, Inputs
from streamapp.records.response import Response
from streamapp.records.sampling import EMPTY_IS_ABSENT
from streamapp.web.openai.cache_wish import CacheWish
from streamapp.web.openai.chat_answer import paid_usage
from streamapp.web.openai.chat_request import ModelName


class EmbeddingsRequest(BaseModel):
    """The body of ``POST /v1/embeddings``; null and empty mean absent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[ModelName | None, EMPTY_IS_ABSENT] = None
    input: Inputs
    encoding_format: Annotated[Literal["float", "base64"] | None, EMPTY_IS_ABSENT] = None
    dimensions: Dimensions | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    cache: bool | None = None

    def record(self, wish: CacheWish) -> Embed:
        """Return the ``embed`` record that asks for the same.

        Args:
            wish: What the request's headers say of the cache; vectors are repeatable.
        """
        is_shared, ttl_s = wish.decided(self.cache, is_repeatable=True)
        return Embed(
            type=Embed.record_type,
            model=self.model,
            input=self.input,
            dimensions=self.dimensions,
            user=self.user,
            cache=is_shared,
            cache_ttl_s=ttl_s,
        )


class Embedding(TypedDict):
    """One vector, as numbers or packed in base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class InputTokens(TypedDict):
    """OpenAI's ``usage`` of embeddings."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(TypedDict):
    """A vector per input, in their order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: InputTokens


def embeddings(response: Response, *, as_base64: bool) -> Embeddings:
    """Return the vectors, in the order of the inputs."""
    data: list[Embedding] = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _packed(vector) if as_base64 else vector,
        }
        for index, vector in enumerate(response.output)
    ]
    tokens = paid_usage(response).input_tokens
    return {
        "object": "list",
        "data": data,
        "model": response.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _packed(vector: Sequence[float]) -> str:
    """Return the numbers as OpenAI packs them: little-endian singles, in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
