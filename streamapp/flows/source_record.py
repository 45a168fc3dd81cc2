"""The record that a flow reads, as Kafka delivered it."""

from dataclasses import dataclass
from datetime import datetime

from streamapp.records.dead_letter import Headers, pairs
from streamapp.records.timestamps import moment_of


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One record of a flow's input.

    Attributes:
        timestamp_s: Seconds since the epoch, by the producer or the broker; None where unknown.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = None
    timestamp_s: float | None = None

    @property
    def place(self) -> str:
        """Topic, partition and offset, joined by ``-``: the id of what has none."""
        return f"{self.topic}-{self.partition}-{self.offset}"

    @property
    def timestamp(self) -> datetime | None:
        """When it was written, UTC; None where that is unknown, or in no calendar."""
        at = self.timestamp_s
        return None if at is None else moment_of(at)

    @property
    def header_texts(self) -> dict[str, str]:
        """The headers as text, what is no UTF-8 replaced; of equal names the last one."""
        texts = {}
        for name, value in pairs(self.headers):
            texts[name] = (value or b"").decode("utf-8", "replace")
        return texts
