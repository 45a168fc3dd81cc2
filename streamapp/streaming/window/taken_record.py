"""One taken record, and what of Faust's event it is made from."""

from collections.abc import Hashable, Mapping, Sequence
from contextvars import Context, copy_context
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


class TakenRecord:
    """One taken record; what it weighs is let go once it is finished.

    Attributes:
        order: Records of equal order run one at a time; None runs at once.
        size: Bytes of its key and value.
        taken_at: Monotonic seconds.
        is_done: Finished, perhaps behind an unfinished one of its partition.
    """

    __slots__ = (
        "_began",
        "is_done",
        "offset",
        "order",
        "partition",
        "size",
        "taken_at",
        "topic",
    )

    def __init__(
        self,
        event: Event,
        partition: PartitionState,
        lease: Lease,
        order: Hashable | None,
        taken_at: float,
    ) -> None:
        message = event.message
        self.offset = message.offset
        self.topic: str = message.tp.topic
        self.partition = partition
        self.order = order
        self.size = len(message.key or b"") + len(message.value or b"")
        self.taken_at = taken_at
        self.is_done = False
        # Faust's current_event() lives in the context of the agent's iteration; a task started
        # later, from another record's task, must not inherit that one's.
        self._began: tuple[Event, Lease, Context] | None = (event, lease, copy_context())

    @property
    def event(self) -> Event:
        """The record's event, until it is finished."""
        return self._unfinished[0]

    @property
    def lease(self) -> Lease:
        """The right that it was taken under."""
        return self._unfinished[1]

    @property
    def context(self) -> Context:
        """The context that its task runs in."""
        return self._unfinished[2]

    def finish(self) -> None:
        """Note its outcome, and let go of its event."""
        self._began = None
        self.partition.finish(self)

    @property
    def _unfinished(self) -> tuple[Event, Lease, Context]:
        assert self._began is not None, "it is finished"
        return self._began
