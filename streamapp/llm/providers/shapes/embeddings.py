"""The request and the answer of ``POST /embeddings``."""

import base64
import binascii
import math
import struct
from typing import Any

from streamapp.llm.attempt import refused
from streamapp.llm.completion import Call, Completion
from streamapp.llm.providers.bodies import decode_any, garbled
from streamapp.llm.providers.refusals.reading import error_within
from streamapp.llm.providers.shapes.chat_answer import error_in
from streamapp.llm.providers.shapes.usage import usage_of


def embeddings_body(call: Call) -> dict[str, Any]:
    """Return the body of a request."""
    return {
        **call.parameters,
        "model": call.model,
        "input": call.inputs,
        "encoding_format": "float",
    }


def embeddings_completion(body: bytes, call: Call, *, provider: str) -> Completion:
    """Read an answer: one vector per input, in their order.

    What has no index stands at its place, and so do several that all have index 0.

    Raises:
        GarbledAnswer: The body does not hold a vector for each input.
        ProviderError: It holds an error in place of vectors.
    """
    answer = decode_any(body, provider)
    if error := error_in(answer):
        refused()
        raise error_within(error, provider=provider)
    try:
        items = list(answer["data"])
        places = [item.get("index") for item in items]
        places = [at if place is None else place for at, place in enumerate(places)]
        if not any(places):
            places = list(range(len(items)))
        vectors = [_vector(item["embedding"]) for item in items]
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise garbled("no list of vectors", provider) from error
    by_place = {place: vector for place, vector in zip(places, vectors, strict=True)}
    ordered = [by_place.get(place) for place in range(len(call.inputs))]
    if len(vectors) != len(call.inputs) or not all(map(_is_vector, ordered)):
        raise garbled("not one vector for each input", provider)
    model = answer.get("model")
    return Completion(
        output=ordered,
        model=model if isinstance(model, str) and model else call.model,
        provider=provider,
        usage=usage_of(answer, is_read_only=True),
        finish_reason=None,
    )


def _vector(value: Any) -> Any:
    """Return a vector, also one in base64 that was not asked for."""
    if not isinstance(value, str):
        return value
    try:
        packed = base64.b64decode(value, validate=True)
        vector = list(struct.unpack(f"<{len(packed) // 4}f", packed))
    except (binascii.Error, struct.error) as error:
        raise ValueError("no base64") from error
    if not all(map(math.isfinite, vector)):
        raise ValueError("no finite numbers")
    return vector


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and {type(n) for n in value} <= {int, float}
