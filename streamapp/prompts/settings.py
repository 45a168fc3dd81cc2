"""What the front matter of a prompt says besides its text."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue
from pydantic_core import PydanticCustomError

from streamapp.records.json_schema import check_object_schema
from streamapp.records.sampling import Sampling


def _checked(schema: dict[str, Any]) -> dict[str, Any]:
    try:
        check_object_schema(schema)
    except ValueError as error:
        raise PydanticCustomError("json_schema", "{problem}", {"problem": str(error)}) from None
    return schema


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
    output_schema: Annotated[dict[str, JsonValue], AfterValidator(_checked)] | None = None
