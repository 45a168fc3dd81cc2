"""``summarize``: a text in fewer words."""

from typing import Annotated, Any

from pydantic import Field

from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.request import Request
from streamapp.records.whole import WHOLE


class Summarize(Request, type="summarize"):
    """A text to shorten."""

    text: str = Field(min_length=1)
    max_words: Annotated[int, Field(ge=1, le=100_000), WHOLE] = 100


@processor(Summarize, prompt="summarize")
async def summarize(request: Summarize, llm: LLMClient) -> Any:
    """Return the summary."""
    return await llm.generate({"text": request.text, "max_words": request.max_words})
