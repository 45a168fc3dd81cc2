"""``classify``: one of the record's labels for a text."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.request import Request


def _distinct(labels: list[str]) -> list[str]:
    if len(set(labels)) < len(labels):
        raise PydanticCustomError("distinct", "must differ from each other")
    return labels


Label = Annotated[str, Field(min_length=1, max_length=200)]


class Classify(Request, type="classify"):
    """A text and the labels to choose from."""

    text: str = Field(min_length=1)
    labels: Annotated[
        list[Label],
        Field(
            min_length=2, max_length=1000, fail_fast=True, json_schema_extra={"uniqueItems": True}
        ),
        AfterValidator(_distinct),
    ]


@processor(Classify, prompt="classify")
async def classify(request: Classify, llm: LLMClient) -> Any:
    """Return ``{"label": ...}`` with one of the record's labels."""
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": request.labels}},
        "required": ["label"],
        "additionalProperties": False,
    }
    return await llm.generate({"text": request.text, "labels": request.labels}, schema=schema)
