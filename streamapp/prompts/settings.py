"""What the front matter of a prompt says besides its text."""

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from streamapp.records.sampling import Sampling


class GuardSettings(BaseModel):
    """When a label goes back to the version it had before.

    Attributes:
        calls: So many records are waited for first.
        error_rate: More than this share of them failed, by a fault of the prompt's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    calls: int = Field(default=50, ge=1)
    error_rate: float = Field(default=0.2, ge=0, lt=1)


class PromptSettings(BaseModel):
    """The settings of one version; a change of them is a new version, as one of the body is.

    Attributes:
        description: For people.
        model: Route to use where the record names none.
        parameters: How the model is to sample.
        output_schema: JSON Schema of the answer; None for free text.
        cache: Whether equal calls may share an answer.
        cache_ttl_s: For how long, seconds; None for the setting ``CACHE_TTL_S``.
        guard: Takes labels away from a version that fails; None for never.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""
    model: str | None = Field(default=None, min_length=1, max_length=200)
    parameters: Sampling = Sampling()
    output_schema: dict[str, JsonValue] | None = None
    cache: bool = True
    cache_ttl_s: float | None = Field(default=None, gt=0)
    guard: GuardSettings | None = None

    def content(self) -> dict[str, JsonValue]:
        """Return what differs from the defaults: what a new default leaves equal stays equal."""
        return self.model_dump(mode="json", exclude_defaults=True)
