"""``extract``: an object of the record's own JSON Schema, read from a text."""

from typing import Any

from pydantic import Field
from pydantic_core import to_json

from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.request import Request


class Extract(Request, type="extract"):
    """A text and the JSON Schema of what to find in it."""

    text: str = Field(min_length=1)
    # `schema` is a name of pydantic's own. The model's client checks it: it keeps the results.
    schema_: dict[str, Any] = Field(alias="schema")


@processor(Extract, prompt="extract")
async def extract(request: Extract, llm: LLMClient) -> Any:
    """Return an object that is valid against the record's schema."""
    schema = {"type": "object", **request.schema_}
    variables = {"text": request.text, "schema": to_json(schema).decode()}
    return await llm.generate(variables, schema=schema)
