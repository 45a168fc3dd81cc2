"""What is written to the topic of usage."""

import asyncio
import json
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError
from structlog.testing import capture_logs

from streamapp.llm.costs.billing import Bill, UsageMeter
from streamapp.records.response import Usage
from streamapp.streaming.delivery.usage_reports import AWAY_S, CLOSE_S, UsageReports
from tests.support.virtual_time import run_virtually, virtual_clock


class Topic:
    """Keeps records; refuses what is buffered, or loses it on its way, where it is told to."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, dict[str, Any]]] = []
        self.refuses = self.loses = 0
        self.silence_s = 0.0

    async def send(self, topic: str, key: bytes, value: bytes, *rest: Any) -> Awaitable[None]:
        assert (topic, rest) == ("llm.usage", (None, None, None))
        if self.refuses:
            self.refuses -= 1
            raise KafkaTimeoutError
        return self._deliver(key, value)

    async def _deliver(self, key: bytes, value: bytes) -> None:
        if self.loses:
            self.loses -= 1
            raise KafkaTimeoutError
        self.records.append((key, json.loads(value)))

    def reports(self, meter: UsageMeter) -> UsageReports:
        """Return reports of the meter to this topic."""
        return UsageReports(meter, self.send, topic="llm.usage", silence_s=lambda: self.silence_s)


def bill(model: str, tenant: str = "") -> Bill:
    return Bill("p", model, tenant, Usage(input_tokens=2, output_tokens=3), Decimal("0.5"))


@pytest.fixture
def topic() -> Topic:
    """An empty topic."""
    return Topic()


async def test_sums_are_written_once(topic: Topic) -> None:
    """A record per model and tenant, with the model as its key, and nothing twice."""
    meter = UsageMeter(now=lambda: 1_900_000_000.5)
    reports = topic.reports(meter)
    for one in (bill("m", "a"), bill("m", "a"), bill("m", "b"), bill("n")):
        meter(one)

    await reports.report()
    await reports.report()

    sums = [(key, body["tenant"], body["calls"], body["cost_usd"]) for key, body in topic.records]
    assert sums == [(b"m", "a", 2, "1.0"), (b"m", "b", 1, "0.5"), (b"n", "", 1, "0.5")]


@pytest.mark.parametrize("how", ["refuses", "loses"])
async def test_what_is_missing_is_told(topic: Topic, how: str) -> None:
    """A record that the broker does not take is named by its sums, the next ones are written."""
    meter = UsageMeter()
    reports = topic.reports(meter)
    setattr(topic, how, 1)
    for one in (bill("m"), bill("m"), bill("n")):
        meter(one)

    with capture_logs() as logs:
        await reports.report()
        meter(bill("n"))
        await reports.report()

    assert [key for key, _ in topic.records] == [b"n", b"n"]
    [told] = logs
    assert (told["event"], told["calls"], told["cost_usd"]) == ("usage.not_delivered", 2, "1.0")


async def test_sums_are_kept_while_the_broker_is_away(topic: Topic) -> None:
    """An outage of half a minute cost the usage of all its calls."""
    meter = UsageMeter()
    reports = topic.reports(meter)
    topic.silence_s = AWAY_S + 1
    meter(bill("m"))
    await reports.report()
    assert not topic.records

    topic.silence_s = 0.5
    await reports.report()

    assert [body["calls"] for _, body in topic.records] == [1]


async def test_last_sums_are_written_however_long_nobody_asked_the_broker(topic: Topic) -> None:
    """Through a drain nothing is heard of it, and each stop told of usage that was there."""
    meter = UsageMeter()
    topic.silence_s = AWAY_S + 1
    meter(bill("m"))

    with capture_logs() as logs:
        await topic.reports(meter).aclose()

    assert [body["calls"] for _, body in topic.records] == [1]
    assert not logs


def test_last_sums_that_nobody_takes_are_told() -> None:
    """A worker that stops away from its broker waits a little, and says what may be missing."""
    buffered = list[bytes]()

    async def send(topic: str, key: bytes, *rest: Any) -> Awaitable[None]:
        buffered.append(key)
        return asyncio.Future()

    async def close() -> None:
        meter = UsageMeter()
        meter(bill("m"))
        await UsageReports(meter, send, topic="llm.usage", silence_s=lambda: 0.0).aclose()
        assert virtual_clock() == CLOSE_S

    with capture_logs() as logs:
        run_virtually(close())

    assert buffered == [b"m"]
    assert [line["event"] for line in logs] == ["usage.not_delivered"]
