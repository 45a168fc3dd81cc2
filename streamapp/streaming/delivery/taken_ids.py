"""The ids of the records that a window has taken, read when somebody asks after one.

A record's id stands in its bytes, and most records are never asked after: nothing is read of them
until the first question, and then each is read once.
"""

from streamapp.records.codec import recover_id
from streamapp.streaming.window.partition_state import PartitionState
from streamapp.streaming.window.taken_record import TakenRecord
from streamapp.streaming.window.window import Window

#: Names that may be known beyond those of unfinished records, before the others are let go.
SLACK = 1_000


class TakenIds:
    """Tells whether a record of an id is taken and not finished.

    Args:
        topic: Whose records have ids.
        window: Takes them.
    """

    def __init__(self, topic: str, window: Window) -> None:
        self._topic = topic
        self._window = window
        self._records: dict[str, list[TakenRecord]] = {}
        #: Offset of the newest record that is known, of each partition of the generation.
        self._known_to: dict[PartitionState, int] = {}

    def get(self, id: str) -> bytes | None:
        """Return the bytes of the record that is named so, by itself or by its place."""
        self._read()
        return next((record.event.message.value or b"" for record in self._left(id)), None)

    def __len__(self) -> int:
        """Return how many names are known."""
        return len(self._records)

    def _read(self) -> None:
        """Read what was taken since the last question."""
        partitions = [p for tp, p in self._window.partitions.items() if tp.topic == self._topic]
        if self._known_to.keys() - set(partitions):  # of another generation
            self._records.clear()
            self._known_to.clear()
        for partition in partitions:
            known_to = self._known_to.get(partition, -1)
            for taken in partition.taken_after(known_to):
                if isinstance(taken, TakenRecord) and not taken.is_done:
                    self._add(taken)
            self._known_to[partition] = partition.expected - 1
        # Each has two names.
        if len(self._records) > 2 * sum(map(len, partitions)) + SLACK:
            self._records = {name: left for name in self._records if (left := self._left(name))}

    def _add(self, record: TakenRecord) -> None:
        tp = record.partition.tp
        names = {f"{tp.topic}-{tp.partition}-{record.offset}"}
        if own := recover_id(record.event.message.value):
            names.add(own)
        for name in names:
            self._records[name] = [*self._left(name), record]

    def _left(self, name: str) -> list[TakenRecord]:
        return [record for record in self._records.get(name, ()) if not record.is_done]
