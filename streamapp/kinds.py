"""The kinds of dead letters, by the words of the contract."""

from enum import StrEnum


class Kind(StrEnum):
    """The dead-letter kinds of the contract."""

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
