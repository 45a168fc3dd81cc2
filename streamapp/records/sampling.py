"""Sampling parameters of a model, as OpenAI names them, in chat records and prompt files."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic_core import core_schema

from streamapp.records.whole import WHOLE, Int64, Positive


def as_list(value: Any) -> Any:
    """Return a lone text as a list of one, an empty one as none: the same on the wire."""
    if isinstance(value, str):
        return [value] if value else []
    return value


def is_absent(value: Any) -> bool:
    """Whether a client that sends this means nothing by it: null, or an empty text or list."""
    return value is None or (isinstance(value, (str, list, dict)) and not value)


class EmptyIs:
    """Annotates a field that may hold a text, list or object of nothing where its type has none.

    Args:
        instead: What null and those stand for.
    """

    def __init__(self, instead: Any = None) -> None:
        self._instead = instead

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        def given(value: Any) -> Any:
            return self._instead if is_absent(value) else value

        return core_schema.no_info_before_validator_function(given, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        null = [] if self._instead is None else [{"type": "null"}]
        return {"anyOf": [handler(schema), *null, *EMPTY_SCHEMAS]}


#: In JSON Schema, what a client sends that means nothing by it.
EMPTY_SCHEMAS = (
    {"type": "string", "maxLength": 0},
    {"type": "array", "maxItems": 0},
    {"type": "object", "maxProperties": 0},
)
#: For an optional field whose type has no empty value of its own.
EMPTY_IS_ABSENT = EmptyIs()

#: Where an answer ends; the lone text is in the JSON Schema, too.
_Stops = Annotated[list[str], Field(max_length=4)]
Stop = Annotated[_Stops, BeforeValidator(as_list, json_schema_input_type=str | _Stops)]
TopLogprobs = Annotated[int, Field(ge=0, le=20), WHOLE]

Verbosity = Annotated[Literal["low", "medium", "high"] | None, EMPTY_IS_ABSENT]
CacheRetention = Annotated[Literal["in_memory", "in-memory", "24h"] | None, EMPTY_IS_ABSENT]

Bias = Annotated[float, Field(ge=-100, le=100)]


class Sampling(BaseModel):
    """Each is optional, null and empty mean absent; what is not set is left to the provider."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    stop: Stop | None = None
    seed: Int64 | None = None
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    logit_bias: dict[str, Bias] | None = None
    logprobs: bool | None = None
    top_logprobs: TopLogprobs | None = None
    reasoning_effort: str | None = Field(default=None, max_length=32)
    verbosity: Verbosity = None
    service_tier: str | None = Field(default=None, max_length=32)
    prompt_cache_key: str | None = Field(default=None, max_length=512)
    prompt_cache_retention: CacheRetention = None
    safety_identifier: str | None = Field(default=None, max_length=512)
    user: str | None = Field(default=None, max_length=512)

    def sampling(self) -> dict[str, Any]:
        """Return the parameters that are set, by OpenAI's names."""
        values = self.__dict__
        return {
            name: value
            for name in _NAMES
            if (value := values[name]) is not None and not is_absent(value)
        }


_NAMES = tuple(Sampling.model_fields)
