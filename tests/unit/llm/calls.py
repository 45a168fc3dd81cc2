"""Factories of calls and errors."""

import time
from typing import Any

from streamapp.errors import GarbledAnswer, ProviderTimeout, ProviderUnavailable, RateLimited
from streamapp.llm.completion import Call
from streamapp.llm.deadline import Deadline

LABELS = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["good", "bad"]}},
    "required": ["label"],
    "additionalProperties": False,
}


def chat(text: str = "hello", *, deadline_s: float = 30.0, **fields: Any) -> Call:
    fields.setdefault("messages", [{"role": "user", "content": text}])
    fields.setdefault("deadline", Deadline(deadline_s, time.monotonic))
    return Call(model="m", **fields)


def embeddings(*inputs: str) -> Call:
    deadline = Deadline(30, time.monotonic)
    return Call(operation="embeddings", model="m", inputs=inputs, deadline=deadline)


def unavailable(**fields: Any) -> ProviderUnavailable:
    return ProviderUnavailable("fake: HTTP 503", provider="fake", status=503, **fields)


def reset() -> ProviderUnavailable:
    return ProviderUnavailable("fake: ClientConnectionResetError", provider="fake")


def late() -> ProviderTimeout:
    return ProviderTimeout("fake: late", provider="fake")


def rate_limited(retry_after_s: float | None = None) -> RateLimited:
    return RateLimited("fake: HTTP 429", provider="fake", retry_after_s=retry_after_s)


def garbled(status: int = 200) -> GarbledAnswer:
    return GarbledAnswer("fake: not JSON", provider="fake", status=status)
