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
        #: Minute and sum, the oldest first.
        self._minutes: defaultdict[str, deque[tuple[int, Decimal]]] = defaultdict(deque)

    def add(self, flow: str, usd: Decimal) -> None:
        """Count an answer; what it came from the cache for costs nothing."""
        minutes, minute = self._minutes[flow], int(self._now() // MINUTE_S)
        if minutes and minutes[-1][0] == minute:
            usd += minutes.pop()[1]
        minutes.append((minute, usd))
        self._forget(minutes)

    def day(self) -> dict[str, Decimal]:
        """Return the sum of each flow that cost anything in the last day, in dollars."""
        for minutes in self._minutes.values():
            self._forget(minutes)
        return {
            flow: sum((usd for _, usd in minutes), Decimal(0))
            for flow, minutes in self._minutes.items()
            if minutes
        }

    def _forget(self, minutes: deque[tuple[int, Decimal]]) -> None:
        first = (self._now() - DAY_S) // MINUTE_S
        while minutes and minutes[0][0] <= first:
            minutes.popleft()
