"""The guard's moves on the topic, and what the log says of them."""

from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from streamapp.errors import ContextLengthExceeded, DeliveryFailed
from streamapp.prompts.events import Event, encode
from streamapp.prompts.fold import EventOutcome
from streamapp.prompts.guard import Guard
from streamapp.prompts.history import History
from streamapp.prompts.variants import Variants
from streamapp.streaming.prompts.auto_rollback import roll_back
from tests.unit.prompts.test_fold import label, publish

REASON = "6 of 6 records failed with version 2"


class Table:
    """A registry in which others may be faster, or whose broker takes nothing."""

    def __init__(self) -> None:
        self.history = History({})
        self.faster: Event | None = None
        self.failure: Exception | None = None

    def apply(self, event: Event) -> EventOutcome:
        offset = self.history.position
        self.history.apply(offset, b"haiku", encode(event))
        outcome = self.history.outcome(offset)
        assert outcome is not None
        return outcome

    async def write(self, name: str, event: Event, *, timeout_s: float) -> EventOutcome:
        if self.failure:
            raise self.failure
        if self.faster:
            self.apply(self.faster)
        return self.apply(event)


async def logged(table: Table) -> list[Any]:
    """Let version 2 fail in production, and return what the log says of the guard's look."""
    guarded = {"guard": {"calls": 6, "error_rate": 0.2}}
    for event in (publish("a"), publish("b", settings=guarded), label("production", 2)):
        table.apply(event)
    variants = Variants()
    guard = Guard(variants, now=lambda: datetime(2030, 1, 1, tzinfo=UTC))
    await roll_back(guard, table)
    for _ in range(6):
        variants.failed("haiku", 2, "production", ContextLengthExceeded("x", provider="p"))
    with structlog.testing.capture_logs() as lines:
        await roll_back(guard, table)
        await roll_back(guard, table)
    return lines


@pytest.fixture
def table() -> Table:
    """A registry that nobody else writes to."""
    return Table()


async def test_a_roll_back_is_told_with_both_versions_and_the_reason(table: Table) -> None:
    """Once, by the worker whose move it was."""
    assert await logged(table) == [
        {
            "event": "prompts.guard_rolled_back",
            "log_level": "warning",
            "prompt": "haiku",
            "label": "production",
            "from_version": 2,
            "to_version": 1,
            "reason": REASON,
        }
    ]
    assert table.history.prompts["haiku"].moved["production"].message == REASON


async def test_a_move_of_another_worker_is_not_told_again(table: Table) -> None:
    """Its guard was faster, or a person."""
    table.faster = label("production", 1, author="guard")

    assert await logged(table) == []


async def test_a_move_that_is_not_written_is_told_as_such(table: Table) -> None:
    """The label is where it was, and the guard tries again."""
    table.failure = DeliveryFailed("x")

    first, second = await logged(table)

    assert (first["event"], first["reason"]) == ("prompts.guard_failed", REASON)
    assert first == second
