"""The numbers of steps: those of a record, of a task that it starts, or of one step within another.

Tasks finish in any order, so each numbers its own steps: ``2`` is the first step of a task, and
``2:2`` the one behind it. A step within step ``3`` is ``3.1``.
"""

import asyncio
from collections.abc import Callable
from functools import cache
from hashlib import blake2b

from streamapp.llm.durable.tally import Tally


class Scope:
    """The steps that are numbered together.

    Attributes:
        owner: Stands for the record whose steps they are.
        task: Which makes them; tasks that it starts have scopes of their own.
        prefix: What their numbers begin with.
        tally: What the calls in it came to; a task's are those of who started it.
        has_diverged: Whether it asked something else than before the redelivery.
    """

    __slots__ = (
        "_first", "_path", "_put_off", "begun", "has_diverged", "owner", "prefix", "tally", "task"
    )  # fmt: skip

    def __init__(
        self,
        owner: object,
        prefix: str = "",
        *,
        path: str = "",
        first: str = "1",
        tally: Tally | None = None,
    ) -> None:
        self.owner = owner
        self.task = current_task()
        self.prefix = prefix
        self.begun = 0
        self.has_diverged = False
        self.tally = tally or Tally()
        self._first = first
        self._path = path
        self._put_off: Callable[[], str] | None = None

    @property
    def is_within_step(self) -> bool:
        """Whether what is asked here is asked by a step, and not by the record itself."""
        return "." in self.prefix

    def next(self) -> str:
        """Return the number of the step that begins."""
        self.begun += 1
        return self._first if self.begun == 1 else f"{self.prefix}{self.begun}"

    def asked(self, fingerprint: Callable[[], str]) -> str:
        """Return the fingerprint of a step that begins, and of what was asked before it.

        So whatever follows another question than before is another step, too.
        """
        self._path = chained(self._asked_before(), fingerprint())
        return self._path

    def put_off(self, fingerprint: Callable[[], str]) -> Callable[[], str]:
        """Return what `asked` would, taken only if anything follows the step that begins."""
        before = self._asked_before()
        self._put_off = cache(lambda: chained(before, fingerprint()))
        return self._put_off

    def _asked_before(self) -> str:
        if self._put_off is not None:
            self._path, self._put_off = self._put_off(), None
        return self._path

    def of_task(self) -> "Scope":
        """Return the scope of a task that began in this one."""
        number = self.next()
        # The first number of a task within another is the other's first, too.
        prefix = f"{self.prefix}:" if self.prefix and number == self._first else f"{number}:"
        path = chained(self._asked_before(), number)
        return Scope(self.owner, prefix, path=path, first=number, tally=self.tally)

    def within(self, number: str, path: str) -> "Scope":
        """Return the scope of what is asked within a step."""
        return Scope(self.owner, f"{number}.", path=path, first=f"{number}.1")


def chained(path: str, fingerprint: str) -> str:
    """Return the fingerprint of a step by those before it, 32 hexadecimal digits."""
    return blake2b(f"{path}{fingerprint}".encode(), digest_size=16).hexdigest()


def is_cancelled(error: BaseException) -> bool:
    """Whether the running task is being cancelled; code may also raise that of its own accord."""
    task = current_task()
    return isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling() > 0)


def current_task() -> "asyncio.Task[object] | None":
    """Return the task that runs; None outside of a loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
