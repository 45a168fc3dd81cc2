"""The topics that take no record: which ones are told, and until when."""

import asyncio

from streamapp.streaming.delivery.topic_failures import UNDELIVERED_S, TopicFailures
from tests.support.virtual_time import run_virtually

TOPIC = "llm.responses"


def test_record_that_was_delivered_says_nothing_of_another_that_waits() -> None:
    """One partition can fail for long while others take all that comes."""

    async def main() -> tuple[list[str], list[str]]:
        failures = TopicFailures()
        first = failures.note(TOPIC, "NotLeader", None, partition=0)
        second = failures.note(TOPIC, "NotLeader", None, partition=3)
        await asyncio.sleep(UNDELIVERED_S)

        failures.delivered(TOPIC, first)
        left = failures.undelivered()
        failures.delivered(TOPIC, second)
        return left, failures.undelivered()

    left, none = run_virtually(main())

    assert len(left) == 1
    assert "in partitions 3:" in left[0]
    assert none == []
