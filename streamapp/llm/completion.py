"""One call to a model and what comes back, free of any vendor's shape but OpenAI's messages."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from streamapp.llm.deadline import Deadline
from streamapp.records.response import Usage

Operation = Literal["chat", "embeddings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One provider-neutral call.

    Attributes:
        operation: OpenTelemetry's ``gen_ai.operation.name``.
        model: The model's name as the provider knows it.
        messages: OpenAI-shaped messages; empty for embeddings.
        inputs: Texts to embed; empty for chat.
        parameters: Sampling parameters by OpenAI's names (``temperature``, ``max_tokens``, ...).
        output_schema: JSON Schema the answer must fit, or None for free text.
        task: The record type and its typed fields, for the ``offline`` provider alone.
        deadline: The record's one deadline.
        on_piece: Awaited with each piece of text where the answer is streamed.
    """

    operation: Operation = "chat"
    model: str
    messages: Sequence[Mapping[str, Any]] = ()
    inputs: Sequence[str] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    output_schema: Mapping[str, Any] | None = None
    task: Mapping[str, Any] = field(default_factory=dict)
    deadline: Deadline
    on_piece: Callable[[str], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a provider answered.

    Attributes:
        output: Text for chat; a list of vectors, in the order of ``inputs``, for embeddings.
        model: The model that answered, as the provider names it.
        provider: The configured provider's name.
        attempts: Provider attempts behind this answer; 0 from a cache.
    """

    output: Any
    model: str
    provider: str
    usage: Usage = field(default_factory=Usage)
    finish_reason: str | None = "stop"
    attempts: int = 1
    cached: bool = False
