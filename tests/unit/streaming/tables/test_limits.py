"""The table of learned limits, between Faust, the producer's troubles and what was learned."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import faust
import pytest
from aiokafka.errors import KafkaTimeoutError
from structlog.testing import capture_logs

from streamapp.streaming.tables.limits import LimitsTable

RECORD = (b"p/m", b"{}")


class Learned:
    """Has one record to tell until it was taken."""

    def __init__(self) -> None:
        self.news = [RECORD]
        self.heard: list[tuple[Any, Any]] = []

    def take(self) -> list[tuple[bytes, bytes]]:
        news, self.news = self.news, []
        return news

    def untold(self) -> None:
        self.news = [RECORD]

    def merge(self, key: Any, value: Any) -> None:
        self.heard.append((key, value))


class Producer:
    """Takes records, or does not."""

    def __init__(self) -> None:
        self.records: list[tuple[Any, ...]] = []
        self.is_down = False

    async def send(self, *record: Any) -> asyncio.Future[None]:
        delivery: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.is_down:
            delivery.set_exception(KafkaTimeoutError())
        else:
            self.records.append(record)
            delivery.set_result(None)
        return delivery


@pytest.fixture
async def table() -> LimitsTable:
    """A table on an app that never starts."""
    app = faust.App("t", broker="kafka://127.0.0.1:1", env={})
    app.producer = cast(Any, Producer())
    return LimitsTable(app, topic="llm.limits", learned=cast(Any, Learned()))


async def test_the_topic_is_the_changelog(table: LimitsTable) -> None:
    """Every worker has all of it: global, one partition."""
    assert table.changelog_topic_name == "llm.limits"
    assert (table.is_global, table.partitions) == (True, 1)


async def test_what_is_read_is_heard(table: LimitsTable) -> None:
    """Each record of the topic reaches what was learned."""
    message = SimpleNamespace(key=b"k", value=b"v", offset=3)

    await table.on_changelog_event(cast(Any, SimpleNamespace(message=message)))

    assert table._rows.heard == [(b"k", b"v")]  # type: ignore[attr-defined] # a fake


async def test_what_could_not_be_told_is_told_again(table: LimitsTable) -> None:
    """An outage keeps it back and loses nothing; the log says it once."""
    producer = cast(Any, table.app.producer)
    producer.is_down = True
    with capture_logs() as logs:
        await table.append()
    assert [line["event"] for line in logs] == ["limits.not_told"]

    producer.is_down = False
    await table.append()
    await table.append()

    assert producer.records == [("llm.limits", *RECORD, 0, None, None)]
