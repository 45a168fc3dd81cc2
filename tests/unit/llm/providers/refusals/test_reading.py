"""Statuses and bodies of other servers, and their wishes to wait."""

from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from streamapp.errors import (
    ContentFiltered,
    ContextLengthExceeded,
    GarbledAnswer,
    ModelUnavailable,
    ParameterRefused,
    ProviderDenied,
    ProviderError,
    ProviderForbidden,
    ProviderRejected,
    ProviderUnavailable,
    RateLimited,
)
from streamapp.llm.providers.refusals.reading import error_for
from streamapp.llm.providers.refusals.retry_after import retry_after_s

NOW = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


def error(status: int, body: Any = None, **headers: str) -> ProviderError:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return error_for(status, named, raw, provider="mine", now=NOW)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(
            400,
            {"error": {"message": "This model's maximum context length is 4096", "code": 400}},
            ContextLengthExceeded,
            id="vllm",
        ),
        pytest.param(
            400,
            {"error": {"message": "no", "type": "exceed_context_size_error", "code": 400}},
            ContextLengthExceeded,
            id="llama.cpp",
        ),
        pytest.param(
            403, {"error": {"code": "content_filter"}}, ContentFiltered, id="filter-as-403"
        ),
        pytest.param(404, {"error": "model not found"}, ModelUnavailable, id="text-error"),
        pytest.param(422, {"detail": [{"msg": "x"}]}, ProviderRejected, id="fastapi"),
        pytest.param(429, {"error": {"type": "insufficient_quota"}}, ProviderDenied, id="quota"),
        pytest.param(
            500, {"error": {"code": "context_length_exceeded"}}, ContextLengthExceeded, id="5xx"
        ),
        pytest.param(503, b"<html>", ProviderUnavailable, id="html"),
        pytest.param(429, b"", RateLimited, id="empty"),
        pytest.param(400, [1], ProviderRejected, id="list"),
        pytest.param(400, {"error": {"code": ["x"], "message": 3}}, ProviderRejected, id="types"),
        pytest.param(204, b"", ProviderDenied, id="no-content"),
    ],
)
def test_body_decides_the_error(status: int, body: Any, expected: type[ProviderError]) -> None:
    """Compatible servers' bodies are understood as far as they say anything."""
    assert type(error(status, body)) is expected


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("model_not_found", "mine: HTTP 404 model_not_found"),
        ("The model `x` is gone", "mine: HTTP 404"),
        ("x" * 65, "mine: HTTP 404"),
        (None, "mine: HTTP 404"),
    ],
)
def test_message_shows_only_a_short_code(code: str | None, shown: str) -> None:
    """Of a provider's body only an error code gets into the message."""
    assert str(error(404, {"error": {"code": code, "message": "secret"}})) == shown


@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, 30),
        ({"retry-after": "Wed, 21 Oct 2015 07:00:00 GMT"}, 0),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Wed, 99 Oct 99999 07:28:30 GMT"}, None),
    ],
)
def test_wish_to_wait_is_read(headers: dict[str, str], expected_s: float | None) -> None:
    """Milliseconds, seconds and dates are read; nonsense is no wish."""
    assert retry_after_s(CIMultiDict(headers), now=NOW) == expected_s


@pytest.mark.parametrize(
    ("status", "wish", "is_retryable"),
    [
        (429, "false", False),
        (500, "FALSE", False),
        (400, "true", True),
        (400, "maybe", False),
        (500, "", True),
    ],
)
def test_wish_to_be_retried_wins(status: int, wish: str, is_retryable: bool) -> None:
    """`x-should-retry` wins over the status."""
    assert error(status, b"", x_should_retry=wish).retryable is is_retryable


@pytest.mark.parametrize(
    ("status", "code", "wish", "expected"),
    [
        (400, "context_length_exceeded", "true", ContextLengthExceeded),
        (400, "json_validate_failed", "false", GarbledAnswer),
        (413, "", "false", ContextLengthExceeded),
        (429, "", "true", RateLimited),
        (429, "rate_limit_exceeded", "false", ProviderForbidden),
        (429, "insufficient_quota", "true", ProviderDenied),
    ],
)
def test_meaning_wins_over_the_wish(
    status: int, code: str, wish: str, expected: type[ProviderError]
) -> None:
    """What its words say an error means is not changed by `x-should-retry`."""
    found = error(status, {"error": {"code": code}}, x_should_retry=wish)

    assert type(found) is expected
    assert found.retryable is expected.retryable


@pytest.mark.parametrize(("status", "expected"), [(400, ProviderRejected), (403, ContentFiltered)])
def test_part_of_a_message_that_is_quoted_is_no_refusal(
    status: int, expected: type[ProviderError]
) -> None:
    """A 400 may quote a part of type `refusal`; as the type of a 403 it is the provider's."""
    text = 'Invalid part: {"type": "refusal", "refusal": 5}'
    own = {} if status == 400 else {"metadata": {"error_type": "refusal"}}

    assert type(error(status, {"error": {"message": text, **own}})) is expected


@pytest.mark.parametrize(
    "text",
    [
        "parameter.enable_thinking must be set to false for non-streaming calls",
        "parameter.enable_thinking必须设置为false才能进行非流式调用",
    ],
)
def test_parameter_that_is_wanted_is_named_with_its_value(text: str) -> None:
    """In whatever language it is said."""
    found = error(400, {"error": {"message": text, "code": "invalid_parameter_error"}})

    assert isinstance(found, ParameterRefused)
    assert (found.parameters, found.wanted) == (
        ("enable_thinking",),
        {"enable_thinking": False},
    )


@pytest.mark.parametrize(
    ("headers", "text"),
    [({"retry_after": "20"}, "no"), ({}, "Please try again in 20s.")],
    ids=["header", "words"],
)
def test_refusal_that_names_its_end_is_waited_for(headers: dict[str, str], text: str) -> None:
    """A 429 that says when it ends is a rate, whether or not the same request may be retried."""
    found = error(429, {"error": {"message": text}}, x_should_retry="false", **headers)

    assert type(found) is RateLimited
    assert (found.retryable, found.retry_after_s) == (True, 20)
