"""The groups of a ledger: which one writes, told by generations and the log alone."""

from math import inf

import pytest

from streamapp.streaming.delivery.ledger_entry import LedgerEntry
from streamapp.streaming.tables.ledger_groups import LedgerGroups
from streamapp.streaming.tables.ledger_index import LedgerLine


def line(group: int | None, generation: int, partition: int = 0) -> LedgerLine:
    entry = LedgerEntry("ab", partition, 7, 60.0, b"{}", generation=generation, group=group)
    return LedgerLine.of(entry.head, 2)


@pytest.mark.parametrize(
    ("lines", "generation", "number"),
    [
        ([], 3, 80),
        ([(0, 3)], 3, 0),
        ([(0, 3)], 4, 0),
        ([(0, 3)], 2, 80),
        ([(0, 9), (50, 2)], 3, 50),
        ([(50, 2), (0, 9)], 3, 50),
        ([(0, 9), (50, 2)], 1, 80),
        ([(None, 3)], 4, 0),
        ([(None, 3)], 1, 80),
        ([(0, 3)], inf, 0),
        ([(90, 3)], 2, 91),
    ],
    ids=[
        "empty log",
        "own entries",
        "next owner",
        "began anew",
        "goes on after that",
        "late entry of the group before",
        "began anew twice",
        "older version's entries",
        "began anew after an older version",
        "nobody tells the generation",
        "began anew, and so did the changelog",
    ],
)
def test_group_is_told_by_its_generation(
    lines: list[tuple[int | None, int]], generation: float, number: int
) -> None:
    """Lower than an entry's, it is of a group that began anew, above all that the log holds."""
    groups = LedgerGroups()
    for group, written_in in lines:
        groups.note(line(group, written_in))

    groups.begin({0: 80}, generation)

    assert groups.number(0) == number


def test_each_partition_has_its_own() -> None:
    """A worker may have read one of which no entry is left."""
    groups = LedgerGroups()
    groups.note(line(5, 2, partition=1))

    groups.begin({0: 80, 1: 90}, 2)

    assert (groups.number(0), groups.number(1), groups.number(2)) == (80, 5, None)
    assert groups.is_above(1, [0, 1])
    assert not groups.is_above(1, [0])
    assert not groups.is_above(2, [0, 1])


def test_partition_that_comes_back_is_told_anew() -> None:
    """Others have written meanwhile; one that stayed goes on."""
    groups = LedgerGroups()
    groups.note(line(5, 2, partition=1))
    groups.begin({0: 80, 1: 90}, 2)

    groups.keep({0})
    groups.begin({0: 81, 1: 91}, 3)

    assert (groups.number(0), groups.number(1)) == (81, 91)
