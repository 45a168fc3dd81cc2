"""Groups of the embedded broker: joins that take their time, and a leader that stopped in one."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest

from streamapp.settings import Settings
from streamapp.streaming.broker.embedded import EmbeddedBroker
from streamapp.streaming.consumer.group_refusals import replace_lost_leader
from streamapp.streaming.consumer.request_limits import group_waits
from tests.support.waiting import until

pytestmark = pytest.mark.embedded

GROUP, TOPIC, PARTITIONS = "g", "t", 4
SESSION_MS = 6_000


def join(member: str) -> Any:
    protocols = [("roundrobin", b"")]
    return JoinGroupRequest(GROUP, SESSION_MS, 30_000, member, None, "consumer", protocols)


async def connected(bootstrap: str) -> tuple[AIOKafkaClient, int]:
    """Return a client with the id of its only broker."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    return client, next(iter(client.cluster.brokers())).nodeId


async def lose_the_leader(bootstrap: str) -> None:
    """Join as the only member, and leave before anything is assigned."""
    client, node = await connected(bootstrap)
    member = (await client.send(node, join(""))).member_id
    assert (await client.send(node, join(member))).leader_id == member
    assert (await client.send(node, LeaveGroupRequest(GROUP, member))).error_code == 0
    await client.close()


async def test_a_join_of_the_embedded_broker_is_waited_for() -> None:
    """It takes half of the session; given up before that, a worker never got into its group."""
    with EmbeddedBroker() as broker:
        client, node = await connected(broker.url.removeprefix("kafka://"))
        member = (await client.send(node, join(""))).member_id
        assert (await client.send(node, join(member))).error_code == 0
        await client.close()

        assert await group_waits(Settings(broker=broker.url, app_id=GROUP))


@pytest.mark.timeout(150)
@pytest.mark.parametrize("members", [1, 2])
async def test_a_member_takes_the_place_of_the_leader(members: int) -> None:
    """The group named the one that had left to whoever joined, for ever.

    Two that each did something in its name undid each other's.
    """
    with EmbeddedBroker() as broker:
        bootstrap = broker.url.removeprefix("kafka://")
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
        await admin.close()
        await lose_the_leader(bootstrap)

        async with AsyncExitStack() as running:
            consumers = []
            for _ in range(members):
                consumer = AIOKafkaConsumer(
                    bootstrap_servers=bootstrap, group_id=GROUP, session_timeout_ms=SESSION_MS
                )
                await consumer.start()
                running.push_async_callback(consumer.stop)
                # As in `GroupMemberThread.on_start`: before the first join.
                replace_lost_leader(consumer._coordinator)
                consumer.subscribe([TOPIC])
                consumers.append(consumer)
            # All of them once: each partition has one owner.
            await until(
                lambda: (
                    sorted(tp.partition for one in consumers for tp in one.assignment())
                    == list(range(PARTITIONS))
                ),
                100,
            )
