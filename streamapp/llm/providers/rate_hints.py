"""What `x-ratelimit-*` headers say, where it is worth obeying: nothing is left."""

import math
import re
from collections.abc import Mapping

from streamapp.errors import RateHints

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)")


def rate_hints(headers: Mapping[str, str]) -> RateHints | None:
    """Return at which rate the limits refill; None while something of them is left.

    Reads ``x-ratelimit-{limit,remaining,reset}-{requests,tokens}`` as OpenAI sends them: the
    reset is the time until the whole limit is there again.

    Args:
        headers: Of an answer or an error, case-insensitive.

    Source: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    """
    requests_per_s = _refill_per_s(headers, "requests")
    tokens_per_s = _refill_per_s(headers, "tokens")
    if requests_per_s is None and tokens_per_s is None:
        return None
    return RateHints(requests_per_s=requests_per_s, tokens_per_s=tokens_per_s)


def _refill_per_s(headers: Mapping[str, str], kind: str) -> float | None:
    if headers.get(f"x-ratelimit-remaining-{kind}") != "0":
        return None
    try:
        limit = float(headers.get(f"x-ratelimit-limit-{kind}", ""))
    except ValueError:
        return None
    reset_s = duration_s(headers.get(f"x-ratelimit-reset-{kind}", ""))
    if not reset_s or not math.isfinite(limit) or limit <= 0:
        return None
    return limit / reset_s


def duration_s(text: str) -> float | None:
    """Return the seconds of ``6m0s``, ``20ms`` or ``1.5``; None for anything else."""
    parts = _PART.findall(text)
    if not parts or "".join(map("".join, parts)) != text:
        return None
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)
