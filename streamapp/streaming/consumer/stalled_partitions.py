"""Partitions of which nothing more is taken below their end, and when to seek them.

Records that Faust skipped at a partition's end show by no later offset, so only time tells; also
where one before them is unfinished, which can be held for hours. At
the end can also stand what is no record, such as a transaction's marker: each vain seek doubles
the time to the next.
"""

from collections.abc import Callable, Collection, Mapping

from aiokafka import AIOKafkaConsumer as AIOKafkaClient
from aiokafka.errors import IllegalStateError
from faust.types import TP

from streamapp.streaming.window.partition_state import PartitionState

#: A partition is sought back after it stood still for so long, seconds: the first time, and at
#: most.
STALL_S, LONGEST_STALL_S = 3.0, 300.0


class StalledPartitions:
    """Remembers since when each partition stands still.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._stalls: dict[TP, tuple[int, float, float]] = {}
        self._begun: set[TP] = set()

    def clear(self, begun: Collection[TP] = ()) -> None:
        """Begin anew: the partitions are others, or nothing is expected to move now.

        Args:
            begun: Those of which a record came before the window was open. It dropped that, and
                without a later one would miss it only by the time.
        """
        self._stalls.clear()
        self._begun = set(begun)

    def due(
        self, partitions: Mapping[TP, PartitionState], highwater: Callable[[TP], int | None]
    ) -> list[tuple[TP, int]]:
        """Return the partitions to seek back now, each with the offset to seek to.

        Args:
            partitions: Those of the open window that are expected to move; of another one
                nothing is remembered.
            highwater: Returns the offset after a partition's last one; 0 or None where it is
                not known.
        """
        now, due = self._clock(), []
        for tp in self._stalls.keys() - partitions.keys():
            del self._stalls[tp]
        for tp, partition in partitions.items():
            end = highwater(tp)
            if partition.is_held or not end or partition.expected >= end:
                self._stalls.pop(tp, None)
                if end:
                    self._begun.discard(tp)
                continue
            expected, since, wait_s = self._stalls.get(tp, (-1, now, STALL_S))
            if expected != partition.expected:
                first_s = 0.0 if tp in self._begun else STALL_S
                self._begun.discard(tp)
                self._stalls[tp] = (partition.expected, now, first_s)
            elif now - since > wait_s:
                longer_s = min(max(2 * wait_s, STALL_S), LONGEST_STALL_S)
                self._stalls[tp] = (expected, now, longer_s)
                due.append((tp, expected))
        return due


def log_end(client: AIOKafkaClient, tp: TP) -> int | None:
    """Return the end of a partition's log, open transactions included; None where nobody told."""
    try:
        end: int | None = client.highwater(tp)
    except (AssertionError, AttributeError):
        return None
    return end


def end_of(client: AIOKafkaClient, tp: TP) -> int:
    """Return a partition's end for its reader: an open transaction lies behind it.

    Raises:
        IllegalStateError: The client has given the partition back. It does so in its own thread,
            before the event loop hears of the rebalance.
    """
    try:
        end = client.highwater(tp)
        if client._isolation_level != "read_committed":
            return end  # type: ignore[no-any-return]  # aiokafka has no types
        stable = client.last_stable_offset(tp)
    except (AssertionError, AttributeError):  # as the client says it, before or in its look
        raise IllegalStateError(f"partition {tp} is not assigned") from None
    return end if stable is None or stable < 0 else stable  # type: ignore[no-any-return]  # likewise
