"""Errors of answers, by what they mean; no text of a body gets further than here."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

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
from streamapp.llm.attempt import asked
from streamapp.llm.providers.refusals.details import Details, details_of
from streamapp.llm.providers.refusals.own_words import OwnWords
from streamapp.llm.providers.refusals.parameters import Refused, refused_parameters
from streamapp.llm.providers.refusals.response_format import refused_format
from streamapp.llm.providers.refusals.retry_after import retry_after_s, told_retry_after_s
from streamapp.llm.providers.refusals.sign import OPERATORS, SHARED, Meaning, Sign
from streamapp.llm.providers.refusals.signs_of_length import TOO_LONG
from streamapp.llm.providers.refusals.signs_of_operators import KEY, QUOTA
from streamapp.llm.providers.refusals.signs_of_policy import POLICY
from streamapp.llm.providers.refusals.signs_of_servers import RATES, TRANSIENT
from streamapp.llm.providers.refusals.signs_of_targets import ADDRESS, MODEL

#: The table, in the order in which it is looked through.
SIGNS: tuple[Sign, ...] = (
    *(*POLICY, *TOO_LONG, *TRANSIENT, *QUOTA),
    *(*KEY, *MODEL, *ADDRESS, *RATES),
)

_LEAVES: dict[Meaning, type[ProviderError]] = {
    Meaning.POLICY: ContentFiltered,
    Meaning.TOO_LONG: ContextLengthExceeded,
    Meaning.FAILED: GarbledAnswer,
    Meaning.BUSY: RateLimited,
    Meaning.DOWN: ProviderUnavailable,
    Meaning.SHORT: ProviderForbidden,
    Meaning.QUOTA: ProviderDenied,
    Meaning.KEY: ProviderDenied,
    Meaning.MODEL: ModelUnavailable,
    Meaning.ADDRESS: ProviderDenied,
}
#: An error may quote the caller's own words: what blames the operator stands near its beginning.
_HEAD_CHARS = 300
_CODE = re.compile(r"[a-z0-9_.-]{1,64}")
#: Waiting cures: 424 is TGI's failed generation, 498 Groq's lack of capacity, 499 a call that was
#: given up on the way.
_BUSY = frozenset({429, 498})
_PASSING = frozenset({408, 409, 424, 425, 499})
#: A record may be refused so; any other status is of a web server or a gateway, unless one record
#: alone gets it.
_REFUSED = frozenset({400, 404, 422})
_UNABLE = frozenset({501, 505})
#: What a web server says by itself of a path that it does not have.
_NO_WORDS = frozenset({"not found", "404 not found", "page not found", "404 page not found"})
#: Statuses of errors that name themselves, inside an answer of 200 or a stream.
_NAMED: dict[str, int] = {
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "validation": 422,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "notfounderror": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "too_many_requests": 429,
    "overloaded": 503,
    "overloaded_error": 529,
}


def error_for(
    status: int, headers: Mapping[str, str], body: bytes | Any, *, provider: str, now: float
) -> ProviderError:
    """Return the error of an answer whose status is not 200.

    Args:
        status: The HTTP status.
        headers: Of the answer, case-insensitive.
        body: Of the answer, as bytes or as parsed JSON; only a short error code of it is in the
            message.
        provider: The configured provider's name.
        now: Unix seconds.
    """
    return _error(status, headers, details_of(body, OwnWords(asked())), provider, now)


def error_within(answer: Any, *, provider: str) -> ProviderError:
    """Return the error that an answer of status 200, or an event of a stream, holds.

    It is the error that it would be by a status of its own; retryable where nothing is known.
    """
    details = details_of(answer, OwnWords(asked()))
    named = (_NAMED[code] for code in details.known_codes if code in _NAMED)
    status = details.status or next(named, None)
    if status is None:
        meaning, is_doubtful = meaning_of(400, details)
        status = 500 if meaning is None and not is_doubtful else 400
    return _error(status, {}, details, provider, 0.0)


def meaning_of(status: int, details: Details) -> tuple[Meaning | None, bool]:
    """Return what an error means by the table of signs, and whether that is in doubt.

    The meaning is None where no sign fits. It is in doubt where one fits that would punish other
    records as well, and the request says the same words: then the error may quote them.
    """
    text = details.text
    head = "\n".join(one[:_HEAD_CHARS] for one in details.texts).lower()
    is_doubtful = False
    for sign in SIGNS:
        if status not in sign.statuses or (sign.code and not details.has_code(sign.code)):
            continue
        words = head if sign.meaning in OPERATORS else text
        if sign.phrase and not _follows(words, sign.phrase):
            continue
        if sign.meaning not in SHARED or not _may_be_own(sign, details):
            return sign.meaning, False
        is_doubtful = True
    return None, is_doubtful


def _follows(text: str, phrase: str) -> bool:
    if "..." not in phrase:
        return phrase in text
    return _compiled(phrase).search(text) is not None


def _may_be_own(sign: Sign, details: Details) -> bool:
    if sign.code and details.is_own_code(sign.code):
        return True
    return any(map(details.own.hold, sign.phrase.split("...")))


@cache
def _compiled(phrase: str) -> re.Pattern[str]:
    return re.compile(r"[^\n]{0,300}?".join(map(re.escape, phrase.split("..."))))


def _error(
    status: int, headers: Mapping[str, str], details: Details, provider: str, now: float
) -> ProviderError:
    code = next((code for code in details.known_codes if _shows(code)), "")
    message = f"{provider}: HTTP {status} {code}".rstrip()
    wait_s = retry_after_s(headers, now=now)
    leaf, refused, is_known, is_quote = _leaf(status, details)
    wish = _wish_to_retry(headers)
    if leaf is RateLimited:
        wait_s = told_retry_after_s(details) if wait_s is None else wait_s
        if wish is False and wait_s is None:
            leaf = ProviderForbidden
    error = leaf(
        message,
        provider=provider,
        status=status,
        retry_after_s=wait_s,
        retryable=None if is_known or leaf is RateLimited else wish,
    )
    if isinstance(error, ParameterRefused):
        error.parameters, error.by_value = refused.names, refused.by_value
        error.beside, error.wanted = refused.beside, dict(refused.wanted) or None
    if isinstance(error, ProviderForbidden):
        error.is_quote = is_quote and status in _REFUSED  # what others say is by their status
    error.told = next(iter(details.texts), "")
    return error


def _leaf(status: int, details: Details) -> tuple[type[ProviderError], Refused, bool, bool]:
    """Return the error, what it refuses, whether more than the status tells it, and if quoted."""
    meaning, is_doubtful = meaning_of(status, details)
    refused = Refused()
    if status in _REFUSED and meaning in (None, Meaning.POLICY) and not is_doubtful:
        refused = refused_parameters(details)
        if meaning is None and not refused.names and (name := refused_format(details)):
            refused = Refused((name,))
    # LiteLLM calls a schema that Azure does not take a violation of its policy.
    if refused.names and (meaning is None or refused.names == ("json_schema",)):
        return ParameterRefused, refused, True, False
    if meaning is not None:
        return _LEAVES[meaning], Refused(), True, False
    by_status = _by_status(status, details, is_doubtful=is_doubtful)
    return by_status, Refused(), by_status is ContextLengthExceeded, is_doubtful


def _by_status(status: int, details: Details, *, is_doubtful: bool) -> type[ProviderError]:
    if status == 413:
        return ContextLengthExceeded
    if status in (401, 402):
        return ProviderDenied
    if status == 410:
        return ModelUnavailable
    if status in _BUSY:
        return RateLimited
    if status in _PASSING or (status >= 500 and status not in _UNABLE):
        return ProviderUnavailable
    if status < 400:
        # A redirect is not followed: the operator has to write the final address.
        return ProviderDenied
    if is_doubtful or status not in _REFUSED or (status == 404 and _says_nothing(details)):
        return ProviderForbidden
    return ProviderRejected


def _says_nothing(details: Details) -> bool:
    """Whether a 404 is of a web server that has no such path, as far as its words go."""
    return all(text.strip(" .!").lower() in _NO_WORDS for text in details.texts)


def _shows(code: str) -> bool:
    return _CODE.fullmatch(code) is not None and not code.isdigit()


def _wish_to_retry(headers: Mapping[str, str]) -> bool | None:
    """Return what the SDKs of OpenAI and Anthropic obey, over the status; None without it.

    Here it says nothing against a meaning that is known by words: what is too long stays so, and
    a generation that failed may end well. A 429 that is not to be tried again, and names no time,
    is no rate that waiting cures: it is the account's, unless one record alone gets it.

    Source: ``openai._base_client.BaseClient._should_retry``, openai-python 2.
    """
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())
