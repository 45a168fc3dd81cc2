"""A sign: words in a vendor's error that say what the error means."""

from dataclasses import KW_ONLY, dataclass
from enum import StrEnum


class Meaning(StrEnum):
    """Meanings of errors, in the order in which they are looked for."""

    POLICY = "policy"
    """The provider's rules refuse the input or the answer."""
    TOO_LONG = "too long"
    """The input does not fit the model, or can never fit the account's limits."""
    FAILED = "failed generation"
    """The model wrote something that the provider itself could not use."""
    BUSY = "busy"
    """Waiting helps: a rate, a capacity."""
    DOWN = "server down"
    """The server itself failed, although the status blames the request; waiting helps."""
    SHORT = "too little left"
    """The account has too little left for this record; for a shorter one it may suffice."""
    QUOTA = "quota"
    """The account has no money or allowance left."""
    KEY = "key"
    """The key or the account may not call at all."""
    MODEL = "model"
    """The model was retired, or never was there."""
    ADDRESS = "address"
    """Nothing answers calls at this address."""


#: Meanings that the operator must act on, whatever the record holds.
OPERATORS = frozenset({Meaning.QUOTA, Meaning.KEY, Meaning.MODEL, Meaning.ADDRESS})

#: Meanings that punish more records than the refused one.
SHARED = OPERATORS | {Meaning.BUSY, Meaning.DOWN}

#: Where a sign counts that names no statuses of its own.
CLIENT_ERRORS = frozenset(range(400, 500))
#: Where a sign counts that servers and proxies also give with an error of their own.
ANY_ERROR = frozenset(range(400, 600))


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign; an error has it where its code is ``code`` and its message holds ``phrase``.

    Attributes:
        meaning: What an error with it means.
        vendor: Who writes it.
        source: Where it was seen.
        seen: Date of the source, ``YYYY-MM-DD`` or ``YYYY-MM``.
        code: A value of the error's code, type, status or reason, in lower case; empty for any.
        phrase: Words of its message, in lower case, ``...`` for anything between; empty for any.
        statuses: HTTP statuses that it counts with.
    """

    meaning: Meaning
    vendor: str
    source: str
    seen: str
    _: KW_ONLY
    code: str = ""
    phrase: str = ""
    statuses: frozenset[int] = CLIENT_ERRORS
