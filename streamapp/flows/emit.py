"""The records of a flow in Python: `Incoming`, as it reads them, and `Emit`, as it writes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")

#: What a record keeps unless it is said otherwise.
SAME_KEY = b"\x00the key of the source"


@dataclass(frozen=True, slots=True)
class Incoming(Generic[T]):
    """A source record with all that Kafka says of it; annotate ``record: Incoming[Review]``.

    Attributes:
        headers: As text; of equal names the last one.
        timestamp: When it was written, UTC; None where unknown.
    """

    value: T
    key: bytes | None
    headers: Mapping[str, str]
    topic: str
    partition: int
    offset: int
    timestamp: datetime | None


@dataclass(frozen=True, slots=True)
class Emit(Generic[T]):
    """A record to emit, where more is to be said of it than its value.

    Attributes:
        key: Default: that of the source.
        headers: Beside the source's own, which they replace by name.
        to: One of the flow's topics; default: the first.
    """

    value: T
    key: str | bytes | None = SAME_KEY
    headers: Mapping[str, str] = field(default_factory=dict)
    to: str | None = None
