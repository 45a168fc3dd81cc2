"""Prompt events, as they stand on the topic ``llm.prompts``: the key is the name.

Events are only ever added. What one means depends on those before it: see `fold`.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from streamapp.errors import PromptError
from streamapp.prompts.reference import NAME
from streamapp.records.problems import describe
from streamapp.records.whole import WHOLE

Label = Annotated[str, StringConstraints(pattern=rf"^{NAME.pattern}$")]
Percent = Annotated[int, Field(ge=1, le=100), WHOLE]


class _Event(BaseModel):
    """Fields of every event; a later release may add some, which older ones skip."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    author: str = Field(default="", max_length=200)
    message: str = Field(default="", max_length=2_000)
    created_at: AwareDatetime


class Published(_Event):
    """A text to become the next version, unless a version of that content exists.

    Attributes:
        settings: As in the front matter; only what differs from the defaults.
        label: Points at the new version, where one is made, unless it is protected.
        labels: Whether it also moves to an older version of that content, or although it is
            protected: not on the topic, where a `Labelled` follows in these cases.
    """

    type: Literal["published"] = "published"
    body: str
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    label: Label | None = None
    labels: Literal["new", "any", "by force"] = Field(default="new", exclude=True)

    def digest(self) -> str:
        """Return the hash of the content: texts of equal digests are one version."""
        return digest(self.body, self.settings)


class Labelled(_Event):
    """A label to point at a version.

    Attributes:
        expected: Refuse the move where the label points elsewhere by then.
        force: Move it although it is protected.
    """

    type: Literal["labelled"] = "labelled"
    label: Label
    version: int = Field(ge=1)
    expected: int | None = None
    force: bool = False


class Split(_Event):
    """What a bare name means: shares of labels in percent; None for production alone."""

    type: Literal["split"] = "split"
    shares: dict[Label, Percent] | None = None
    force: bool = False


class Protected(_Event):
    """Whether a label moves only where the move says ``force``."""

    type: Literal["protected"] = "protected"
    label: Label
    on: bool = True


class Retired(_Event):
    """Whether the prompt is out of use: nothing may name it; its history stays."""

    type: Literal["retired"] = "retired"
    on: bool = True


class DeadLettered(_Event):
    """The event at that offset was refused, and a dead letter tells why."""

    type: Literal["buried"] = "buried"
    offset: int = Field(ge=0)


Event = Published | Labelled | Split | Protected | Retired | DeadLettered
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


def digest(body: str, settings: Mapping[str, Any]) -> str:
    """Return the hash by which equal contents are known, 32 hexadecimal digits."""
    content = json.dumps([body, settings], sort_keys=True, separators=(",", ":"))
    return blake2b(content.encode(), digest_size=16).hexdigest()


def encode(event: Event) -> bytes:
    """Return the event's value on the topic."""
    return event.model_dump_json(exclude_none=True).encode()


def decode(key: bytes | None, value: bytes | None) -> tuple[str, Event]:
    """Return the prompt's name and the event.

    Raises:
        PromptError: They are none; says why without a value.
    """
    name = (key or b"").decode(errors="replace")
    if not NAME.fullmatch(name):
        raise PromptError("the key must be a prompt's name")
    if value is None:
        raise PromptError("a tombstone removes nothing here: the topic is the history")
    try:
        return name, _EVENT.validate_json(value)
    except ValidationError as error:
        problem = describe(error, Published)
    raise PromptError(problem)  # outside of the block: pydantic's error holds the values


def now() -> datetime:
    """Return the time for ``created_at``."""
    return datetime.now(UTC)
