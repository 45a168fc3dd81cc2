"""The request record: fields common to every type; a type adds its own in ``processors/``."""

from datetime import datetime
from typing import Any, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

#: Longest ``id``, characters.
ID_LIMIT = 200


class Request(BaseModel):
    """One request as a producer writes it; subclass it to add a record type.

    ``class Summarize(Request, type="summarize")`` names the value of the JSON field ``type``.

    Attributes:
        type: Which processor answers it.
        id: Names the record; default: topic, partition and offset, joined by ``-``. The same id
            with the same bytes gets the stored answer, with other bytes it is ``invalid``; where
            both have one Kafka key, and so one partition: give equal ids equal keys.
        model: A route of ``[models.NAME]``; default: the prompt's, else ``default``.
        prompt: ``name``, ``name@label`` or ``name:version``; default: that of the type.
        metadata: Comes back unchanged, but for decimals of more than 15 digits, which are doubles:
            send these as text. ``tenant`` in it tells tenants apart.
        deadline: Not answered after this; with a time zone.
        stream: Whether chunks of the answer are wanted as they come.
        cache: Whether the answer may come from, or be given to, an equal call.
        cache_ttl_s: How old such an answer may be, seconds; default: the prompt's, else the
            setting ``CACHE_TTL_S``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    record_type: ClassVar[str] = ""

    type: str
    id: str | None = Field(default=None, min_length=1, max_length=ID_LIMIT)
    model: str | None = Field(default=None, min_length=1, max_length=200)
    prompt: str | None = Field(default=None, min_length=1, max_length=200)
    metadata: dict[str, Any] = Field(default_factory=dict)
    deadline: AwareDatetime | None = None
    stream: bool = False
    cache: bool = True
    cache_ttl_s: float | None = Field(default=None, gt=0)

    def __init_subclass__(cls, *, type: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if type:
            cls.record_type = type

    @classmethod
    def __pydantic_init_subclass__(cls, *, type: str = "", **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)

    def is_expired(self, now: datetime) -> bool:
        """Whether the record's own deadline has passed at ``now`` (aware)."""
        return self.deadline is not None and self.deadline <= now
