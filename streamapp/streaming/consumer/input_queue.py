"""The queue between the consumer and the stream of one input, which never keeps others waiting.

Faust's holds a bounded number of records. Past four fifths of that, each partition is taken out
of what is fetched when its next record comes; but a record that comes to a full one waits for
room, and with it all that was fetched for other inputs: a flow whose provider was down, with a
backlog, stopped every other one. This queue takes what was fetched already, some batches a
partition, and lets no record wait. And it goes by their bytes as well: a backlog of large records
would be a gigabyte before it is full.
"""

from typing import Any

from mode.utils.queues import ThrowableQueue

#: What a queue of `maxsize` records holds, bytes by record.
BYTES_EACH = 8_192


class InputQueue(ThrowableQueue[Any]):
    """A queue that holds off further fetches at ``maxsize``, and is never full."""

    _bytes = 0

    def full(self) -> bool:
        """Return False: what has been fetched is taken."""
        return False

    def qsize(self) -> int:
        """Return how many records it holds, or how many of `BYTES_EACH` would weigh as much."""
        return max(super().qsize(), self._bytes // BYTES_EACH)

    def clear(self) -> None:
        """Let go of everything."""
        super().clear()
        self._bytes = 0

    def _put(self, item: Any) -> None:
        self._bytes += _size(item)
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self._bytes -= _size(item)
        return item


def _size(event: Any) -> int:
    """Return the bytes of an event's record."""
    message = event.message
    return len(message.key or b"") + len(message.value or b"")
