"""The costs of flows: what each has cost this worker in the last 24 hours, by minutes."""

import time
from collections import defaultdict, deque
from collections.abc import Callable
from decimal import Decimal

MINUTE_S, DAY_S = 60, 86_400


class FlowCosts:
    """Adds up what answers cost, by flow.

    Args:
        now: Wall clock, seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        #: Minute, sum, and answers whose price is unknown; the oldest first.
        self._minutes: defaultdict[str, deque[tuple[int, Decimal, int]]] = defaultdict(deque)

    def add(self, flow: str, usd: Decimal | None) -> None:
        """Count an answer; what it came from the cache for costs nothing, None is unknown."""
        minutes, minute = self._minutes[flow], int(self._now() // MINUTE_S)
        unpriced, usd = int(usd is None), usd or Decimal(0)
        if minutes and minutes[-1][0] == minute:
            _, before, others = minutes.pop()
            usd, unpriced = usd + before, unpriced + others
        minutes.append((minute, usd, unpriced))
        self._forget(minutes)

    def day(self) -> dict[str, Decimal]:
        """Return the sum of each flow that cost anything in the last day, in dollars."""
        for minutes in self._minutes.values():
            self._forget(minutes)
        return {
            flow: usd
            for flow, minutes in self._minutes.items()
            if (usd := sum((usd for _, usd, _ in minutes), Decimal(0)))
        }

    def unpriced_day(self) -> dict[str, int]:
        """Return the answers of each flow in the last day whose price is unknown, where any."""
        for minutes in self._minutes.values():
            self._forget(minutes)
        return {
            flow: unpriced
            for flow, minutes in self._minutes.items()
            if (unpriced := sum(unpriced for _, _, unpriced in minutes))
        }

    def _forget(self, minutes: deque[tuple[int, Decimal, int]]) -> None:
        first = (self._now() - DAY_S) // MINUTE_S
        while minutes and minutes[0][0] <= first:
            minutes.popleft()
