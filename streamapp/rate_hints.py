"""The limits that a provider tells beside an answer or an error."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RateHints:
    """What a provider says of its limits beside an answer, where that is worth obeying.

    Attributes:
        requests_per_s: The rate that refills what is left of its requests, when none is.
        tokens_per_s: The same for tokens.
    """

    requests_per_s: float | None = None
    tokens_per_s: float | None = None
