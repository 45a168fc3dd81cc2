"""`tail` against Apache Kafka, where a topic goes away while it is read."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from aiokafka import ConsumerRecord

from streamapp.cli.kafka import producing
from streamapp.cli.tail import _print_all
from streamapp.errors import StreamappError
from streamapp.settings import Settings
from tests.support.kafka import KafkaBroker
from tests.support.topics import create_topics, delete_topic

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

#: More than the client fetches ahead: 1 MB at a time.
RECORDS, SIZE = 20, 500_000


@pytest.mark.parametrize("is_made_anew", [False, True], ids=["deleted", "made anew"])
async def test_tail_with_exit_ends_where_its_topic_goes_away(
    kafka: KafkaBroker, is_made_anew: bool
) -> None:
    """What stood there comes no more, and is not waited for."""
    settings, topic = Settings(_env_file=None, broker=kafka.url), f"tail-{uuid4().hex[:8]}"
    bootstrap, shown = kafka.url.removeprefix("kafka://"), 0
    await create_topics(bootstrap, topic)
    async with producing(settings) as producer:
        for _ in range(RECORDS):
            await producer.send_and_wait(topic, b"x" * SIZE)

    async def delete() -> None:
        await delete_topic(bootstrap, topic)
        if is_made_anew:
            await create_topics(bootstrap, topic)

    def show(message: ConsumerRecord) -> str:
        nonlocal shown
        if not shown:  # and nothing more is read until it is gone
            with ThreadPoolExecutor() as thread:
                thread.submit(asyncio.run, delete()).result()
        shown += 1
        return ""

    why = "hands out no more" if is_made_anew else "was deleted while it was read"
    with pytest.raises(StreamappError, match=why):
        async with asyncio.timeout(30):
            await _print_all(settings, [topic], None, show, stall_s=0.5)

    assert 0 < shown < RECORDS
