"""The settings in the front matter of a prompt."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from streamapp.records.sampling import Sampling
from streamapp.records.whole import WHOLE

#: A tool's name, or how the names of several begin.
ToolPattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}(\.\*)?$|^\*$")]


class GuardSettings(BaseModel):
    """When a label goes back to the version it had before.

    Attributes:
        calls: So many records are waited for first.
        error_rate: More than this share of them failed, by a fault of the prompt's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    calls: Annotated[int, Field(ge=1, le=2**31 - 1), WHOLE] = 50
    error_rate: float = Field(default=0.2, ge=0, lt=1)


_SOURCES = ("file", "url", "topic_set")


class ExampleSettings(BaseModel):
    """Which examples go before a record's own question; one of three sources.

    Attributes:
        file: Name of a file in the directory of the prompts.
        url: Address on one of the hosts of ``EXAMPLES_HOSTS``.
        topic_set: Key of the set on the topic ``llm.examples``.
        count: How many of the set.
        select: ``first``; ``random``: the same ones for the same record key; ``similar``: those
            most like the question, where there is a route for embeddings.
        refresh_s: Interval of the refresh, seconds.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "oneOf": [
                {"required": [source], "properties": {source: {"type": "string"}}}
                for source in _SOURCES
            ]
        },
    )

    file: str | None = Field(default=None, min_length=1, max_length=200)
    url: str | None = Field(default=None, min_length=1, max_length=2_000)
    topic_set: str | None = Field(default=None, min_length=1, max_length=200)
    count: Annotated[int, Field(ge=1, le=50), WHOLE] = 3
    select: Literal["first", "random", "similar"] = "first"
    refresh_s: float = Field(default=300, ge=1)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.file, self.url, self.topic_set)) != 1:
            raise ValueError("name one source: file, url or topic_set")
        return self

    @property
    def source(self) -> str:
        """The source in a word, for logs and as the key of its set."""
        return self.file or self.url or f"{self.topic_set} of the topic"

    @property
    def is_similar(self) -> bool:
        """Whether the question decides, by its vector."""
        return self.select == "similar"


class PromptSettings(BaseModel):
    """The settings of one version; a change of them is a new version, as one of the body is.

    Attributes:
        description: For people.
        model: Route to use where the record names none.
        parameters: How the model is to sample.
        output_schema: JSON Schema of the answer; None for free text.
        cache: Whether equal calls may share an answer.
        cache_ttl_s: For how long, seconds; None for the setting ``CACHE_TTL_S``.
        examples: Go before the question of each record; None for those of the text alone.
        guard: Takes labels away from a version that fails; None for never.
        tools: What the model may call: names, or ``shop.*`` for all that begin so.
        max_steps: Most calls of the model for one answer; None for the default.
        max_tool_calls: Most calls of tools for one answer; None for the default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    description: str = ""
    model: str | None = Field(default=None, min_length=1, max_length=200)
    parameters: Sampling = Sampling()
    output_schema: dict[str, JsonValue] | None = None
    cache: bool = True
    cache_ttl_s: float | None = Field(default=None, gt=0)
    examples: ExampleSettings | None = None
    guard: GuardSettings | None = None
    tools: tuple[ToolPattern, ...] = ()
    max_steps: Annotated[int, Field(ge=1, le=100), WHOLE] | None = None
    max_tool_calls: Annotated[int, Field(ge=1, le=1_000), WHOLE] | None = None

    def content(self) -> dict[str, JsonValue]:
        """Return what differs from the defaults: what a new default leaves equal stays equal."""
        return self.model_dump(mode="json", exclude_defaults=True)
