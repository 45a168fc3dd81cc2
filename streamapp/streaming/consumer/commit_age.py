"""The age of the oldest commit that is due: for how long finished records wait for theirs."""

from collections.abc import Callable, Mapping

from faust.types import TP

from streamapp.streaming.window.partition_state import PartitionState


class CommitAge:
    """Grows while finished records stay uncommitted and no partition's commit moves.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._uncommitted: dict[TP, int | None] = {}
        self._committed_at = clock()

    @property
    def age_s(self) -> float:
        """Seconds since a commit last moved; 0 where no finished record waits for one."""
        return self._clock() - self._committed_at if self._uncommitted else 0.0

    def look(
        self, partitions: Mapping[TP, PartitionState], committed: Callable[[TP], int | None]
    ) -> None:
        """Compare what is finished with what is committed.

        Args:
            partitions: Those of the window.
            committed: Returns a partition's committed offset; None where there is none.
        """
        uncommitted = {
            tp: committed(tp)
            for tp, partition in partitions.items()
            if partition.next_commit is not None and (committed(tp) or 0) < partition.next_commit
        }
        if uncommitted != self._uncommitted:
            self._committed_at = self._clock()
        self._uncommitted = uncommitted
