"""The cache directives of a request, read from its header ``Cache-Control``."""

import re
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web

from streamapp.records.request import Request

R = TypeVar("R", bound=Request)

_MAX_AGE = re.compile(r"max-age\s*=\s*\"?(\d{1,9})\"?")


@dataclass(frozen=True, slots=True)
class CacheWish:
    """The wish of the header.

    Attributes:
        is_refused: ``no-cache``, ``no-store`` or an age of 0: the answer is made anew, and given
            to nobody else.
        max_age_s: An answer may come from the cache, but be no older; None where nothing is said.
    """

    is_refused: bool = False
    max_age_s: float | None = None

    @classmethod
    def of(cls, request: web.Request) -> "CacheWish":
        """Read the header."""
        header = ",".join(request.headers.getall("Cache-Control", [])).lower()
        words = {word.strip() for word in header.split(",")}
        age = _MAX_AGE.search(header)
        max_age_s = float(age[1]) if age else None
        is_refused = bool(words & {"no-cache", "no-store"}) or max_age_s == 0
        return cls(is_refused, max_age_s or None)

    def decided(self, asked: bool | None, *, is_repeatable: bool) -> tuple[bool, float | None]:
        """Return whether an answer may be shared, and how old one may be, seconds.

        Args:
            asked: What the body's ``cache`` says.
            is_repeatable: Whether the same call is meant to have the same answer.
        """
        if self.is_refused or asked is False:
            return False, None
        return bool(asked) or self.max_age_s is not None or is_repeatable, self.max_age_s

    def applied(self, record: R) -> R:
        """Return a record that has its own say; the header is stricter or says nothing."""
        cache, age_s = self.decided(record.cache, is_repeatable=True)
        ttl_s = min((s for s in (age_s, record.cache_ttl_s) if s is not None), default=None)
        return record.model_copy(update={"cache": cache, "cache_ttl_s": ttl_s})
