"""A flow: what turns the records of one topic into requests, and answers into records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from streamapp.flows.source_record import SourceRecord
from streamapp.records.request import Request
from streamapp.records.response import Response

Start = Literal["latest", "earliest"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a flow may use of a worker.

    Attributes:
        weight: Its part of the slots, beside the other flows.
        max_in_flight: Most of its records at once; None for its share.
        ordering: One at a time per key, per partition, or none; None as the worker.
        deadline_s: Longest active time of a record, seconds; None as the worker.
    """

    weight: float = 1.0
    max_in_flight: int | None = None
    ordering: Literal["key", "partition", "none"] | None = None
    deadline_s: float | None = None


@dataclass(frozen=True, slots=True)
class Emission:
    """One record to write for an answer.

    Attributes:
        keeps_key: Whether it has the key of its source, and so belongs into its partition.
    """

    topic: str
    value: bytes | None
    key: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    keeps_key: bool = True


class Flow(Protocol):
    """One subscription, of the file or in Python.

    Attributes:
        name: Unique in the app.
        input: The topic that it reads.
        outputs: The topics that it may write to.
        reply_topics: Further ones, that a record may ask its answer to be sent to.
        dead_letters: The topic of what it cannot answer.
        start: Where it begins on a partition that it never read.
        bounds: What it may use of a worker.
        keeps_keys: Whether all that it writes has the key of its source.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def input(self) -> str: ...  # noqa: D102
    @property
    def outputs(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def reply_topics(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def dead_letters(self) -> str: ...  # noqa: D102
    @property
    def start(self) -> Start: ...  # noqa: D102
    @property
    def bounds(self) -> Bounds: ...  # noqa: D102
    @property
    def keeps_keys(self) -> bool: ...  # noqa: D102

    def is_loaded(self, record: SourceRecord) -> bool:
        """Whether `read` and `write` may be called at once; else after `load`."""
        ...

    async def load(self, record: SourceRecord) -> None:
        """Have the schemas that the record is read and answered by; waits for a registry.

        Raises:
            Failure: The record names none.
        """
        ...

    def read(self, record: SourceRecord) -> Request | None:
        """Return the request that the record is, or None where the flow skips it.

        Raises:
            Failure: It is none; names flow and field, and no value.
        """
        ...

    def own_id(self, record: SourceRecord) -> str | None:
        """Return the id that a record which could not be read gives all the same, if it does."""
        ...

    def write(self, record: SourceRecord, response: Response) -> list[Emission]:
        """Return what is written for the answer, in order; equal for equal arguments.

        Raises:
            Failure: The answer cannot be written in the flow's shape.
        """
        ...
