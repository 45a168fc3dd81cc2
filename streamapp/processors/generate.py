"""``generate``: any prompt of the registry, filled with the record's variables."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.prompts.reference import STORED
from streamapp.records.request import Request

MAX_NAME_CHARS = 200
_SCALARS = (str, int, float)


def _plain(value: Any) -> Any:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, _SCALARS) for item in items):
        raise PydanticCustomError("variable", "must be text, a number or a list of those")
    return value


def _stored(value: str) -> str:
    if len(value) > MAX_NAME_CHARS:
        raise PydanticCustomError("prompt", STORED)
    return value


_SCALAR: Any = {"type": ["string", "number", "boolean"]}
Variable = Annotated[
    Any,
    AfterValidator(_plain),
    WithJsonSchema({"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]}),
]


class Generate(Request, type="generate"):
    """Fills the prompt that the record names."""

    prompt: Annotated[str, AfterValidator(_stored)] = Field(min_length=1, max_length=200)
    variables: dict[str, Variable] = Field(default_factory=dict)


@processor(Generate)
async def generate(request: Generate, llm: LLMClient) -> Any:
    """Return the text; an object where the prompt has an output schema."""
    return await llm.generate(request.variables)
