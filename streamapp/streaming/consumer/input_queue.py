"""The queue between the consumer and the stream of one input, which never keeps others waiting.

Faust's holds a bounded number of records. Past four fifths of that, each partition is taken out
of what is fetched when its next record comes; but a record that comes to a full one waits for
room, and with it all that was fetched for other inputs: a flow whose provider was down, with a
backlog, stopped every other one. This queue takes what was fetched already, some batches a
partition, and lets no record wait.
"""

from typing import Any

from mode.utils.queues import ThrowableQueue


class InputQueue(ThrowableQueue[Any]):
    """A queue that holds off further fetches at ``maxsize``, and is never full."""

    def full(self) -> bool:
        """Return False: what has been fetched is taken."""
        return False
