"""A leader that moves while the group is asked for what is committed of its partitions."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError

from streamapp.streaming.consumer.fetched_records import FetchedRecords, keep_first_error
from tests.support.kafka_cluster import NODES, KafkaCluster
from tests.support.topics import administered
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(300)]

GROUP, TOPIC = "moved-leader", "moved"
PARTITIONS = [TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)]


async def _lead_both(bootstrap: str) -> int:
    """Make the topic; return the leader of its partitions, which does not coordinate the group.

    Both have the same next leader, too.
    """
    found: list[int] = []
    async with administered(bootstrap) as admin:

        async def is_coordinated() -> bool:
            try:
                found.append(await admin.find_coordinator(GROUP))
            except KafkaError:  # its topic is being made
                return False
            return True

        await until(is_coordinated, 60)
        others = [node for node in NODES if node != found[0]]
        replicas = {each.partition: [*others, found[0]] for each in PARTITIONS}
        await admin.create_topics([NewTopic(TOPIC, -1, -1, replica_assignments=replicas)])
    return others[0]


def _hold_committed(client: AIOKafkaConsumer) -> tuple[asyncio.Event, asyncio.Event]:
    """Hold back what is committed; return what tells that it was asked for, and what lets go."""
    coordinator, asked, let_go = client._coordinator, asyncio.Event(), asyncio.Event()
    fetch = coordinator._do_fetch_commit_offsets

    async def held(partitions: Any) -> Any:
        asked.set()
        await let_go.wait()
        return await fetch(partitions)

    coordinator._do_fetch_commit_offsets = held
    return asked, let_go


async def test_client_fetches_on_where_a_leader_moves_before_its_first_position(
    cluster: KafkaCluster,
) -> None:
    """Positions are then looked for twice, and neither is there: all is read from its start."""
    bootstrap = ",".join(broker.bootstrap for broker in cluster.brokers.values())
    leader = await _lead_both(bootstrap)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for tp in PARTITIONS:
            await producer.send_and_wait(TOPIC, b"record", partition=tp.partition)
    client = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=GROUP,
        auto_offset_reset="none",
        enable_auto_commit=False,
        session_timeout_ms=30_000,
        request_timeout_ms=8_000,
        metadata_max_age_ms=1_000,
    )
    await client.start()
    fetcher, known = client._fetcher, client._client.cluster
    keep_first_error(fetcher)
    asked, let_go = _hold_committed(client)
    client.subscribe([TOPIC])
    try:
        await asyncio.wait_for(asked.wait(), 60)
        assert {known.leader_for_partition(tp) for tp in PARTITIONS} == {leader}
        cluster.brokers[leader].kill9()
        await until(lambda: len(fetcher._pending_tasks) == 2, 60, state=lambda: known)
        let_go.set()

        fetched, taken = FetchedRecords(), set[TopicPartition]()

        async def are_taken() -> bool:
            taken.update(await fetched.take(client, None, timeout_s=0.2, limit=None))
            return taken == set(PARTITIONS)

        await until(are_taken, 60, state=lambda: taken)
    finally:
        await client._client.close() if fetcher._fetch_task.done() else await client.stop()
