"""The lines before a limit, which are served in turns."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Lines(Generic[T]):
    """Two lines, each in its order: of calls that a caller waits for, and of all others.

    While both are there either has every other turn, so that no backlog of records keeps whoever
    asks over HTTP from an answer in time.
    """

    def __init__(self) -> None:
        self._lines: tuple[deque[T], deque[T]] = (deque(), deque())
        self._next = 0
        self._gone = 0

    def __bool__(self) -> bool:
        return bool(self._lines[0] or self._lines[1])

    def __len__(self) -> int:
        """How many wait; those who have gone stay in their places until it would be their turn."""
        return max(len(self._lines[0]) + len(self._lines[1]) - self._gone, 0)

    def append(self, one: T, *, is_waited_for: bool) -> None:
        """Let ``one`` stand at the end of its line."""
        self._lines[is_waited_for].append(one)

    def gone(self) -> None:
        """Say that one waits no more whose turn has not come."""
        self._gone += 1

    def first(self) -> tuple[bool, T]:
        """Return whose turn it is, and whether a caller waits for it; one at least is there."""
        line = self._next if self._lines[self._next] else 1 - self._next
        return bool(line), self._lines[line][0]

    def pop(self, *, is_waited_for: bool, is_gone: bool) -> None:
        """Take the first one out of its line; the next turn is the other's, unless it had gone."""
        self._lines[is_waited_for].popleft()
        if is_gone:
            self._gone -= 1
        else:
            self._next = 1 - is_waited_for
