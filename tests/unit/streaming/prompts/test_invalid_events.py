"""Dead letters of invalid events: once, by one worker, and noted on the topic."""

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from faust.types import TP

from streamapp.errors import DeliveryFailed
from streamapp.prompts.events import DeadLettered
from streamapp.prompts.history import History
from streamapp.streaming.prompts.invalid_events import KEY, InvalidEventDeadLetters

NOW = datetime(2030, 1, 2, tzinfo=UTC)


class Fixture:
    """A table that knows two invalid events, and a topic of dead letters.

    ``steps`` has what was written where, in order.
    """

    tp = TP("llm.prompts", 0)

    def __init__(self) -> None:
        self.history = History({})
        for offset in range(2):
            self.history.apply(offset, b"p", b"no JSON %d" % offset, [("own", b"1")])
        self.steps: list[tuple[str, object]] = []
        self.headers: list[dict[str, bytes]] = []
        self.is_mine = True
        self.error: Exception | None = None
        self.dead_letters = InvalidEventDeadLetters(
            cast(Any, self),
            self._send,
            dead_letters="llm.requests-dlt",
            is_mine=lambda: self.is_mine,
            now=lambda: NOW,
        )

    async def _send(
        self, topic: str, key: Any, value: Any, partition: Any, timestamp: Any, headers: Any, /
    ) -> asyncio.Future[Any]:
        self.steps.append((topic, (key, value, partition)))
        self.headers.append(dict(headers))
        delivery: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.error is None:
            delivery.set_result(None)
        else:
            delivery.set_exception(self.error)
        return delivery

    async def write(self, name: str, event: Any, *, timeout_s: float) -> None:
        self.steps.append((name, event))


async def test_each_event_is_dead_lettered_and_then_noted() -> None:
    """The note comes last: without it the next owner writes the dead letter again."""
    fixture = Fixture()

    await fixture.dead_letters.dead_letter()

    assert fixture.steps == [
        ("llm.requests-dlt", (b"p", b"no JSON 0", 0)),
        (KEY, DeadLettered(offset=0, created_at=NOW)),
        ("llm.requests-dlt", (b"p", b"no JSON 1", 0)),
        (KEY, DeadLettered(offset=1, created_at=NOW)),
    ]


async def test_headers_say_which_event_it_was() -> None:
    """An operator finds it on the topic of prompts; the producer's own headers stay."""
    fixture = Fixture()

    await fixture.dead_letters.dead_letter()

    headers = fixture.headers[1]
    assert headers["streamapp.error.kind"] == b"prompt_error"
    assert headers["own"] == b"1"
    assert b"llm.prompts" in headers.values()
    assert b"llm.prompts-0-1" in headers.values()


async def test_another_worker_writes_nothing() -> None:
    """All of them know the event, and one writes."""
    fixture = Fixture()
    fixture.is_mine = False

    await fixture.dead_letters.dead_letter()

    assert fixture.steps == []


async def test_dead_letter_that_was_not_delivered_is_not_noted() -> None:
    """It comes again with the next look."""
    fixture = Fixture()
    fixture.error = DeliveryFailed("down")

    with pytest.raises(DeliveryFailed):
        await fixture.dead_letters.dead_letter()

    assert [name for name, _ in fixture.steps] == ["llm.requests-dlt"]
