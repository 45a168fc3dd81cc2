"""One taken record, and what of Faust's event it is made from."""

from collections.abc import Hashable, Mapping, Sequence
from contextvars import copy_context
from typing import Protocol

from faust.types import TP

from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.partition_state import PartitionState


class Message(Protocol):
    """What the window reads of Faust's ``Message``."""

    tp: TP
    offset: int
    key: bytes | None
    value: bytes | None
    generation_id: int

    @property
    def headers(self) -> Mapping[str, bytes] | Sequence[tuple[str, bytes]] | None:
        """The record's headers, as Faust has them."""
        ...


class Event(Protocol):
    """What the window uses of Faust's ``Event``."""

    @property
    def message(self) -> Message:
        """The record."""
        ...

    def ack(self) -> bool:
        """Mark the record's offset as safe to commit."""
        ...


class TakenRecord:
    """One taken record.

    Attributes:
        order: Records of equal order run one at a time; None runs at once.
        is_done: Finished, perhaps behind an unfinished one of its partition.
    """

    __slots__ = ("context", "event", "is_done", "lease", "offset", "order", "partition")

    def __init__(
        self, event: Event, partition: PartitionState, lease: Lease, order: Hashable | None
    ) -> None:
        self.event = event
        self.offset = event.message.offset
        self.partition = partition
        self.lease = lease
        self.order = order
        self.is_done = False
        # Faust's current_event() lives in the context of the agent's iteration; a task started
        # later, from another record's task, must not inherit that one's.
        self.context = copy_context()
