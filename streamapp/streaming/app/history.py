"""The last hour of one worker: a point each second, and one each minute, for the dashboard."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: Checks of a worker that knows its lag: it has its partitions, its tables, and does not stop.
LAG_CHECKS = ("assigned", "recovered", "draining")
#: Points kept: of single seconds, and of minutes.
SECONDS, MINUTES = 180, 60

#: What a point counts per second, by the snapshot's series and the outcomes that belong to it.
RATES: Mapping[str, tuple[str, frozenset[str] | None]] = {
    "answered": ("records", frozenset({"answered", "replayed"})),
    "dead": ("records", frozenset({"dead_letter"})),
    "failed": ("records", frozenset({"failed"})),
    "tokens": ("tokens", None),
    "cost": ("cost_usd", None),
}
#: What it holds of the moment, by the snapshot's series.
LEVELS: Mapping[str, str] = {"waited": "rate_limit_waiting"}

Point = dict[str, float | None]


class SnapshotHistory:
    """Points of a worker, oldest first, each with its time ``at``, seconds since the epoch.

    Who opens the dashboard after an incident sees it. A minute's rates are those over the whole
    minute, and so is what waited, its lag and its times the worst in it.

    Args:
        snapshot: Returns the worker's numbers now, see `WorkerSnapshots.now`.
        clock: Wall clock, seconds since the epoch.
    """

    def __init__(
        self, snapshot: Callable[[], Mapping[str, Any]], clock: Callable[[], float] = time.time
    ) -> None:
        self._snapshot = snapshot
        self._clock = clock
        self.seconds: deque[Point] = deque(maxlen=SECONDS)
        self.minutes: deque[Point] = deque(maxlen=MINUTES)
        self._before: tuple[float, dict[str, float]] | None = None
        self._minute: list[Point] = []

    async def watch(self) -> None:
        """Take a point each second, until cancelled."""
        while True:
            self.take()
            await asyncio.sleep(1)

    def take(self) -> None:
        """Take a point now."""
        at, now = self._clock(), self._snapshot()
        sums = {name: _sum(now[series], outcomes) for name, (series, outcomes) in RATES.items()}
        before_at, before = self._before or (at, sums)
        self._before = (at, sums)
        gap_s = at - before_at
        if gap_s <= 0:
            return
        point: Point = {"at": round(at, 1), "lag": _lag(now), **now["latency_s"]}
        for name, total in sums.items():
            point[name] = round(max(0.0, total - before[name]) / gap_s, 6)
        point |= {name: _sum(now[series], None) for name, series in LEVELS.items()}
        if self._minute and _minute_of(self._minute[0]) != _minute_of(point):
            self.minutes.append(_merged(self._minute))
            self._minute = []
        self._minute.append(point)
        self.seconds.append(point)


def _sum(series: Sequence[Sequence[Any]], outcomes: frozenset[str] | None) -> float:
    values = (value for labels, value in series if outcomes is None or labels[1] in outcomes)
    return float(sum(values))


def _lag(now: Mapping[str, Any]) -> float | None:
    """Return the lag of all partitions; None while it is not known of one or of the worker."""
    lags = [*(partition["lag"] for partition in now["partitions"]), now["flows_lag"]]
    is_told = all(now["checks"].get(name, (True,))[0] for name in LAG_CHECKS)
    return sum(lags) if is_told and None not in lags else None


def _minute_of(point: Point) -> int:
    return int((point["at"] or 0) // 60)


def _merged(points: Sequence[Point]) -> Point:
    merged: Point = {"at": points[-1]["at"]}
    for name in (*RATES, *LEVELS):
        merged[name] = round(sum(point[name] or 0 for point in points) / len(points), 6)
    for name in ("lag", "p50", "p95", "p99"):
        known = [value for point in points if (value := point[name]) is not None]
        merged[name] = max(known, default=None)
    return merged
