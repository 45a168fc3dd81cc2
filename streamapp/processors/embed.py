"""``embed``: texts as vectors."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.request import Request
from streamapp.records.sampling import as_list

Text = Annotated[str, Field(min_length=1)]


class Embed(Request, type="embed"):
    """One text or several; it takes no prompt."""

    prompt: None = None
    input: Annotated[
        list[Text],
        Field(min_length=1, fail_fast=True),
        BeforeValidator(as_list, json_schema_input_type=Text | list[Text]),
    ]


@processor(Embed)
async def embed(request: Embed, llm: LLMClient) -> Any:
    """Return one vector per text, in their order."""
    return await llm.embed(request.input)
