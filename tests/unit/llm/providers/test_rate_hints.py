"""What rate-limit headers say."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest

from streamapp.errors import RateHints, RateLimited
from streamapp.llm.providers.anthropic import AnthropicProvider
from streamapp.llm.providers.openai import OpenAIProvider
from streamapp.llm.providers.rate_hints import anthropic_rate_hints, duration_s, rate_hints
from tests.fakes import TakenChunks
from tests.support.fakellm import FakeLLM
from tests.unit.llm.calls import chat


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
        (headers("requests", reset="1000000060"), RateHints(requests_per_s=10)),
        (headers("requests", reset="1000000060000"), RateHints(requests_per_s=10)),
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
    assert rate_hints(sent, now=1_000_000_000.0) == hints


def anthropic(*, remaining: str = "0", reset: str = "2030-01-01T00:01:00Z") -> dict[str, str]:
    prefix = "anthropic-ratelimit-requests"
    return {
        f"{prefix}-limit": "600",
        f"{prefix}-remaining": remaining,
        f"{prefix}-reset": reset,
    }


@pytest.mark.parametrize(
    ("sent", "hints"),
    [
        (anthropic(), RateHints(requests_per_s=10)),
        (anthropic(remaining="7"), None),
        (anthropic(reset="2029-12-31T23:59:59Z"), None),
        (anthropic(reset="Tomorrow"), None),
        (anthropic(reset="60s"), RateHints(requests_per_s=10)),
        ({}, None),
    ],
)
def test_anthropic_tells_when_its_limit_is_whole_again(
    sent: dict[str, str], hints: RateHints | None
) -> None:
    """Its reset is a point in time; one that is past, or none, tells nothing."""
    new_year_s = datetime(2030, 1, 1, tzinfo=UTC).timestamp()

    assert anthropic_rate_hints(sent, now=new_year_s) == hints


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize(
    ("make", "sent"),
    [
        (OpenAIProvider, headers("requests", reset="1m0s")),
        (AnthropicProvider, anthropic(reset="60s")),
    ],
    ids=["openai", "anthropic"],
)
async def test_hints_come_with_every_answer(
    make: Any, sent: dict[str, str], status: int, is_streamed: bool, server: FakeLLM
) -> None:
    """Whole or streamed, answer or refusal: the limiter hears of what is left."""
    server.default(status=status, headers=sent)
    call = chat(chunks=TakenChunks() if is_streamed else None)

    async with contextlib.aclosing(make("mine", base_url=server.base_url)) as provider:
        try:
            hints = (await provider.complete(call)).hints
        except RateLimited as error:
            hints = error.hints

    assert hints == RateHints(requests_per_s=10)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("6m0s", 360), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("7", 7), ("", None)]
    + [(text, None) for text in ("soon", "1s!", "-1s", "2030-01-01T00:00:00Z")],
)
def test_durations_are_read(text: str, seconds: float | None) -> None:
    """OpenAI's durations and plain seconds are read, others are not."""
    assert duration_s(text) == (None if seconds is None else pytest.approx(seconds))
