"""Errors that quote the request: they say nothing about the key, the account or the model."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.errors import (
    ParameterRefused,
    ProviderDenied,
    ProviderError,
    ProviderForbidden,
    ProviderRejected,
    RateLimited,
)
from streamapp.llm.attempt import ATTEMPT, Attempt
from streamapp.llm.providers.refusals.own_words import OwnWords
from streamapp.llm.providers.refusals.reading import SIGNS, error_for, error_within
from streamapp.llm.providers.refusals.sign import SHARED, Sign
from streamapp.llm.providers.refusals.signs_of_parameters import (
    PARAMETER_SIGNS,
    RESPONSE_FORMAT_SIGNS,
    SCHEMA_SIGNS,
)

SHARED_SIGNS = [sign for sign in SIGNS if sign.meaning in SHARED]
PHRASES = [sign for sign in SHARED_SIGNS if sign.phrase]
CODES = [sign for sign in SHARED_SIGNS if sign.code]


def read(question: str, body: Any, *, status: int = 400, is_within: bool = False) -> ProviderError:
    """Return the error that a body is for a request which asks ``question``."""
    attempt = Attempt()
    attempt.asked = ([{"role": "user", "content": question}],)
    token = ATTEMPT.set(attempt)
    try:
        if is_within:
            return error_within(body, provider="mine")
        raw = json.dumps(body).encode()
        return error_for(status, {}, raw, provider="mine", now=0.0)
    finally:
        ATTEMPT.reset(token)


def saying(sign: Sign) -> str:
    return sign.phrase.replace("...", " of yours ")


def status_of(sign: Sign) -> int:
    return 404 if 400 not in sign.statuses else 400


words = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20)


@given(
    sign=st.sampled_from(PHRASES),
    before=words,
    after=words,
    frame=st.sampled_from(["Invalid input: {}", "{}", "Can't read '{}' of messages[0]", "<{}>"]),
    change=st.sampled_from([str, str.upper, str.title, lambda text: text.replace(" ", "  ")]),
)
def test_phrase_that_the_request_holds_is_no_operators_fault(
    sign: Sign, before: str, after: str, frame: str, change: Any
) -> None:
    """Whatever stands around it: an error that may quote the record is not the account's."""
    question = f"{before} {change(saying(sign))} {after}"
    quoted = frame.format(question)
    code = sign.code or "invalid_request_error"

    error = read(question, {"error": {"message": quoted, "code": code}}, status=status_of(sign))

    assert not isinstance(error, RateLimited)
    assert not isinstance(error, ProviderDenied) or type(error) is ProviderForbidden


@given(sign=st.sampled_from(CODES), change=st.sampled_from(["{}", "Bad input: {}", "{} is odd"]))
def test_code_that_the_request_holds_is_no_operators_fault(sign: Sign, change: str) -> None:
    """A record may hold an error of a vendor, as one about support tickets does."""
    question = json.dumps({"error": {"message": saying(sign), "code": sign.code}})

    error = read(question, {"error": {"message": change.format(question)}})

    assert type(error) in (ProviderForbidden, ProviderRejected)


@pytest.mark.parametrize("sign", SHARED_SIGNS, ids=lambda sign: f"{sign.vendor}-{sign.meaning}")
def test_sign_counts_where_the_request_says_something_else(sign: Sign) -> None:
    """The same words of the vendor alone are what they mean."""
    error = read(
        "What is a key?",
        {"error": {"message": saying(sign) or "no", "code": sign.code or None}},
        status=status_of(sign),
    )

    assert type(error) is not ProviderForbidden
    assert not isinstance(error, ProviderRejected)


@pytest.mark.parametrize(
    ("status", "is_quote"), [(400, True), (404, True), (403, False), (405, False)]
)
def test_words_of_the_request_are_a_quote_where_the_status_blames_it(
    status: int, is_quote: bool
) -> None:
    """A 403 blames the account, whoever else says the same words."""
    words = "Invalid API key: api key not valid"

    error = read(f"What is {words}?", {"error": {"message": words}}, status=status)

    assert type(error) is ProviderForbidden
    assert error.is_quote is is_quote


def test_code_of_the_vendor_counts_whatever_the_request_says() -> None:
    """A field of the error itself is quoted from nobody."""
    error = read("What is invalid_api_key?", {"error": {"code": "invalid_api_key", "message": "x"}})

    assert type(error) is ProviderDenied


@pytest.mark.parametrize(
    "question",
    [
        '{"error": {"code": 401, "message": "no"}}',
        '{"error": {"type": "rate_limit_error", "message": "no"}}',
        '{"message": "\\u0069ncorrect api key provided"}',
        '{"message": "inco\\u0072rect api key provided", "code": "\\u0069nvalid_api_key"}',
    ],
)
def test_error_within_an_answer_takes_no_status_of_a_quote(question: str) -> None:
    """An error inside a 200 that quotes a record has no status of that record."""
    error = read(question, {"error": {"message": f"odd input: {question}"}}, is_within=True)

    assert not isinstance(error, RateLimited)
    assert not isinstance(error, ProviderDenied) or type(error) is ProviderForbidden


@pytest.mark.parametrize(
    "refusal",
    [
        "Unsupported parameter: 'tools_x' is not supported with this model.",
        "temperature: extra inputs are not permitted",
        "This response_format type is unavailable now",
        "Invalid schema for response_format 'x'",
        "grammar error: no",
        "output_config.format: no",
        "Unrecognized request argument supplied: seed",
    ],
)
def test_quoted_refusal_of_a_parameter_teaches_nothing(refusal: str) -> None:
    """What one record says is not left out of the requests of all others."""
    body = {"error": {"message": f"Invalid content: {refusal}"}}
    signs = (*PARAMETER_SIGNS, *RESPONSE_FORMAT_SIGNS, *SCHEMA_SIGNS)
    assert any(sign.pattern.search(refusal) for sign in signs)

    assert type(read("something else", body)) is ParameterRefused
    assert type(read(f"Why does it say: {refusal}", body)) is ProviderRejected


def test_quoted_wait_holds_up_nobody() -> None:
    """A wait that a record names is not the provider's."""
    question = "It says: please try again in 900s."

    body = {"error": {"message": f"busy; got: {question}"}}
    assert read(question, body, status=429).retry_after_s is None
    assert read("something else", body, status=429).retry_after_s == 900


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["a", "bc"], "ABC"),
        ([{"role": "user", "content": "in"}, {"role": "user", "content": "valid"}], "invalid"),
        ([{"content": [{"type": "text", "text": "API-Key"}]}], "api key"),
        ([{"parameters": {"properties": {"api key expired": {}}}}], "API key expired"),
        (["\\u0061pi \\\\u006bey"], "api key"),
        (["\uff41\uff50\uff49 key"], "api key"),
    ],
)
def test_words_are_known_however_they_are_quoted(asked: Any, said: str) -> None:
    """Case, space, escapes and the borders of messages make no difference."""
    assert OwnWords(asked).hold(said)
    assert not OwnWords(asked).hold("something else")
    assert not OwnWords(asked).hold("")
