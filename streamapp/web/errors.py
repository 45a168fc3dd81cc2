"""Errors over HTTP: OpenAI's body, a status for each kind, never a value of the request."""

import math
from collections.abc import Mapping

from aiohttp import web

from streamapp.errors import Failure, Kind, ModelForbidden, PromptNotFound, ProviderError

STATUS: Mapping[Kind, int] = {
    Kind.UNDECODABLE: 422,
    Kind.INVALID: 422,
    Kind.UNKNOWN_TYPE: 422,
    Kind.PROMPT_ERROR: 422,
    Kind.REJECTED: 422,
    Kind.CONTENT_FILTERED: 422,
    Kind.CONTEXT_LENGTH: 422,
    Kind.OUTPUT_INVALID: 422,
    Kind.TOO_LARGE: 413,
    Kind.EXPIRED: 504,
    Kind.RETRIES_EXHAUSTED: 503,
    Kind.BUDGET_EXCEEDED: 429,
    Kind.STEP_LIMIT: 422,
    Kind.INTERNAL: 500,
}

#: Wished wait where the provider named none, seconds.
RETRY_AFTER_S = 5


class Refusal(Exception):
    """What HTTP itself refuses, before there is a record that could fail."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.response = error_response(status, message, code=code, param=param, headers=headers)


def error_response(
    status: int,
    message: str,
    *,
    code: str,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Return ``{"error": {...}}`` with OpenAI's ``type`` for the status."""
    body = error_body(status, message, code=code, param=param)
    return web.json_response(body, status=status, headers=headers)


def error_body(
    status: int, message: str, *, code: str, param: str | None = None
) -> dict[str, dict[str, str | None]]:
    """Return OpenAI's error object."""
    return {
        "error": {"message": message, "type": _type(status, code), "param": param, "code": code}
    }


def failure_response(failure: Failure) -> web.Response:
    """Return the response for a record that failed; ``code`` is its dead-letter kind."""
    status = failure_status(failure)
    return error_response(
        status,
        _message(failure),
        code=_code(failure),
        headers={"Retry-After": str(_retry_after_s(failure))} if status == 503 else None,
    )


def failure_body(failure: Failure) -> dict[str, dict[str, str | None]]:
    """Return the error object alone, for a stream that has begun already."""
    return error_body(failure_status(failure), _message(failure), code=_code(failure))


def http_error_response(error: web.HTTPException) -> web.Response:
    """Return the response for what aiohttp itself refuses: path, method, size of the body."""
    too_large = error.status == 413
    allow = error.headers.get("Allow")
    return error_response(
        error.status,
        "the body is larger than 2 MiB" if too_large else error.reason,
        code=Kind.TOO_LARGE.value if too_large else error.reason.lower().replace(" ", "_"),
        headers={"Allow": allow} if allow else None,
    )


def failure_status(failure: Failure) -> int:
    """Return the status of a record's failure."""
    match failure:
        case PromptNotFound():
            return 404
        case ModelForbidden():
            return 403
    return STATUS[failure.kind]


def _code(failure: Failure) -> str:
    return "forbidden" if isinstance(failure, ModelForbidden) else failure.kind.value


def _message(failure: Failure) -> str:
    return "internal error" if failure.kind is Kind.INTERNAL else str(failure)


def _type(status: int, code: str) -> str:
    if status >= 500:
        return "server_error"
    if status == 429:  # clients give a quota up, and come again after a rate limit
        is_quota = code == Kind.BUDGET_EXCEEDED.value
        return "insufficient_quota" if is_quota else "rate_limit_error"
    return "invalid_request_error"


def _retry_after_s(failure: Failure) -> int:
    """Return the last provider's own wish, in whole seconds."""
    for error in (failure, failure.__cause__):
        if isinstance(error, ProviderError) and error.retry_after_s:
            return math.ceil(error.retry_after_s)
    return RETRY_AFTER_S
