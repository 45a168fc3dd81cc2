"""The limits of providers as workers have learned them, shared with each other and at a start.

Each worker tells what it has found of each model of each provider, as that of all workers
together; of several the last one counts. The transport is a compacted topic of one partition
behind a global table:

* key: ``PROVIDER/MODEL``; value: ``{"worker", "rate_per_s", "window", "paused_until"}``, with
  null for what has no bound;
* once a second what `take` returns is produced; every record read is given to `merge`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from streamapp.llm.limits.provider_limits import ProviderLimits
from streamapp.llm.limits.rate_learner import FIRST_WINDOW, UNLIMITED, PaceLearner

#: Changes of a rate or a window that are smaller are not told.
_NEWS = 0.1


class LearnedLimits:
    """What this worker has learned, and what it heard of the others.

    Args:
        worker: Unlike that of any other worker, and of this one before it was restarted.
        limits: By the configured names of the providers.
        now: Unix seconds.
        clock: That of the limits, monotonic seconds.
    """

    def __init__(
        self,
        worker: str,
        limits: Mapping[str, ProviderLimits],
        *,
        now: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._worker = worker
        self._limits = limits
        self._now = now
        self._clock = clock
        self._told: dict[str, dict[str, Any]] = {}

    def take(self) -> list[tuple[bytes, bytes]]:
        """Return key and value of what has changed by a tenth or more since the last time."""
        records = []
        for name, limits in self._limits.items():
            for model, learner in limits.learners.items():
                target = f"{name}/{model}"
                found = self._found(learner, limits.share)
                if found is not None and _is_news(found, self._told.get(target)):
                    self._told[target] = found
                    records.append((target.encode(), orjson.dumps(found)))
        return records

    def untold(self) -> None:
        """Have everything told again: what was taken last may not have arrived."""
        self._told.clear()

    def merge(self, key: bytes | None, value: bytes | None) -> None:
        """Hear what a worker has learned; what cannot be read or is not configured is nothing."""
        try:
            provider, _, model = (key or b"").decode().partition("/")
            fields = orjson.loads(value or b"")
            worker = fields["worker"]
            rate_per_s, window = _bound(fields["rate_per_s"]), _bound(fields["window"])
            until = float(fields["paused_until"] or 0.0)
        except (ValueError, LookupError, TypeError):
            return
        limits = self._limits.get(provider)
        if worker == self._worker or limits is None or not math.isfinite(until):
            return
        limits.begin_at(model, rate_per_s, window, pause_s=until - self._now())

    def _found(self, learner: PaceLearner, share: float) -> dict[str, Any] | None:
        """Return the value to tell; None where there is nothing."""
        if not learner.is_taught and learner.window <= FIRST_WINDOW:
            return None
        if learner.is_lost or (not learner.is_taught and learner.is_limited):
            return None
        pause_s = learner.paused_until - self._clock()
        return {
            "worker": self._worker,
            "rate_per_s": None if learner.rate_per_s == UNLIMITED else learner.rate_per_s / share,
            "window": None if learner.window == UNLIMITED else learner.window / share,
            "paused_until": round(self._now() + pause_s, 1) if pause_s > 0 else None,
        }


def _bound(value: Any) -> float:
    bound = UNLIMITED if value is None else float(value)
    if not bound > 0:
        raise ValueError("no bound")
    return bound


def _is_news(found: Mapping[str, Any], told: Mapping[str, Any] | None) -> bool:
    if told is None or (found["paused_until"] or 0) > (told["paused_until"] or 0) + 1:
        return True
    return any(_differ(found[name], told[name]) for name in ("rate_per_s", "window"))


def _differ(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is not other
    return abs(one - other) > _NEWS * other
