"""The right to write a record's outcome: it ends with the generation that took the record."""

from streamapp.streaming.window.membership import Membership


class Lease:
    """A generation's right to write; every task holds the lease it was started under.

    It is valid, or not known to be valid while no heartbeat comes through, or ended for good.

    Args:
        generation: The group's generation.
        membership: Of this worker.
    """

    __slots__ = ("_is_ended", "_losses", "_membership", "generation")

    def __init__(self, generation: int, membership: Membership | None = None) -> None:
        self.generation = generation
        self._membership = membership or Membership()
        self._losses = self._membership.losses
        self._is_ended = False

    @property
    def is_valid(self) -> bool:
        """Whether a write may begin now."""
        membership = self._membership
        return not self._is_ended and membership.losses == self._losses and membership.is_current

    @property
    def is_ended(self) -> bool:
        """Whether no write may begin any more."""
        return self._is_ended or self._membership.losses != self._losses

    def end(self) -> None:
        """Take the right away for good."""
        self._is_ended = True
