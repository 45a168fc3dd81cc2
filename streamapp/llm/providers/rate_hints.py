"""Rate-limit headers of vendors, read as hints for the limiter."""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from streamapp.errors import RateHints

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
_EPOCH_S = 1_000_000_000.0
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)")


class _Names(NamedTuple):
    """The headers of what is left of a limit, of the limit, and of the time until it is whole."""

    requests: tuple[str, str, str]
    tokens: tuple[str, str, str]

    @classmethod
    def of(cls, name: str) -> "_Names":
        """Return those of ``name``, which says ``{kind}`` and ``{part}``."""
        requests, tokens = (
            (
                name.format(kind=kind, part="remaining"),
                name.format(kind=kind, part="limit"),
                name.format(kind=kind, part="reset"),
            )
            for kind in ("requests", "tokens")
        )
        return cls(requests, tokens)


_OPENAI = _Names.of("x-ratelimit-{part}-{kind}")
_ANTHROPIC = _Names.of("anthropic-ratelimit-{kind}-{part}")


def rate_hints(headers: Mapping[str, str], *, now: float) -> RateHints | None:
    """Return at which rate the limits refill; None while something of them is left.

    Reads ``x-ratelimit-{limit,remaining,reset}-{requests,tokens}`` as OpenAI sends them: the
    reset is the time until the whole limit is there again.

    Args:
        headers: Of an answer or an error, case-insensitive.
        now: Unix seconds.

    Source: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    """
    return _hints(headers, now, _OPENAI)


def anthropic_rate_hints(headers: Mapping[str, str], *, now: float) -> RateHints | None:
    """Return the same of Anthropic's headers, where the reset is a point in time.

    Source: https://docs.anthropic.com/en/api/rate-limits#response-headers
    """
    return _hints(headers, now, _ANTHROPIC)


def _hints(headers: Mapping[str, str], now: float, names: _Names) -> RateHints | None:
    requests_per_s = _refill_per_s(headers, now, names.requests)
    tokens_per_s = _refill_per_s(headers, now, names.tokens)
    if requests_per_s is None and tokens_per_s is None:
        return None
    return RateHints(requests_per_s=requests_per_s, tokens_per_s=tokens_per_s)


def _refill_per_s(
    headers: Mapping[str, str], now: float, names: tuple[str, str, str]
) -> float | None:
    remaining, whole, reset = names
    if headers.get(remaining) != "0":
        return None
    try:
        limit = float(headers.get(whole, ""))
    except ValueError:
        return None
    reset_s = _left_s(headers.get(reset, ""), now)
    if not reset_s or reset_s < 0 or not math.isfinite(limit) or limit <= 0:
        return None
    return limit / reset_s


def _left_s(text: str, now: float) -> float | None:
    """Return the seconds of a duration, or those until a point in time."""
    try:
        if "T" in text:
            return datetime.fromisoformat(text).timestamp() - now
        left_s = duration_s(text)
    except (ValueError, OverflowError):
        return None
    if left_s is None or left_s < _EPOCH_S:
        return left_s
    # No limit takes decades: Unix time, in seconds or milliseconds.
    return (left_s / 1_000 if left_s >= _EPOCH_S * 1_000 else left_s) - now


def duration_s(text: str) -> float | None:
    """Return the seconds of ``6m0s``, ``20ms`` or ``1.5``; None for anything else."""
    parts = _PART.findall(text)
    if not parts or "".join(map("".join, parts)) != text:
        return None
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)
