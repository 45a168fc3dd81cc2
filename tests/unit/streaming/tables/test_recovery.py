"""The start of the tables."""

from types import SimpleNamespace
from typing import Any, cast

from faust.tables import TableManager
from mode.utils.times import Seconds

from streamapp.streaming.tables.recovery import Tables


class Watched(Tables):
    """Notes what a start does, and does nothing of it."""

    def __init__(self) -> None:
        self.did: list[str] = []

    async def sleep(self, n: Seconds) -> None:
        self.did.append(f"slept {n}")

    async def _update_channels(self) -> None:
        self.did.append("registered")

    @property
    def recovery(self) -> Any:
        async def start() -> None:
            self.did.append("recovery started")

        return SimpleNamespace(start=start)


async def test_tables_are_registered_without_a_sleep() -> None:
    """A worker joins its group as soon as it can."""
    tables = Watched()

    await tables.on_start()

    assert tables.did == ["registered", "recovery started"]


async def test_faust_does_the_same_after_a_sleep() -> None:
    """What Faust does at the start is what we do, but for the second that it waits."""
    tables = Watched()
    tables.__dict__["_stopped"] = SimpleNamespace(is_set=lambda: False)
    tables.__dict__["_crashed"] = SimpleNamespace(is_set=lambda: False)

    await TableManager.on_start(cast(TableManager, tables))

    assert tables.did == ["slept 1.0", "registered", "recovery started"]
