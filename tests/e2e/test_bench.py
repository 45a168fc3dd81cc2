"""The test bench itself: the broker that all other files here stand on."""

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


async def test_broker_keeps_acknowledged_records_when_killed(own_kafka: KafkaBroker) -> None:
    """An acknowledged record is there again after `kill -9` and a start on the same data."""
    await own_kafka.start()
    admin = AIOKafkaAdminClient(bootstrap_servers=own_kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("t", 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap) as producer:
        first = await producer.send_and_wait("t", b"one")

    own_kafka.kill9()
    await own_kafka.start()

    async with AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap) as producer:
        second = await producer.send_and_wait("t", b"two")
    assert (first.offset, second.offset) == (0, 1)
