"""The kinds of dead letters: why a record has no answer."""

from enum import StrEnum


class Kind(StrEnum):
    """The words of headers, metrics and HTTP, which users' programs compare: none is changed."""

    UNDECODABLE = "undecodable"
    INVALID = "invalid"
    UNKNOWN_TYPE = "unknown_type"
    PROMPT_ERROR = "prompt_error"
    REJECTED = "rejected"
    CONTENT_FILTERED = "content_filtered"
    CONTEXT_LENGTH = "context_length"
    OUTPUT_INVALID = "output_invalid"
    TOO_LARGE = "too_large"
    EXPIRED = "expired"
    RETRIES_EXHAUSTED = "retries_exhausted"
    BUDGET_EXCEEDED = "budget_exceeded"
    STEP_LIMIT = "step_limit"
    INTERNAL = "internal"
