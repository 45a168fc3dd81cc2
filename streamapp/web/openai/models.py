"""The configured routes as OpenAI's models."""

from typing import Literal

from typing_extensions import TypedDict


class ModelCard(TypedDict):
    """A configured route."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: Literal["streamapp"]


class ModelList(TypedDict):
    """All configured routes."""

    object: Literal["list"]
    data: list[ModelCard]


def model(name: str, *, created: float) -> ModelCard:
    """Return a configured route as one of OpenAI's models."""
    return {"id": name, "object": "model", "created": int(created), "owned_by": "streamapp"}
