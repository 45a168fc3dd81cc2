"""The wait that a vendor asks for, by its headers or by the words of its error."""

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from streamapp.llm.providers.rate_hints import duration_s
from streamapp.llm.providers.refusals.details import Details

#: "Please try again in 9.816s" (OpenAI, Groq), "Please retry after 12 seconds" (Azure),
#: "Please retry in 31.5s" (Gemini).
_TOLD = re.compile(
    r"(?:try again|retry) (?:in|after) "
    r"((?:\d+h)?(?:\d+m(?!s))?(?:\d+(?:\.\d+)?(?:ms|s))?)(?:(\d+(?:\.\d+)?) seconds?)?"
)


def retry_after_s(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return how long the server wants us to wait, seconds >= 0, or None.

    Reads ``retry-after-ms``, then ``retry-after`` as seconds, then as an HTTP date.

    Args:
        headers: Of the answer, case-insensitive.
        now: Unix seconds.
    """
    wait_s = _number(headers.get("retry-after-ms"), scale=0.001)
    if wait_s is None:
        wait_s = _number(headers.get("retry-after"))
    if wait_s is None and "retry-after" in headers:
        try:
            wait_s = parsedate_to_datetime(headers["retry-after"]).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return None if wait_s is None else max(wait_s, 0.0)


def told_retry_after_s(details: Details) -> float | None:
    """Return the wait that an error's body names, seconds, or None.

    Sources: https://ai.google.dev/gemini-api/docs/rate-limits (``RetryInfo.retryDelay``),
    https://platform.openai.com/docs/guides/rate-limits
    """
    if details.retry_delay:
        return duration_s(details.retry_delay)
    for match in _TOLD.finditer(details.text):
        duration, seconds = match.groups()
        if details.own.hold(match.group()):
            continue  # a record's wish would hold up all others
        if duration:
            return duration_s(duration)
        if seconds:
            return float(seconds)
    return None


def _number(text: str | None, *, scale: float = 1.0) -> float | None:
    try:
        value = float(text or "") * scale
    except ValueError:
        return None
    return value if math.isfinite(value) else None
