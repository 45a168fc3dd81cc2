"""The ledger's recovery: in which order it works, and what its failures end."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError
from structlog.testing import capture_logs

from streamapp.streaming.tables.ledger_recovery import LedgerRecovery

Take = Callable[[int, int, bytes | None, bytes | None], None]


class Fixture:
    """Ledger, table and changelog in one; ``steps`` has what was done to them, in order."""

    unreadable = 0

    def __init__(self) -> None:
        self.steps: list[tuple[str, object]] = []
        self.fatal: list[BaseException] = []
        self.committed_error: Exception | None = None
        self.read_error: Exception | None = None
        self.recovery = LedgerRecovery(
            cast(Any, self),
            cast(Any, self),
            cast(Any, self),
            look_up_committed=self._look_up_committed,
            on_fatal=self.fatal.append,
        )

    def __len__(self) -> int:
        return 1

    async def _look_up_committed(self) -> None:
        self.steps.append(("committed", None))
        if self.committed_error is not None:
            raise self.committed_error

    def starts(self, partitions: set[int]) -> dict[int, int]:
        self.steps.append(("starts", set(partitions)))
        return dict.fromkeys(partitions, 5)

    def rebuild(self, partitions: set[int]) -> None:
        self.steps.append(("rebuild", set(partitions)))

    async def read(self, starts: dict[int, int], take: Take) -> dict[int, int]:
        self.steps.append(("read", dict(starts)))
        take(0, 5, b"id", b"entry")
        if self.read_error is not None:
            raise self.read_error
        return dict.fromkeys(starts, 6)

    def absorb(self, key: bytes | None, value: bytes | None) -> None:
        self.steps.append(("absorb", (key, value)))

    def was_read(self, ends: dict[int, int]) -> None:
        self.steps.append(("was_read", dict(ends)))


async def test_what_is_missing_is_read_into_a_ledger_of_these_partitions() -> None:
    """What is committed is known first: by it the ledger knows what it may forget."""
    fixture = Fixture()

    await fixture.recovery({0, 2})

    assert fixture.steps == [
        ("committed", None),
        ("starts", {0, 2}),
        ("rebuild", {0, 2}),
        ("read", {0: 5, 2: 5}),
        ("absorb", (b"id", b"entry")),
        ("was_read", {0: 6, 2: 6}),
    ]
    assert fixture.fatal == []


@pytest.mark.parametrize("error", [KafkaConnectionError(), TimeoutError()], ids=repr)
async def test_committed_offsets_that_nobody_tells_stop_no_recovery(error: Exception) -> None:
    """The ledger then remembers more than it has to; the log says so."""
    fixture = Fixture()
    fixture.committed_error = error

    with capture_logs() as lines:
        await fixture.recovery({0})

    assert lines[0]["event"] == "ledger.committed_unknown"
    assert fixture.steps[-1] == ("was_read", {0: 6})


@pytest.mark.parametrize("error", [KafkaError(), RuntimeError("a bug")], ids=repr)
async def test_changelog_that_cannot_be_read_ends_the_worker(error: Exception) -> None:
    """Without its entries records would be paid twice, and Faust alone would go on."""
    fixture = Fixture()
    fixture.read_error = error

    with pytest.raises(type(error)):
        await fixture.recovery({0})

    assert fixture.fatal == [error]
    assert "was_read" not in dict(fixture.steps)
