"""A server that several processes share."""

import threading
from pathlib import Path

from tests.support.shared import Shared


class Server:
    """Notes what becomes of it; a copy of it has notes of its own."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.notes: list[str] = []

    async def start(self) -> None:
        self.notes.append("started")

    def kill9(self) -> None:
        self.notes.append("ended")


async def test_the_first_starts_it_and_the_others_find_it(tmp_path: Path) -> None:
    """There is one, and all know its port."""
    one, other = Shared[Server](tmp_path), Shared[Server](tmp_path)

    own = await one.join(lambda: Server(1))
    found = await other.join(lambda: Server(2))

    assert (own.port, own.notes) == (1, ["started"])
    assert (found.port, found.notes) == (1, [])
    other.leave()
    one.leave()


async def test_it_ends_once_all_have_left(tmp_path: Path) -> None:
    """Who has started it waits for the others, and they end nothing."""
    one, other = Shared[Server](tmp_path), Shared[Server](tmp_path)
    own = await one.join(lambda: Server(1))
    found = await other.join(lambda: Server(2))

    leaving = threading.Thread(target=one.leave)
    leaving.start()
    leaving.join(0.2)
    waits, before = leaving.is_alive(), list(own.notes)
    other.leave()
    leaving.join()

    assert waits
    assert before == ["started"]
    assert (own.notes, found.notes) == (["started", "ended"], [])


def test_who_never_joined_leaves_nothing(tmp_path: Path) -> None:
    """A process without a test that needs it ends as it would."""
    Shared[Server](tmp_path).leave()

    assert list(tmp_path.iterdir()) == []
