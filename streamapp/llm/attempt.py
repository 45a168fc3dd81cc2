"""One attempt at a provider while it runs: whether it is answered, and how much was written."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any, Protocol

from streamapp.errors import LeaseLost
from streamapp.llm.deadline import DEADLINE
from streamapp.records.response import Usage


def _nothing() -> None:
    pass


class Attempt:
    """What is known of an attempt, however it ends.

    Attributes:
        is_answered: Whether a success was promised: from then on it is paid for.
        chars: Of the text that came of a streamed answer.
        usage: What the provider said of its tokens, also in an answer that is of no use.
        asked: What its request says, for whoever has to know an error's words from those.
        on_sign: Called at each sign of life.
        standing: As `Deadline.standing`, for its own end as well; None outside of its time.
    """

    __slots__ = ("asked", "chars", "is_answered", "on_sign", "standing", "usage")

    def __init__(self) -> None:
        self.is_answered = False
        self.chars = 0
        self.usage: Usage | None = None
        self.asked: Sequence[Any] = ()
        self.on_sign: Callable[[], None] = _nothing
        self.standing: Callable[[], AbstractContextManager[None]] | None = None


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


def refused() -> None:
    """Say that what was promised as a success holds an error: nothing was generated for it."""
    attempt = ATTEMPT.get()
    if attempt is not None and not attempt.chars:
        attempt.is_answered = False


def counted(usage: Usage) -> Usage:
    """Say what the provider says of its tokens, before anything is made of its answer.

    Args:
        usage: Of the attempt; returned as it is.
    """
    attempt = ATTEMPT.get()
    if attempt is not None:
        attempt.usage = usage
    return usage


def asked() -> Sequence[Any]:
    """Return what the request of the attempt says; nothing outside one."""
    attempt = ATTEMPT.get()
    return () if attempt is None else attempt.asked


class Right(Protocol):
    """The right to answer a record, of the worker that took it."""

    @property
    def is_valid(self) -> bool:
        """Whether it may be used now."""
        ...

    @property
    def is_ended(self) -> bool:
        """Whether it will never be valid again."""
        ...


#: Of the record that a task works on; None where nobody else could answer it.
RIGHT: ContextVar[Right | None] = ContextVar("right", default=None)


def standing() -> AbstractContextManager[None]:
    """Let no time pass inside the block for this task's attempt and record: Kafka is waited for."""
    attempt, deadline = ATTEMPT.get(), DEADLINE.get()
    if attempt is not None and attempt.standing is not None:
        return attempt.standing()
    return nullcontext() if deadline is None else deadline.standing()


#: How often an attempt that waits for its right looks again, seconds.
RIGHT_POLL_S = 0.1


async def permitted() -> None:
    """Return once an attempt may begin: what another worker answers is not paid here as well.

    Raises:
        LeaseLost: It may not any more.
    """
    right = RIGHT.get()
    if right is None or right.is_valid:
        return
    with standing():
        while not right.is_valid:
            if right.is_ended:
                raise LeaseLost("no attempt is begun for a record of another worker")
            await asyncio.sleep(RIGHT_POLL_S)
