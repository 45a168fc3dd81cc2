"""The response record: exactly one per answered request."""

from datetime import datetime
from decimal import Decimal
from functools import partial
from operator import is_
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic_core import PydanticSerializationError

from streamapp.errors import InternalError

#: Money on the wire: digits and a point, never an exponent.
Dollars = Annotated[Decimal, PlainSerializer(lambda usd: format(usd, "f"), return_type=str)]


#: By C, since it is asked for each record.
_is_none = partial(is_, None)


class PromptUse(BaseModel):
    """Which prompt made the answer; ``label`` is None where a version was named."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: int
    label: str | None = None


class Usage(BaseModel):
    """Tokens of all provider attempts that were billed for the record.

    Attributes:
        reasoning_tokens: Those of ``output_tokens`` that a model thought with before its answer.
        cached_input_tokens: Those of ``input_tokens`` that the provider itself had cached, and
            sells for less.
        estimated: Whether some of it is guessed: the provider did not say how many there were.
    """

    model_config = ConfigDict(frozen=True)

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it is equal to `NO_USAGE`: nothing was counted or guessed."""
        return not (
            self.input_tokens
            or self.output_tokens
            or self.cached_input_tokens
            or self.reasoning_tokens
            or self.estimated
        )

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum of both."""
        if self is NO_USAGE:
            return other
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            estimated=self.estimated or other.estimated,
        )


NO_USAGE = Usage()


class Response(BaseModel):
    """One answer as consumers read it.

    Attributes:
        id: The record's own, or topic, partition and offset, joined by ``-``.
        type: The record's.
        output: Text, an object or a list of vectors, by ``type``.
        model: The one that answered, as the provider names it; the route where no call was made.
        provider: As in ``[providers.NAME]``.
        prompt: Which prompt asked; ``label`` is None where a version was named, all of it where
            the type has no prompt.
        tool_calls: What the model wants called, by OpenAI's shape; left out without any.
        missing_tools: Names and patterns of tools that the model was to have, and that no MCP
            server had: it answered without them; left out where none is missing.
        logprobs: OpenAI's, of the answer's tokens; left out where they were not asked for.
        usage: Tokens of all attempts that were billed for this record; 0 from the cache.
        original_usage: Tokens of the answer when it was paid for; not on the wire.
        cost_usd: US dollars as a decimal string; None where the price is unknown.
        cached: Whether another call paid for the answer.
        attempts: Provider attempts, retries and re-asks included; 0 from the cache.
        duration_s: Active seconds from the first attempt to the outcome, with the wait for tools
            before. What waits for a limit, a budget, an open breaker or a provider that is down
            does not count: ``created_at`` tells when it was answered.
        finish_reason: Why the model ended, as OpenAI says it: ``stop``, ``length``, ...
        metadata: The record's.
        created_at: When it was answered, UTC.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    type: str
    status: Literal["ok"] = "ok"
    output: Any
    model: str
    provider: str
    prompt: PromptUse | None = None
    tool_calls: list[dict[str, Any]] | None = Field(default=None, exclude_if=_is_none)
    missing_tools: list[str] | None = Field(default=None, exclude_if=_is_none)
    logprobs: dict[str, Any] | None = Field(default=None, exclude_if=_is_none)
    usage: Usage = NO_USAGE
    original_usage: Usage | None = Field(default=None, exclude=True)
    cost_usd: Dollars | None = None
    cached: bool = False
    attempts: int = 1
    duration_s: float = 0.0
    finish_reason: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime

    def encode(self) -> bytes:
        """Return the record's JSON, UTF-8.

        Raises:
            InternalError: A processor returned what JSON cannot carry, such as half a surrogate.
        """
        try:
            return self.__pydantic_serializer__.to_json(self)
        except PydanticSerializationError:
            problem = f"the processor of '{self.type}' returned what is not JSON"
        raise InternalError(problem)  # outside of the block: the cause may hold the output
