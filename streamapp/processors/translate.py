"""``translate``: a text in another language."""

from typing import Any

from pydantic import Field

from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.request import Request


class Translate(Request, type="translate"):
    """A text to translate; the language by name or code, as a translator would read it."""

    text: str = Field(min_length=1)
    target_language: str = Field(min_length=1, max_length=100)


@processor(Translate, prompt="translate")
async def translate(request: Translate, llm: LLMClient) -> Any:
    """Return the translation."""
    return await llm.generate({"text": request.text, "target_language": request.target_language})
