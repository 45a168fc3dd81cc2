"""Ordered commits: the offset after the last ack, whatever Faust takes for a hole.

Where the offsets that Faust hands over jump, it notes a hole, and once two acks reach into that
it counts all of it as acked. But most jumps are its own: it forgets how far it has read at each
seek, while records fetched before are still on their way. So it would commit past unfinished
records, and a crash would lose them. The window acks in delivery order, and passes holes only
when the log has told it so: its last ack says all.
"""

from faust.transport.drivers.aiokafka import Consumer as AIOKafkaConsumer
from faust.types import TP


class OrderedCommits(AIOKafkaConsumer):
    """Faust's consumer, for acks that come in delivery order."""

    def _new_offset(self, tp: TP) -> int | None:
        acked = self._acked[tp]
        if not acked:
            return None
        offset = max(acked) + 1
        acked.clear()
        self._acked_index[tp].clear()
        return offset

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Note nothing: a hole of millions of offsets would become a list of as many."""
