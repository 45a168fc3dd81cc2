"""The tables ``[flows.NAME]``: a topic of the user's own, read, answered, written to another."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _without_last_dot(prefix: str) -> str:
    if prefix.endswith("."):
        raise ValueError("leave out the dot at its end: topics get one")
    return prefix


TOPIC_NAME = r"^[A-Za-z0-9._-]{1,249}$"
TOPIC_PREFIX = r"^[A-Za-z0-9._-]{1,200}$"
FLOW_NAME = r"^[a-z0-9][a-z0-9_-]{0,60}$"

#: A name that Kafka takes for a topic.
TopicName = Annotated[str, Field(pattern=TOPIC_NAME)]
#: What stands before a dot and the name of each of our own topics.
TopicPrefix = Annotated[str, Field(pattern=TOPIC_PREFIX), AfterValidator(_without_last_dot)]
#: It stands in the name of a changelog, in labels of metrics and in messages.
FlowName = Annotated[str, Field(pattern=FLOW_NAME)]

#: How values of a topic are written.
Format = Literal["json", "text", "avro", "json-schema", "protobuf"]
#: A Protobuf class, as messages of errors ask for it.
MESSAGE = r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$"

#: The built-in flow, which reads request records.
REQUESTS = "requests"


class FlowSettings(BaseModel):
    """One ``[flows.NAME]`` of the file: which records become which requests, and their answers.

    ``when``, ``id``, ``tenant`` and the texts in ``fields`` are templates over the source record.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=True)

    input: TopicName
    """The topic that is read; it exists already, with any number of partitions."""
    from_: Literal["latest", "earliest"] = Field(default="latest", alias="from")
    """Where a new flow begins: with what is written from now on, or with all that is there."""
    format: Format = "json"
    """What the values are: `json`, `text` in UTF-8, or, framed by a schema registry, `avro`,
    `json-schema` or `protobuf`.
    """
    message: str | None = Field(default=None, pattern=MESSAGE)
    """The class of the values in Protobuf, as `module:Class`."""
    key_format: Format = "text"
    """What the keys are, for templates; they are written as they came."""
    unwrap: Literal["debezium"] | None = None
    """The envelope that values stand in: `debezium` takes the row after the change, and skips
    deletes.
    """
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
    ordering: Literal["key", "partition", "none"] | None = None
    """As the setting of that name, for this flow; default: that of the worker."""
    max_in_flight: int | None = Field(default=None, gt=0)
    """Most records of this flow in process per worker; default: its share of the worker's."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """Its part of the worker's slots beside the other flows: half of it is kept free of them."""
    deadline_s: float | None = Field(default=None, gt=0)
    """As the setting of that name, for this flow."""
    cache: bool = True
    """Whether an answer may come from, or be given to, an equal call."""
    output: TopicName
    """The topic of the answers; created with the input's partition count where it is missing."""
    reply_topics: tuple[TopicName, ...] = ()
    """Topics that a record may name in its header `reply-to`: its answer goes there, and not to
    the output; created as that is.
    """
    output_format: Format = "json"
    """How the answers are written; `text` is for outputs that are text."""
    output_schema: Path | None = None
    """File of the schema of the answers, Avro or JSON Schema; without it the newest one that the
    registry has for the output.
    """
    output_message: str | None = Field(default=None, pattern=MESSAGE)
    """The class of the answers in Protobuf, as `module:Class`."""
    register_schemas: bool = False
    """Whether the schema of the answers is registered where it is not yet."""
    shape: Literal["response", "output", "merge"] = "response"
    """What is written: the response record, its output alone, or both merged into the source."""
    merge_into: str | None = Field(default=None, min_length=1)
    """The field of the source that takes the output; without it the output's own fields do."""
    dead_letters: TopicName | None = None
    """The topic of records that cannot be answered; default: the input's name and `-dlt`."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.shape == "merge" and self.format == "text":
            raise ValueError('shape = "merge" needs values with fields: format = "text" has none')
        if self.shape == "merge" and self.output_format == "text":
            raise ValueError('shape = "merge" is written with fields: leave output_format out')
        for format, message, name in (
            (self.format, self.message, "message"),
            (self.output_format, self.output_message, "output_message"),
        ):
            if (format == "protobuf") != (message is not None):
                raise ValueError(f'"protobuf" and {name} = "module:Class" go together')
        if self.key_format == "protobuf":
            raise ValueError("key_format: keys are read as text, json, avro or json-schema")
        if self.output_schema and self.output_format not in ("avro", "json-schema"):
            raise ValueError('output_schema belongs to output_format = "avro" or "json-schema"')
        if self.register_schemas and self.output_format in ("json", "text"):
            raise ValueError("register_schemas belongs to an output_format with a schema")
        if self.register_schemas and self.output_format != "protobuf" and not self.output_schema:
            raise ValueError("register_schemas needs output_schema, the file to register")
        if self.unwrap and self.format == "text":
            raise ValueError('unwrap needs values with fields: format = "text" has none')
        if self.merge_into is not None and self.shape != "merge":
            raise ValueError('merge_into belongs to shape = "merge"')
        if self.output_format == "text" and self.shape != "output":
            raise ValueError('output_format = "text" needs shape = "output"')
        return self

    @property
    def dead_letter_topic(self) -> str:
        """The topic of the dead letters."""
        return self.dead_letters or f"{self.input}-dlt"
