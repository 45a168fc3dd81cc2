"""The writes of one record that are under way: what was paid for, and is not on Kafka yet."""

from contextvars import Context, ContextVar
from types import TracebackType


class Storing:
    """Counts the writes of one record; a context manager around each of them."""

    __slots__ = ("_writes",)

    def __init__(self) -> None:
        self._writes = 0

    @property
    def is_under_way(self) -> bool:
        """Whether a write has begun and not ended."""
        return self._writes > 0

    def __enter__(self) -> None:
        self._writes += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writes -= 1


#: Of the record that a task works on; set in that record's own task, shared by those it starts.
STORING: ContextVar[Storing | None] = ContextVar("storing", default=None)


def is_storing(context: Context) -> bool:
    """Whether the record whose task runs in ``context`` is being written."""
    storing = context.get(STORING)
    return storing is not None and storing.is_under_way
