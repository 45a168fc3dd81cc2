"""One attempt at a provider while it runs: whether it is answered, and how much was written."""

from collections.abc import Callable
from contextvars import ContextVar


def _nothing() -> None:
    pass


class Attempt:
    """What is known of an attempt, however it ends.

    Attributes:
        is_answered: Whether a success was promised: from then on it is paid for.
        chars: Of the text that came of a streamed answer.
        on_sign: Called at each sign of life.
    """

    __slots__ = ("chars", "is_answered", "on_sign")

    def __init__(self) -> None:
        self.is_answered = False
        self.chars = 0
        self.on_sign: Callable[[], None] = _nothing


#: Of the attempt that a task makes; set by the policies around a provider.
ATTEMPT: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


def heard(text: str = "") -> None:
    """Say that the provider answers: the headers of a success, or any part of its body.

    Args:
        text: What it adds to a streamed answer.
    """
    attempt = ATTEMPT.get()
    if attempt is not None:
        attempt.is_answered = True
        attempt.chars += len(text)
        attempt.on_sign()
