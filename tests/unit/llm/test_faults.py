"""Every wrong answer a provider can give, through the whole policy stack."""

import asyncio
import contextlib
import socket
from typing import Any, NamedTuple

import pytest

from streamapp.errors import (
    ContentFiltered,
    ContextLengthExceeded,
    Failure,
    GarbledAnswer,
    Kind,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    TooLarge,
)
from streamapp.llm.providers.factory import build_provider
from streamapp.llm.routing.retry import RetryLimits
from streamapp.llm.routing.routes import Routes
from streamapp.settings import ModelSettings, ProviderSettings, Settings
from tests.fakes import FakeClock
from tests.support.fakeanswers import CANARY
from tests.support.fakellm import FakeLLM
from tests.support.waiting import until
from tests.unit.llm.calls import chat

LIMITS = RetryLimits(attempts=3, paid_attempts=2)
TIMEOUT_S = 0.15
#: Of calls that fail otherwise: 50 MB take a while on a loaded machine.
LONG_S = 60
KEY = "sk-CANARY-KEY"
PROMPT = "CANARY-PROMPT"


class Row(NamedTuple):
    """One wrong answer: what it is translated to, the record's kind, and attempts made."""

    outcome: dict[str, Any]
    leaf: type[Failure]
    kind: Kind
    attempts: int


EXHAUSTED = Kind.RETRIES_EXHAUSTED
ROWS = {
    **{
        str(status): Row({"status": status}, ProviderUnavailable, EXHAUSTED, 3)
        for status in (408, 409, 500, 502, 503, 504, 529)
    },
    "500-no-retry": Row(
        {"status": 500, "headers": {"x-should-retry": "false"}}, ProviderUnavailable, EXHAUSTED, 1
    ),
    "400-retry": Row(
        {"status": 400, "headers": {"x-should-retry": "true"}}, ProviderRejected, EXHAUSTED, 3
    ),
    **{
        str(status): Row({"status": status}, ProviderRejected, Kind.REJECTED, 1)
        for status in (400, 404, 422)
    },
    "413": Row({"status": 413}, ContextLengthExceeded, Kind.CONTEXT_LENGTH, 1),
    "400-context": Row({"shape": "context_length"}, ContextLengthExceeded, Kind.CONTEXT_LENGTH, 1),
    "400-filter": Row(
        {"status": 400, "code": "content_filter"}, ContentFiltered, Kind.CONTENT_FILTERED, 1
    ),
    "200-filter": Row({"shape": "content_filter"}, ContentFiltered, Kind.CONTENT_FILTERED, 1),
    "hang-headers": Row({"hang": "headers"}, ProviderTimeout, EXHAUSTED, 2),
    "hang-body": Row({"hang": "body"}, ProviderTimeout, EXHAUSTED, 2),
    "drip": Row({"drip_s": 0.01}, ProviderTimeout, EXHAUSTED, 2),
    "close-headers": Row({"close": "headers"}, ProviderUnavailable, EXHAUSTED, 3),
    "close-body": Row({"close": "body"}, ProviderUnavailable, EXHAUSTED, 2),
    **{
        shape: Row({"shape": shape}, GarbledAnswer, EXHAUSTED, 2)
        for shape in (
            "garbage",
            "truncated",
            "nan",
            "empty_choices",
            "null_content",
            "wrong_type",
        )
    },
    "50-mb": Row({"size": 50_000_000}, TooLarge, Kind.TOO_LARGE, 1),
    "gzip-bomb": Row({"shape": "gzip_bomb"}, TooLarge, Kind.TOO_LARGE, 1),
}
#: What only time can change, or the operator: the record is held.
HELD = {
    "429": {"status": 429},
    "429-seconds": {"status": 429, "headers": {"retry-after": "1"}},
    "429-absurd": {"status": 429, "headers": {"retry-after": "1e9"}},
    "429-date": {"status": 429, "headers": {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}},
    "429-no-retry-in-time": {
        "status": 429,
        "headers": {"x-should-retry": "false", "retry-after": "1"},
    },
    **{str(status): {"status": status} for status in (401, 402, 403)},
    "429-quota": {"shape": "insufficient_quota"},
    "429-no-retry": {"status": 429, "headers": {"x-should-retry": "false"}},
    "html": {"shape": "html"},
    "redirect": {"status": 307, "headers": {"location": "http://127.0.0.1:1/v1"}},
}


