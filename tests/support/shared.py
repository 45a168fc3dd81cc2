"""A server that all processes of a test run share: one each would cost a start and idle threads."""

import fcntl
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import IO, Generic, Protocol, TypeVar

import pytest


class Server(Protocol):
    """What all may know of it before it is started, and its start and end."""

    async def start(self) -> None:
        """Start it and wait until it can be used."""
        ...

    def kill9(self) -> None:
        """End it at once."""
        ...


T = TypeVar("T", bound=Server)


def processes(config: pytest.Config) -> tuple[int, int]:
    """Return which of the run's processes this is, from 0, and how many there are."""
    given = getattr(config, "workerinput", {"workerid": "gw0", "workercount": 1})
    count = int(given["workercount"])
    # One that takes the place of one that has died is counted on.
    return int(given["workerid"].removeprefix("gw")) % count, count


class Shared(Generic[T]):
    """One process's part in it.

    Args:
        folder: The same for all of a run, and there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own: T | None = None
        self._users: IO[str] | None = None

    async def join(self, make: Callable[[], T]) -> T:
        """Return the server, which the first to join has started.

        Args:
            make: Returns it, not yet started.
        """
        self._users = (self._folder / "users.lock").open("w")
        fcntl.flock(self._users, fcntl.LOCK_SH)
        made = self._folder / "made"
        with (self._folder / "start.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if made.exists():
                found: T = pickle.loads(made.read_bytes())
                return found
            self._own = make()
            said = pickle.dumps(self._own)
            await self._own.start()
            made.write_bytes(said)
            return self._own

    def leave(self) -> None:
        """Use it no more; who has started it ends it, once all others have left or died."""
        if self._users is None:
            return
        with self._users:
            if self._own is not None:
                fcntl.flock(self._users, fcntl.LOCK_EX)
                self._own.kill9()
