"""Nearest vectors: arithmetic alone, cheap enough for every record."""

from array import array
from collections.abc import Sequence
from heapq import nlargest, nsmallest
from math import fsum, isfinite, sqrt
from operator import mul

Unit = Sequence[float]

#: Vectors that are compared in full, at least, and as a multiple of those asked for.
SHORTLIST, SHORTLIST_FACTOR = 16, 4


class Neighbours:
    """Vectors to find the nearest of.

    A product of 1,500 numbers takes 50 microseconds, so not every vector gets one: all are
    compared by one bit a number (whether it is above that number's mean), and the best few of
    them by their cosine.

    Args:
        units: As `unit` makes them; at least one.

    Raises:
        ValueError: They are of several lengths.
    """

    def __init__(self, units: Sequence[Unit]) -> None:
        self._units = units
        self._means = [fsum(numbers) / len(units) for numbers in zip(*units, strict=True)]
        self._bits = [self._bits_of(one) for one in units]

    def nearest(self, one: Unit, count: int) -> list[int]:
        """Return the positions of the nearest vectors, the nearest first.

        Raises:
            ValueError: The vector is of another length.
        """
        bits, theirs = self._bits_of(one), self._bits
        wanted = max(SHORTLIST, SHORTLIST_FACTOR * count)
        shortlist = nsmallest(wanted, range(len(theirs)), lambda n: (bits ^ theirs[n]).bit_count())
        return nlargest(count, shortlist, lambda n: sum(map(mul, one, self._units[n])))

    def _bits_of(self, one: Unit) -> int:
        pairs = zip(one, self._means, strict=True)
        return int("".join(["1" if number > mean else "0" for number, mean in pairs]), 2)


def unit(vector: Sequence[float]) -> Unit:
    """Return the vector at length 1; one of zeros stays.

    Raises:
        ValueError: It is empty, or holds what is no number.
    """
    length = sqrt(fsum(map(mul, vector, vector)))
    if not vector or not isfinite(length):
        raise ValueError("no vector")
    return array("f", [number / (length or 1.0) for number in vector])
