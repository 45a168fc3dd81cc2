"""``embed``: texts, or their tokens, as vectors."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag

from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.request import Request
from streamapp.records.whole import WHOLE, as_whole

Text = Annotated[str, Field(min_length=1)]
Token = Annotated[int, Field(ge=0, lt=2**31)]
Tokens = Annotated[list[Token], Field(min_length=1, fail_fast=True)]


def _kind(value: Any) -> str:
    return "tokens" if isinstance(value, list) else "text"


Input = Annotated[
    Annotated[Text, Tag("text")] | Annotated[Tokens, Tag("tokens")], Discriminator(_kind)
]


def as_inputs(value: Any) -> Any:
    """Return one text, or the tokens of one, as a list of one."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and type(value[0]) in (int, float):
        return [_as_tokens(value)]
    return [_as_tokens(one) for one in value] if isinstance(value, list) else value


def _as_tokens(value: Any) -> Any:
    if isinstance(value, list) and float in map(type, value):
        return [as_whole(token) for token in value]
    return value


Texts = Annotated[list[Text], Field(min_length=1)]
TokenLists = Annotated[list[Tokens], Field(min_length=1)]
Inputs = Annotated[
    list[Input],
    Field(min_length=1, fail_fast=True),
    BeforeValidator(as_inputs, json_schema_input_type=Text | Texts | Tokens | TokenLists),
]


#: Of a vector.
Dimensions = Annotated[int, Field(gt=0, le=65_536), WHOLE]


class Embed(Request, type="embed"):
    """One text or several, or their tokens; it takes no prompt.

    Attributes:
        dimensions: Length of the vectors, for models that can shorten them.
        user: Whose question it is, for the provider.
    """

    prompt: None = None
    input: Inputs
    dimensions: Dimensions | None = None
    user: str | None = Field(default=None, max_length=512)

    def parameters(self) -> dict[str, Any]:
        """Return what is set besides the inputs, by OpenAI's names."""
        found = {"dimensions": self.dimensions, "user": self.user}
        return {name: value for name, value in found.items() if value}


@processor(Embed)
async def embed(request: Embed, llm: LLMClient) -> Any:
    """Return one vector per input, in their order."""
    return await llm.embed(request.input, parameters=request.parameters())
