"""The right to write a record's outcome: it ends with the generation that took the record."""

from collections.abc import Callable


class Lease:
    """A generation's right to write; every task holds the lease it was started under.

    Args:
        generation: The group's generation.
        is_awake: False once this process slept so long that the group may have gone on.
    """

    __slots__ = ("_is_awake", "_is_ended", "generation")

    def __init__(self, generation: int, is_awake: Callable[[], bool] = lambda: True) -> None:
        self.generation = generation
        self._is_awake = is_awake
        self._is_ended = False

    @property
    def is_valid(self) -> bool:
        """Whether outcomes may be written now."""
        return not self._is_ended and self._is_awake()

    def end(self) -> None:
        """Take the right away for good."""
        self._is_ended = True
