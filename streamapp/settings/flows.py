"""The tables ``[flows.NAME]``: a topic of the user's own, read, answered, written to another."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: A name that Kafka takes for a topic.
TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
#: It stands in the name of a changelog, in labels of metrics and in messages.
FlowName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,60}$")]

#: The built-in flow, which reads request records.
REQUESTS = "requests"


class FlowSettings(BaseModel):
    """One ``[flows.NAME]`` of the file: which records become which requests, and their answers.

    ``when``, ``id``, ``tenant`` and the texts in ``fields`` are templates over the source record.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    input: TopicName
    """The topic that is read; it exists already, with any number of partitions."""
    from_: Literal["latest", "earliest"] = Field(default="latest", alias="from")
    """Where a new flow begins: with what is written from now on, or with all that is there."""
    format: Literal["json", "text"] = "json"
    """What the values are: JSON, or UTF-8 text."""
    nulls: Literal["skip", "dead_letter"] = "skip"
    """What happens to a record without a value, a tombstone, and to the JSON value null."""
    type: str = Field(min_length=1)
    """The record type that answers, as `classify`."""
    fields: dict[str, Any] = Field(default_factory=dict)
    """The fields of the request, by name: templates, or values as they are."""
    when: str | None = None
    """A template of true or false: other records are skipped."""
    id: str | None = None
    """A template of the request's id; without it topic, partition and offset."""
    tenant: str | None = None
    """A template of the tenant, for budgets."""
    model: str | None = None
    """The route, as in a request record."""
    prompt: str | None = None
    """The prompt, as in a request record."""
    cache: bool = True
    """Whether an answer may come from, or be given to, an equal call."""
    output: TopicName
    """The topic of the answers; created with the input's partition count where it is missing."""
    output_format: Literal["json", "text"] = "json"
    """How the answers are written; `text` is for outputs that are text."""
    shape: Literal["response", "output", "merge"] = "response"
    """What is written: the response record, its output alone, or both merged into the source."""
    merge_into: str | None = Field(default=None, min_length=1)
    """The field of the source that takes the output; without it the output's own fields do."""
    dead_letters: TopicName | None = None
    """The topic of records that cannot be answered; default: the input's name and `-dlt`."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.shape == "merge" and self.format != "json":
            raise ValueError(
                'shape = "merge" needs format = "json": there is nothing to merge into'
            )
        if self.shape == "merge" and self.output_format != "json":
            raise ValueError('shape = "merge" is written as JSON: leave output_format out')
        if self.merge_into is not None and self.shape != "merge":
            raise ValueError('merge_into belongs to shape = "merge"')
        if self.output_format == "text" and self.shape != "output":
            raise ValueError('output_format = "text" needs shape = "output"')
        return self

    @property
    def dead_letter_topic(self) -> str:
        """The topic of the dead letters."""
        return self.dead_letters or f"{self.input}-dlt"
