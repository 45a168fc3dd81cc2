"""A bound on repeated log lines: a lost broker must not turn into a full disk."""

import logging
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

_NUMBER = re.compile(r"\d+")


@dataclass(slots=True)
class _Window:
    ends_at: float
    seen: int = 0


class RepeatLimit(logging.Filter):
    """Lets at most ``limit`` lines of one logger and template pass in each period.

    The first line that passes after some were held back carries their number as
    ``suppressed``. Templates that differ in digits alone count as one. DEBUG lines pass:
    who asks for them wants them all. A line that tells one try of many passes rarely: each of a
    library that does so, and of ours those with ``retry_in_s``.

    Args:
        limit: Lines per period, > 0.
        period_s: Length of a period, seconds.
        retrying: Libraries that tell each try.
        retry_period_s: Length of a period in which one line of a try passes, seconds.
        clock: Monotonic seconds.
        max_templates: Templates remembered at once; ended periods are forgotten beyond it.
    """

    def __init__(
        self,
        limit: int = 10,
        period_s: float = 10,
        *,
        retrying: Collection[str] = (),
        retry_period_s: float = 60,
        clock: Callable[[], float] = time.monotonic,
        max_templates: int = 1000,
    ) -> None:
        super().__init__()
        self._limit = limit
        self._period_s = period_s
        self._retrying = frozenset(retrying)
        self._retry_period_s = retry_period_s
        self._clock = clock
        self._max_templates = max_templates
        self._windows: dict[tuple[str, int, str], _Window] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line may pass."""
        if record.levelno <= logging.DEBUG:
            return True
        now = self._clock()
        limit, period_s = self._limit, self._period_s
        if self._tells_a_try(record):
            limit, period_s = 1, self._retry_period_s
        key = (record.name, record.levelno, _template(record))
        window = self._windows.get(key)
        if window is None or now >= window.ends_at:
            suppressed = window.seen - limit if window else 0
            if suppressed > 0:
                record.suppressed = suppressed
            if window is None and len(self._windows) >= self._max_templates:
                self._windows = {k: w for k, w in self._windows.items() if w.ends_at > now}
            window = self._windows[key] = _Window(now + period_s)
        window.seen += 1
        return window.seen <= limit

    def _tells_a_try(self, record: logging.LogRecord) -> bool:
        is_ours = isinstance(record.msg, dict) and "retry_in_s" in record.msg
        return is_ours or record.name.partition(".")[0] in self._retrying


def _template(record: logging.LogRecord) -> str:
    """Return the line without its arguments; a structlog record carries a dict."""
    message = record.msg.get("event") if isinstance(record.msg, dict) else record.msg
    return _NUMBER.sub("#", str(message))[:200]
