"""What is written to the topic of usage."""

import json
from decimal import Decimal
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError

from streamapp.llm.costs.billing import Bill, UsageMeter
from streamapp.records.response import Usage
from streamapp.streaming.delivery.usage_reports import UsageReports


class Topic:
    """Keeps records; refuses one where it is told to."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, dict[str, Any]]] = []
        self.refuses = 0

    async def send(self, topic: str, key: bytes, value: bytes, *rest: Any) -> None:
        assert (topic, rest) == ("llm.usage", (None, None, None))
        if self.refuses:
            self.refuses -= 1
            raise KafkaTimeoutError
        self.records.append((key, json.loads(value)))


def bill(model: str, tenant: str = "") -> Bill:
    return Bill("p", model, tenant, Usage(input_tokens=2, output_tokens=3), Decimal("0.5"))


@pytest.fixture
def topic() -> Topic:
    """An empty topic."""
    return Topic()


async def test_sums_are_written_once(topic: Topic) -> None:
    """A record per model and tenant, with the model as its key, and nothing twice."""
    meter = UsageMeter(now=lambda: 1_900_000_000.5)
    reports = UsageReports(meter, topic.send, topic="llm.usage")
    for one in (bill("m", "a"), bill("m", "a"), bill("m", "b"), bill("n")):
        meter(one)

    await reports.report()
    await reports.report()

    sums = [(key, body["tenant"], body["calls"], body["cost_usd"]) for key, body in topic.records]
    assert sums == [(b"m", "a", 2, "1.0"), (b"m", "b", 1, "0.5"), (b"n", "", 1, "0.5")]


async def test_an_outage_ends_nothing(topic: Topic) -> None:
    """A record that the broker does not take is missed, the next ones are written."""
    meter = UsageMeter()
    reports = UsageReports(meter, topic.send, topic="llm.usage")
    topic.refuses = 1
    meter(bill("m"))
    await reports.report()
    meter(bill("n"))

    await reports.report()

    assert [key for key, _ in topic.records] == [b"n"]
