"""Statuses and error bodies as our errors; no text of a body gets further than here.

OpenAI's shape, those of servers compatible with it, and Anthropic's, which differs in its words.
"""

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from itertools import chain
from typing import Any

import orjson

from streamapp.errors import (
    ContentFiltered,
    ContextLengthExceeded,
    ProviderDenied,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    RateLimited,
)

_FILTER_CODES = frozenset({"content_filter", "content_policy_violation"})
_CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
#: What servers without a code of their own say (vLLM, llama.cpp, TGI).
_CONTEXT_PHRASES = (
    "maximum context length",
    "context size",
    "context window",
    "prompt is too long",
)
_QUOTA_CODES = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"}
    | {"enforced_spend_limit_reached", "contract_spend_limit_reached"}
)
#: Anthropic's own spend limits, which come as a 400 without a code.
_QUOTA_PHRASES = ("reached your specified", "credit balance is too low")
#: What a stream can end in, by words, where it names no status; anything else is as a 500.
_STREAM_STATUSES = {
    "invalid_request_error": 400,
    "rate_limit_exceeded": 429,
    **dict.fromkeys(_FILTER_CODES | _CONTEXT_CODES, 400),
}
_STATUS = re.compile(r"[45]\d\d")
_CODE = re.compile(r"[a-z0-9_.-]{1,64}")


def error_for(
    status: int, headers: Mapping[str, str], body: bytes, *, provider: str, now: float
) -> ProviderError:
    """Return the error of an answer whose status is not 200.

    Args:
        status: The HTTP status.
        headers: Of the answer, case-insensitive.
        body: Of the answer; only a short error code of it is kept.
        provider: The configured provider's name.
        now: Unix seconds.
    """
    codes, text = _details(body)
    code = next((code for code in codes if _CODE.fullmatch(code)), "")
    return _leaf(status, codes, text)(
        f"{provider}: HTTP {status} {code}".rstrip(),
        provider=provider,
        status=status,
        retry_after_s=retry_after_s(headers, now=now),
        retryable=_wish_to_retry(headers),
    )


def stream_error(event: bytes, *, provider: str) -> ProviderError:
    """Return the error that a stream ends with, after a status of 200; retryable by default."""
    error: Any = orjson.loads(event).get("error")
    words = [str(error.get(name)) for name in ("code", "type")] if isinstance(error, dict) else []
    named = (int(word) for word in words if _STATUS.fullmatch(word))
    told = (_STREAM_STATUSES[word] for word in words if word in _STREAM_STATUSES)
    status = next(chain(named, told), 500)
    return error_for(status, {}, event, provider=provider, now=0.0)


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


def _leaf(status: int, codes: list[str], text: str) -> type[ProviderError]:
    if 400 <= status < 500:
        if not _FILTER_CODES.isdisjoint(codes):
            return ContentFiltered
        if not _CONTEXT_CODES.isdisjoint(codes):
            return ContextLengthExceeded
        if status in (400, 413, 422) and any(phrase in text for phrase in _CONTEXT_PHRASES):
            return ContextLengthExceeded
    if status in (401, 402, 403) or not _QUOTA_CODES.isdisjoint(codes):
        return ProviderDenied
    if status == 400 and any(phrase in text for phrase in _QUOTA_PHRASES):
        return ProviderDenied
    if status == 429:
        return RateLimited
    if status in (408, 409) or status >= 500:
        return ProviderUnavailable
    # A redirect is not followed: the operator has to write the final address.
    return ProviderRejected if status >= 400 else ProviderDenied


def _details(body: bytes) -> tuple[list[str], str]:
    """Return the error's code and type, and its message in lower case, as far as there are any."""
    try:
        error: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return [], ""
    if isinstance(error, dict):
        error = error.get("error", error)
    if not isinstance(error, dict):
        return [], str(error).lower()
    details = error.get("details")
    cause = details.get("error_code") if isinstance(details, dict) else None
    found = (cause, error.get("code"), error.get("type"))
    codes = [code for code in found if isinstance(code, str)]
    return codes, str(error.get("message", "")).lower()


def _wish_to_retry(headers: Mapping[str, str]) -> bool | None:
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())


def _number(text: str | None, *, scale: float = 1.0) -> float | None:
    try:
        value = float(text or "") * scale
    except ValueError:
        return None
    return value if math.isfinite(value) else None