def routes(base_url: str, *, timeout_s: float) -> Routes:
    provider = ProviderSettings(kind="openai", base_url=base_url, api_key=KEY, timeout_s=timeout_s)
    settings = Settings(
        providers={"openai": provider}, models={"default": ModelSettings(targets=["openai/m"])}
    )
    providers = {"openai": build_provider("openai", provider)}
    clock = FakeClock()
    return Routes(settings, providers, limits=LIMITS, clock=clock, sleep=clock.sleep)


async def failure_at(base_url: str, *, timeout_s: float = LONG_S) -> Failure:
    """Return how a call to ``base_url`` fails."""
    routed = routes(base_url, timeout_s=timeout_s)
    async with contextlib.aclosing(routed):
        with pytest.raises(Failure) as caught:
            await routed.resolve(None).complete(chat(PROMPT, deadline_s=1e4))
    return caught.value


def leaf_of(failure: Failure) -> BaseException:
    """Return the provider's own error: the last one where retries ran out."""
    is_exhausted = type(failure).__name__ == "RetriesExhausted"
    return failure.__cause__ if is_exhausted and failure.__cause__ else failure


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
async def test_wrong_answer_has_its_outcome(row: Row, server: FakeLLM) -> None:
    """Each wrong answer becomes its error, is tried as often as can help, and has its kind."""
    server.default(**row.outcome)
    slow = row.outcome.keys() & {"hang", "drip_s"}

    failure = await failure_at(server.base_url, timeout_s=TIMEOUT_S if slow else LONG_S)

    assert type(leaf_of(failure)) is row.leaf
    assert failure.kind is row.kind
    assert failure.attempts == len(server.calls) == row.attempts


@pytest.mark.parametrize("outcome", HELD.values(), ids=HELD.keys())
async def test_refused_call_is_held(outcome: dict[str, Any], server: FakeLLM) -> None:
    """A call that the provider refuses is held, asks again, and is answered once it is let in."""
    server.script(*[outcome] * 30, {})

    async with contextlib.aclosing(routes(server.base_url, timeout_s=LONG_S)) as routed:
        completion = await routed.resolve(None).complete(chat())

    assert completion.attempts == len(server.calls) == 31
    assert routed.impaired() == []


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
async def test_wrong_answer_leaks_nothing(row: Row, server: FakeLLM) -> None:
    """No key, prompt text or provider's body is in an error's message."""
    server.default(**row.outcome)
    slow = row.outcome.keys() & {"hang", "drip_s"}

    failure = await failure_at(server.base_url, timeout_s=TIMEOUT_S if slow else LONG_S)

    texts = f"{failure} {leaf_of(failure)}"
    assert not any(canary in texts for canary in (CANARY, KEY, PROMPT))


async def test_refused_connection_is_unavailable() -> None:
    """A closed port is a provider that is unavailable, tried again."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        failure = await failure_at(f"http://127.0.0.1:{closed.getsockname()[1]}/v1")

    assert type(leaf_of(failure)) is ProviderUnavailable
    assert failure.attempts == LIMITS.attempts


async def test_unknown_host_is_unavailable() -> None:
    """A host name that does not resolve is a provider that is unavailable."""
    failure = await failure_at("http://no-such-host.invalid/v1")

    assert type(leaf_of(failure)) is ProviderUnavailable


async def test_tls_to_a_plain_port_is_unavailable(server: FakeLLM) -> None:
    """A failed TLS handshake is a provider that is unavailable."""
    failure = await failure_at(server.base_url.replace("http:", "https:"))

    assert type(leaf_of(failure)) is ProviderUnavailable
    assert server.calls == []


async def test_recovery_is_answered(server: FakeLLM) -> None:
    """A provider that fails twice and recovers answers; the attempts are counted."""
    server.script({"status": 503}, {"shape": "truncated"}, {})

    async with contextlib.aclosing(routes(server.base_url, timeout_s=LONG_S)) as routed:
        completion = await routed.resolve(None).complete(chat())

    assert completion.output == "answer to: hello"
    assert completion.attempts == 3


async def test_cancelled_call_ends_at_the_provider(server: FakeLLM) -> None:
    """Cancelling a call closes its connection, so that the provider can stop working."""
    server.default(hang="headers")
    async with contextlib.aclosing(routes(server.base_url, timeout_s=LONG_S)) as routed:
        call = asyncio.create_task(routed.resolve(None).complete(chat()))
        await until(lambda: server.counts["in_flight"], 30)

        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: not server.counts["in_flight"], 30)

    assert server.counts["aborted"] == 1
