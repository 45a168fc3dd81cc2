"""The Kafka client of a worker, as its own thread has started it at a broker."""

from typing import Any

import faust
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from streamapp.settings import Settings
from streamapp.streaming.broker.embedded import EmbeddedBroker
from streamapp.streaming.flows.assignor import HeldPartitions
from streamapp.streaming.window.membership import Membership
from tests.support.own_consumer import consumer_of

pytestmark = pytest.mark.embedded


async def test_started_client_keeps_the_first_error_of_a_partition() -> None:
    """A second one, as where a leader moves, would end its fetching, and the worker."""
    with EmbeddedBroker() as broker:
        app: Any = faust.App("client-start", broker=broker.url, env={})
        app.settings = Settings(broker=broker.url)
        app.held, app.membership = HeldPartitions(), Membership()

        thread: Any = consumer_of(app)._thread
        tp = TopicPartition("t", 0)
        first = OffsetOutOfRangeError({tp: 0})

        async def fail_twice() -> Any:
            fetcher = thread._ensure_consumer()._fetcher
            fetcher._set_error(tp, first)
            fetcher._set_error(tp, NoOffsetForPartitionError(tp))
            return fetcher._records[tp]._error  # in one turn: it forgets what is not assigned

        await thread.start()
        try:
            assert await thread.call_thread(fail_twice) is first
        finally:
            await thread.stop()
