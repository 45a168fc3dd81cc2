"""A token bucket: how much may go now, and after how long the rest; it does not wait itself."""

from collections.abc import Callable

#: A waiter wakes later than it wanted to; so many seconds' worth of that are not lost.
LATE_S = 0.05
SHORTEST_WAIT_S = 0.001
_ROUNDING = 1e-6


class Bucket:
    """Fills at a rate up to a capacity; what is taken above its level must be waited for.

    In any period it gives at most rate x period + capacity, plus ``LATE_S`` of the rate to those
    who waited. An amount larger than the capacity is given when the bucket is full, and leaves
    it negative.

    Args:
        rate_per_s: Amount per second, > 0; infinite for no limit.
        burst_s: Capacity in seconds' worth of the rate.
        least: Smallest capacity; also what there is at the first use, when it begins to fill.
        clock: Monotonic, seconds.
    """

    __slots__ = ("_at", "_burst_s", "_clock", "_least", "_level", "_rate_per_s", "capacity")

    def __init__(
        self, rate_per_s: float, *, burst_s: float, least: float, clock: Callable[[], float]
    ) -> None:
        self._rate_per_s = rate_per_s
        self._burst_s = burst_s
        self._least = least
        self._clock = clock
        self._level = least
        self._at: float | None = None
        self.capacity = self._capacity()

    @property
    def rate_per_s(self) -> float:
        """How fast it fills; setting it neither fills nor empties the bucket."""
        return self._rate_per_s

    @rate_per_s.setter
    def rate_per_s(self, rate_per_s: float) -> None:
        if rate_per_s != self._rate_per_s:
            if self._rate_per_s != float("inf"):
                self._fill(self.capacity)
            self._rate_per_s = rate_per_s
            self.capacity = self._capacity()
            self._level = min(self._level, self.capacity)

    def wait_s(self, amount: float, *, is_late: bool = False) -> float:
        """Return after how many seconds ``amount`` can be taken; 0 for now.

        Args:
            amount: >= 0.
            is_late: Whether somebody has waited for it, so that a late look costs nothing.
        """
        rate_per_s, capacity = self._rate_per_s, self.capacity
        if rate_per_s == float("inf"):
            return 0.0
        need = min(amount, capacity)
        self._fill(max(capacity, need + rate_per_s * LATE_S) if is_late else capacity)
        missing = need - self._level
        return 0.0 if missing <= _ROUNDING else max(missing / rate_per_s, SHORTEST_WAIT_S)

    def available(self) -> float:
        """Return how much may go now."""
        if self._rate_per_s == float("inf"):
            return float("inf")
        self._fill(self.capacity)
        return self._level

    def take(self, amount: float) -> None:
        """Take ``amount``, whatever the level; a negative one gives back, up to the capacity."""
        if self._rate_per_s == float("inf"):
            return
        level = self._level - amount
        self._level = level if amount >= 0 else max(self._level, min(self.capacity, level))

    def _fill(self, ceiling: float) -> None:
        now = self._clock()
        if self._at is not None and self._level < ceiling:
            # What a late waiter left above the capacity stays for who comes next.
            self._level = min(ceiling, self._level + (now - self._at) * self._rate_per_s)
        self._at = now

    def _capacity(self) -> float:
        return max(self._least, self._rate_per_s * self._burst_s)
