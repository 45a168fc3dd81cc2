"""Topics as a test wants them: each change returns once the broker holds to it.

In KRaft a controller answers first, and the broker applies what it decided some time later: until
then a topic that was made is unknown, and one that was altered or deleted is as it was before.
"""

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.support.waiting import until

APPLIED_S = 60


@asynccontextmanager
async def administered(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Yield a started admin client; `bootstrap` is `HOST:PORT`."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def create_topics(
    bootstrap: str,
    *names: str,
    partitions: int = 1,
    configs: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Create topics and wait until each partition has its leader.

    Args:
        bootstrap: `HOST:PORT` of the broker.
        names: Of the topics. One that is still being deleted is created after that.
        partitions: Of each topic.
        configs: Configuration by name of the topic; in force from the first record on.
    """
    configs = configs or {}
    async with administered(bootstrap) as admin:
        missing = list(names)

        async def are_created() -> bool:
            topics = [
                NewTopic(name, partitions, 1, topic_configs=dict(configs.get(name, {})))
                for name in missing
            ]
            answer = await admin.create_topics(topics)
            missing[:] = [name for name, code, *_ in answer.topic_errors if code]
            return not missing

        await until(are_created, APPLIED_S, state=lambda: f"not created: {missing}")
        for name in names:
            await _until_partitions(admin, name, partitions)


async def add_partitions(bootstrap: str, topic: str, count: int) -> None:
    """Have a topic of `count` partitions."""
    async with administered(bootstrap) as admin:
        await admin.create_partitions({topic: NewPartitions(count)})
        await _until_partitions(admin, topic, count)


async def delete_topic(bootstrap: str, topic: str) -> None:
    """Delete a topic; no record is taken by it any more."""
    async with administered(bootstrap) as admin:
        await admin.delete_topics([topic])

        async def is_gone() -> bool:
            return bool((await _described(admin, topic))["error_code"])

        await until(is_gone, APPLIED_S, state=lambda: f"{topic} is there")
        await _until_published(admin)


async def delete_records(bootstrap: str, topic: str, partition: int, *, before: int) -> None:
    """Delete the records of a partition below an offset."""
    async with administered(bootstrap) as admin:
        await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before)})


async def alter_topic(bootstrap: str, topic: str, configs: Mapping[str, str]) -> None:
    """Give a topic this configuration and no other; the next record meets it."""
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs=dict(configs))
    async with administered(bootstrap) as admin:
        [answer] = await admin.alter_configs([resource])
        assert not any(code for code, *_ in answer.resources), answer

        async def is_known() -> bool:
            [described] = await admin.describe_configs([resource])
            [(_, _, _, _, entries)] = described.resources
            return dict(configs) == {name: value for name, value, *_ in entries}

        await until(is_known, APPLIED_S, state=lambda: f"{topic} without {dict(configs)}")
        await _until_published(admin)


async def _described(admin: AIOKafkaAdminClient, topic: str) -> dict[str, Any]:
    [described] = await admin.describe_topics([topic])
    return dict(described)


async def _until_partitions(admin: AIOKafkaAdminClient, topic: str, count: int) -> None:
    async def are_led() -> bool:
        described = await _described(admin, topic)
        led = [each for each in described["partitions"] if not each["error_code"]]
        return not described["error_code"] and len(led) == count

    await until(are_led, APPLIED_S, state=lambda: f"{topic} without {count} partitions")


async def _until_published(admin: AIOKafkaAdminClient) -> None:
    """Wait until the broker has applied what its metadata show.

    It shows a change, then applies it, and only then takes up the next one: a topic made anew.
    """
    marker = f"published-{uuid.uuid4().hex[:8]}"
    await admin.create_topics([NewTopic(marker, 1, 1)])
    await _until_partitions(admin, marker, 1)
