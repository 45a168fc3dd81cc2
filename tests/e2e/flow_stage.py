"""Flows on a stage: their topics, their records, and the judgement of each."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from streamapp.settings import Settings
from streamapp.streaming.broker.topics import answers_changelog
from streamapp.streaming.delivery.ledger_entry import LedgerEntry
from tests.e2e.stage import Record, Stage
from tests.support.judgement import Call, Crash, Report, judge
from tests.support.topics import administered, create_topics
from tests.support.verifier import Verifier


def merged(stage: Stage, input: str, output: str, *, step: str, **others: Any) -> dict[str, Any]:
    """Return a flow that asks for each record by its id and puts the answer into it."""
    message = {"role": "user", "content": f"{{{{ value.id }}}} {step}"}
    return {
        "input": f"{stage.prefix}.{input}",
        "output": f"{stage.prefix}.{output}",
        "from": "earliest",
        "type": "chat",
        "id": "{{ value.id }}",
        "shape": "merge",
        "merge_into": step,
        "fields": {"messages": [message]},
        **others,
    }


async def create_topic(stage: Stage, name: str, partitions: int) -> None:
    await create_topics(stage.broker.bootstrap, f"{stage.prefix}.{name}", partitions=partitions)


@asynccontextmanager
async def watched(stage: Stage, input: str, output: str) -> AsyncIterator[Verifier]:
    """Judge a flow as if its input were the requests."""
    async with Verifier(
        stage.broker.bootstrap,
        group=stage.prefix,
        requests=f"{stage.prefix}.{input}",
        responses=f"{stage.prefix}.{output}",
        dead_letters=f"{stage.prefix}.{input}-dlt",
    ) as verifier:
        yield verifier


def report_of_next(verifier: Verifier, calls: list[Call], crashes: list[Crash]) -> Report:
    """Judge a flow whose input may hold a record twice, since the flow before it was killed.

    What is due to it is one result per id, in the order in which ids come for the first time.
    """
    first = {record.id: record for record in reversed(verifier.inputs)}
    inputs = sorted(first.values(), key=lambda record: (record.partition, record.offset))
    return judge(inputs, verifier.outcomes, verifier.samples, calls=calls, crashes=crashes)


async def produce_values(
    stage: Stage,
    topic: str,
    values: Iterable[Mapping[str, Any]],
    *,
    headers: Mapping[str, Mapping[str, bytes]] | None = None,
    rate_per_s: float | None = None,
) -> None:
    """Produce values as JSON, each with its field ``key`` as key; returns when Kafka has them.

    Args:
        stage: Names the topic's prefix.
        topic: Without it.
        values: In order.
        headers: Of each record by its field ``id``, beside ``origin``.
        rate_per_s: A steady rate; as fast as it goes where None.
    """
    records = (
        Record(
            json.dumps(value).encode(),
            value["key"].encode(),
            headers=[("origin", b"shop"), *(headers or {}).get(str(value.get("id")), {}).items()],
        )
        for value in values
    )
    await stage.produce(records, topic=topic, rate_per_s=rate_per_s)


async def places_of(stage: Stage, name: str) -> list[TopicPartition]:
    return await _places(stage, f"{stage.prefix}.{name}")


async def _places(stage: Stage, topic: str) -> list[TopicPartition]:
    async with administered(stage.broker.bootstrap) as admin:
        [found] = await admin.describe_topics([topic])
    return [TopicPartition(topic, partition["partition"]) for partition in found["partitions"]]


@asynccontextmanager
async def reader_of(stage: Stage, name: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Read a topic from its first record on."""
    async with _reader(stage, f"{stage.prefix}.{name}") as (reader, _):
        yield reader


async def all_records(stage: Stage, name: str) -> Sequence[ConsumerRecord]:
    """Return all that stands on a topic."""
    return await _all(stage, f"{stage.prefix}.{name}")


async def ledger_lines(stage: Stage, flow: str) -> list[str]:
    """Return a line for each entry of a flow's ledger, for who looks for a step that is missing."""
    name = answers_changelog(Settings(_env_file=None, app_id=stage.prefix), flow)
    return [
        f"{record.key!r} at {record.partition}@{record.offset} {record.timestamp}:"
        f" {LedgerEntry.head_of(record.value)}"
        for record in await _all(stage, name)
    ]


@asynccontextmanager
async def _reader(
    stage: Stage, topic: str
) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    places = await _places(stage, topic)
    async with AIOKafkaConsumer(
        bootstrap_servers=stage.broker.bootstrap, auto_offset_reset="earliest"
    ) as reader:
        reader.assign(places)
        yield reader, places


async def _all(stage: Stage, topic: str) -> Sequence[ConsumerRecord]:
    found: list[ConsumerRecord] = []
    async with _reader(stage, topic) as (reader, places):
        ends = await reader.end_offsets(places)
        while len(found) < sum(ends.values()):
            found.append(await reader.getone())
    return found
