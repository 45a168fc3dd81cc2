"""Gaps in a partition's delivered offsets: sought back, until the log itself shows a hole."""

from collections.abc import Awaitable, Callable

from faust.types import TP

from streamapp.streaming.window.partition_state import PartitionState, Verdict
from streamapp.streaming.window.taken_record import Message


class Gaps:
    """Decides whether a record that was not expected is the next one all the same.

    Args:
        seek: Moves the fetch position of a partition back to an offset.
        first_from: Returns the first offset at or above the given one at which the log holds
            a record, read past Faust; None where it cannot be told now.
        on_gap: Called with the partition at each gap seen.
    """

    __slots__ = ("_first_from", "_on_gap", "_seek")

    def __init__(
        self,
        *,
        seek: Callable[[TP, int], Awaitable[None]],
        first_from: Callable[[TP, int], Awaitable[int | None]],
        on_gap: Callable[[TP], None],
    ) -> None:
        self._seek = seek
        self._first_from = first_from
        self._on_gap = on_gap

    async def is_next(self, partition: PartitionState, message: Message) -> bool:
        """Return whether the log holds nothing between the expected offset and the message's.

        Where it may hold something, that is fetched again.
        """
        tp, offset = partition.tp, message.offset
        verdict = partition.judge(offset)
        follows = getattr(message, "follows", offset)
        if verdict.is_ahead and follows <= partition.expected:
            # The client found nothing between in the log: no need to ask it again.
            partition.pass_hole(offset)
            return True
        if verdict is Verdict.COMEBACK:
            first = await self._first_from(tp, partition.expected)
            if first == offset:
                partition.pass_hole(offset)
                return True
        if verdict in (Verdict.GAP, Verdict.COMEBACK):
            self._on_gap(tp)
            await self._seek(tp, partition.expected)
        return verdict is Verdict.NEXT
