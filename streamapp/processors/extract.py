"""``extract``: an object of the record's own JSON Schema, read from a text."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError, to_json

from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.request import Request


def _of_an_object(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type", "object") != "object":
        raise PydanticCustomError("schema", "must describe an object: set its type to 'object'")
    return schema


class Extract(Request, type="extract"):
    """A text and the JSON Schema of what to find in it."""

    text: str = Field(min_length=1)
    # `schema` is a name of pydantic's own. The rest of it is checked where it is compiled.
    schema_: Annotated[dict[str, Any], AfterValidator(_of_an_object)] = Field(alias="schema")


@processor(Extract, prompt="extract")
async def extract(request: Extract, llm: LLMClient) -> Any:
    """Return an object that is valid against the record's schema."""
    schema = {"type": "object", **request.schema_}
    variables = {"text": request.text, "schema": to_json(schema).decode()}
    return await llm.generate(variables, schema=schema)
