"""Sampling parameters of a model, as OpenAI names them, in chat records and prompt files."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def as_list(value: Any) -> Any:
    """Return a lone text as a list of one: the two mean the same on the wire."""
    return [value] if isinstance(value, str) else value


#: The lone text is in the JSON Schema, too.
ONE_OR_MORE = BeforeValidator(as_list, json_schema_input_type=str | list[str])


class Sampling(BaseModel):
    """Each is optional; what is not set is left to the provider."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, gt=0)
    max_completion_tokens: int | None = Field(default=None, gt=0)
    stop: Annotated[list[str], ONE_OR_MORE, Field(max_length=4)] | None = None
    seed: int | None = None
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    reasoning_effort: str | None = Field(default=None, min_length=1, max_length=32)
    user: str | None = Field(default=None, min_length=1, max_length=512)

    def sampling(self) -> dict[str, Any]:
        """Return the parameters that are set, by OpenAI's names."""
        values = self.__dict__
        return {name: values[name] for name in _NAMES if values[name] is not None}


_NAMES = tuple(Sampling.model_fields)
