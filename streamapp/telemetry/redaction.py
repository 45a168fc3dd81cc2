"""Redaction: secrets are cut out of every log line, as the last step before it is written."""

import re
from collections.abc import Iterable

MASK = "***"

# A value ends at white space, quotes, commas, a bracket or a terminal colour.
_VALUE = r"[^\s\"'\\,;)\]}\x1b]+"
_PATTERNS = (
    re.compile(rf"(?i)(\b(?:bearer|basic)\s+){_VALUE}"),
    re.compile(
        r"(?i)(\b(?:authorization|[\w-]*api[_-]?key|[\w-]*password|[\w-]*secret)"
        rf"[\"']?(?:\x1b\[[\d;]*m)*\s*[:=]\s*(?:\x1b\[[\d;]*m)*[\"']?)(?!bearer\b|basic\b){_VALUE}"
    ),
    re.compile(r"(\b\w+://[^\s/:@]*:)[^\s/@]+(?=@)"),
    re.compile(r"\b()sk-[\w-]{6,}"),
)


class Redactor:
    """Masks what looks like a secret, and the secrets that the settings hold.

    Args:
        secrets: Literal values to mask wherever they appear; those under 4 characters are
            ignored, they would mask half of every line.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """Return ``text`` without secrets."""
        if self._known:
            text = self._known.sub(MASK, text)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<1>{MASK}", text)
        return text
