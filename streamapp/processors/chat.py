"""``chat``: messages as OpenAI's API takes them, sent as they are."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Discriminator, Field, JsonValue, Tag
from typing_extensions import TypedDict

from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.request import Request
from streamapp.records.sampling import Sampling

_STRICT = ConfigDict(extra="forbid")

# Typed dictionaries, not models: what is validated is already what is sent.


class TextPart(TypedDict):
    """Text within a message."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]  # read by pydantic; no key

    type: Literal["text"]
    text: str


class ImageURL(TypedDict):
    """Where the provider finds an image: an address or a data URL."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    url: str
    detail: NotRequired[Literal["auto", "low", "high"]]


class ImagePart(TypedDict):
    """An image within a message."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["image_url"]
    image_url: ImageURL


Part = Annotated[TextPart | ImagePart, Discriminator("type")]


def _content(value: Any) -> str:
    return "parts" if isinstance(value, list) else "text"


class ChatMessage(TypedDict):
    """One turn."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[
        Annotated[str, Tag("text")]
        | Annotated[list[Part], Field(min_length=1, fail_fast=True), Tag("parts")],
        Discriminator(_content),
    ]
    name: NotRequired[str]


class ResponseFormat(TypedDict):
    """The shape of the answer, for the provider to keep."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NotRequired[dict[str, JsonValue]]


class Chat(Request, Sampling, type="chat"):
    """A conversation to continue; it takes no prompt of the registry."""

    prompt: None = None
    messages: list[ChatMessage] = Field(min_length=1, fail_fast=True)
    response_format: ResponseFormat | None = None

    def parameters(self) -> dict[str, Any]:
        """Return what is set besides the messages, by OpenAI's names."""
        shape = {"response_format": self.response_format} if self.response_format else {}
        return {**self.sampling(), **shape}


@processor(Chat)
async def chat(request: Chat, llm: LLMClient) -> Any:
    """Return the model's next turn."""
    return await llm.chat(request.messages, parameters=request.parameters())
