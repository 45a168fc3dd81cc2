"""What the front matter of a prompt says besides its text."""

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from streamapp.records.sampling import Sampling


class PromptSettings(BaseModel):
    """The settings of one version; a change of them is a new version, as one of the body is.

    Attributes:
        description: For people.
        model: Route to use where the record names none.
        parameters: How the model is to sample.
        output_schema: JSON Schema of the answer; None for free text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""
    model: str | None = Field(default=None, min_length=1, max_length=200)
    parameters: Sampling = Sampling()
    output_schema: dict[str, JsonValue] | None = None
