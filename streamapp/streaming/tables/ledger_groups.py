"""The consumer groups that wrote a ledger's entries, one behind the other under one name.

Generations order the entries of a group, so that a late one of a worker that was cut off is known.
Where an operator deletes the group, or the broker forgets it, they begin anew: the next group has
a number of its own, which its entries carry. No clock tells.
"""

from collections.abc import Iterable, Mapping

from streamapp.streaming.tables.ledger_index import LedgerLine


class LedgerGroups:
    """The number of the group that writes now, for each of this worker's partitions.

    A number is where the partition's changelog ended as the first worker of the group read it, so
    that it is above those of all entries before it; one more than theirs where the changelog was
    made anew since, and is shorter.
    """

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._highest: dict[int, tuple[int, int]] = {}

    def number(self, partition: int) -> int | None:
        """Return the number for an entry that is written now; None before `begin`."""
        return self._numbers.get(partition)

    def keep(self, partitions: set[int]) -> None:
        """Forget the partitions of others."""
        self._numbers = {p: number for p, number in self._numbers.items() if p in partitions}
        self._highest = {p: rank for p, rank in self._highest.items() if p in self._numbers}

    def note(self, line: LedgerLine) -> None:
        """Note an entry that the changelog has, whether it counts or not."""
        highest = self._highest.get(line.partition)
        if highest is None or line.rank > highest:
            self._highest[line.partition] = line.rank

    def is_above(self, generation: float, partitions: Iterable[int]) -> bool:
        """Whether an entry of the last group of a partition is of a higher generation."""
        highest = self._highest
        return any(highest[p][1] > generation for p in partitions if p in highest)

    def begin(self, ends: Mapping[int, int], generation: float) -> None:
        """Note which group writes from now on.

        Args:
            ends: Where each partition's changelog ended as it was read.
            generation: The group's: one that is lower than an entry's is of a group that began
                anew.
        """
        for partition, end in ends.items():
            number, highest = self._highest.get(partition, (end, 0))
            if generation < highest:
                number = max(end, number + 1)
            self._numbers[partition] = max(number, self._numbers.get(partition, 0))
