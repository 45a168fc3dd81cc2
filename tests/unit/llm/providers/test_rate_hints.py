"""What rate-limit headers say."""

import pytest

from streamapp.errors import RateHints
from streamapp.llm.providers.rate_hints import duration_s, rate_hints


def headers(kind: str, *, limit: str = "600", remaining: str = "0", reset: str) -> dict[str, str]:
    prefix = "x-ratelimit"
    return {
        f"{prefix}-limit-{kind}": limit,
        f"{prefix}-remaining-{kind}": remaining,
        f"{prefix}-reset-{kind}": reset,
    }


@pytest.mark.parametrize(
    ("sent", "hints"),
    [
        ({}, None),
        (headers("requests", reset="1m0s"), RateHints(requests_per_s=10)),
        (headers("tokens", limit="6000", reset="60"), RateHints(tokens_per_s=100)),
        (headers("requests", reset="1m0s", remaining="1"), None),
        (headers("requests", reset="CANARY"), None),
        (headers("requests", reset="0s"), None),
        (headers("requests", reset="1s", limit="nan"), None),
        (headers("requests", reset="1s", limit="x"), None),
    ],
)
def test_hints_are_given_when_nothing_is_left(
    sent: dict[str, str], hints: RateHints | None
) -> None:
    """An exhausted limit tells its rate; anything else, or nonsense, tells nothing."""
    assert rate_hints(sent) == hints


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("6m0s", 360), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("7", 7), ("", None)]
    + [(text, None) for text in ("soon", "1s!", "-1s", "2030-01-01T00:00:00Z")],
)
def test_durations_are_read(text: str, seconds: float | None) -> None:
    """OpenAI's durations and plain seconds are read, others are not."""
    assert duration_s(text) == (None if seconds is None else pytest.approx(seconds))
