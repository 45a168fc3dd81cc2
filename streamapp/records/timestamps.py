"""Points in time as people and records write them."""

import math
import re
from datetime import UTC, datetime

_AGE = re.compile(r"(\d{1,9}(?:\.\d+)?)([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def moment_of(seconds: float) -> datetime | None:
    """Return the moment, UTC; None where no calendar has it.

    A producer can write any number of 64 bits as a record's time, such as nanoseconds.

    Args:
        seconds: Since the epoch.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def time_text(moment: datetime | None) -> str:
    """Return a time as people read it: ``2030-01-31 12:00:00Z``; ``-`` for None.

    In UTC, as the log and all JSON have it, and as `parse_timestamp` takes it back. ``-`` also for
    one that no calendar has in UTC: the first hours of the year 1 east of it.
    """
    try:
        return "-" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    except OverflowError:
        return "-"


def parse_timestamp(text: str, *, now: float) -> float:
    """Return the time that ``text`` means, seconds since the epoch.

    Args:
        text: An age (``90s``, ``30m``, ``2h``, ``7d``), a date or time of ISO 8601, UTC where
            it names no zone, or seconds since the epoch.
        now: Ages are counted back from it, seconds since the epoch.

    Raises:
        ValueError: It is none of these; says what to write.
    """
    text = text.strip()
    age = _AGE.fullmatch(text)
    if age:
        return now - float(age[1]) * _SECONDS[age[2]]
    try:
        seconds = float(text)
    except ValueError:
        try:
            found = datetime.fromisoformat(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError("write an age like 30m, 2h or 7d, or a time like 2030-01-31T12:00Z")
    return seconds
