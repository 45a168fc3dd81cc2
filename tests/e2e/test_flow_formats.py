"""Flows over a real schema registry, written and read by confluent-kafka's own serializers."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from tests.e2e.stage import Stage
from tests.support.kafka import KafkaBroker
from tests.support.registry import SchemaRegistryProcess
from tests.support.shop_messages import Order, Review
from tests.support.topics import create_topics
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

FIELDS: list[Any] = [
    {"name": "id", "type": "string"},
    {
        "name": "price",
        "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 4},
    },
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "raw", "type": "bytes"},
]


def _review(*more: Any) -> str:
    return json.dumps({"type": "record", "name": "Review", "fields": [*FIELDS, *more]})


FIRST = _review()
EVOLVED = _review({"name": "shop", "type": "string", "default": "none"})
ANSWERED = _review(
    {"name": "shop", "type": "string", "default": "none"}, {"name": "reply", "type": "string"}
)
KEY = json.dumps(
    {"type": "record", "name": "Key", "fields": [{"name": "customer", "type": "string"}]}
)
ORDER = json.dumps(
    {
        "title": "Order",
        "type": "object",
        "properties": {"id": {"type": "string"}, "price": {"type": "number"}},
        "required": ["id"],
    }
)
EVOLVED_ORDER = json.dumps(
    {
        "title": "Order",
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "price": {"type": "number"},
            "note": {"type": "string"},
        },
        "required": ["id", "note"],
    }
)
ANSWERED_ORDER = json.dumps(
    {
        "title": "AnsweredOrder",
        "type": "object",
        "properties": {"id": {"type": "string"}, "reply": {"type": "string"}},
        "required": ["id", "reply"],
    }
)


def _value(n: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"r-{n}",
        "price": Decimal(n) + Decimal("0.1000"),
        "at": datetime(2026, 1, 2, 3, 4, 5, n, tzinfo=UTC),
        "raw": bytes([0, 255, n]),
        **more,
    }


class Registry:
    """What a user's own programs do with a registry."""

    def __init__(self, client: SchemaRegistryClient) -> None:
        self.client = client

    def avro(self, topic: str, schema: str, value: Any, field: Any = MessageField.VALUE) -> bytes:
        return self._written(AvroSerializer(self.client, schema), topic, value, field)

    def json(self, topic: str, schema: str, value: Any) -> bytes:
        serializer = JSONSerializer(schema, self.client)
        return self._written(serializer, topic, value, MessageField.VALUE)

    def read_avro(self, topic: str, value: bytes, field: Any = MessageField.VALUE) -> Any:
        return AvroDeserializer(self.client)(value, SerializationContext(topic, field))

    def read_json(self, topic: str, schema: str, value: bytes) -> Any:
        context = SerializationContext(topic, MessageField.VALUE)
        return JSONDeserializer(schema, schema_registry_client=self.client)(value, context)

    def protobuf(self, topic: str, message: Any) -> bytes:
        serializer = ProtobufSerializer(type(message), self.client)
        return self._written(serializer, topic, message, MessageField.VALUE)

    def read_protobuf(self, topic: str, kind: Any, value: bytes) -> Any:
        context = SerializationContext(topic, MessageField.VALUE)
        return ProtobufDeserializer(kind, {}, self.client)(value, context)

    def _written(self, serializer: Callable[..., Any], topic: str, value: Any, field: Any) -> bytes:
        written: bytes = serializer(value, SerializationContext(topic, field))
        return written


def _flow(stage: Stage, input: str, output: str, **others: Any) -> dict[str, Any]:
    message = {"role": "user", "content": "{{ value.id }} reply"}
    return {
        "input": f"{stage.prefix}.{input}",
        "output": f"{stage.prefix}.{output}",
        "from": "earliest",
        "type": "chat",
        "shape": "merge",
        "merge_into": "reply",
        "fields": {"messages": [message]},
        **others,
    }


async def test_flows_over_a_schema_registry(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Avro with an evolving schema and keys, JSON Schema and Debezium; a registry that is away.

    While it is away the flow that needs it waits, says so, and dead-letters nothing; another flow
    goes on.
    """
    process = SchemaRegistryProcess(tmp_path / "registry")
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        try:
            await process.start()
            await _run(stage, process, tmp_path)
        finally:
            process.process.kill9()


async def _run(stage: Stage, process: SchemaRegistryProcess, tmp_path: Path) -> None:
    with SchemaRegistryClient({"url": process.url}) as client:
        await _flow_over(stage, process, Registry(client), tmp_path)


async def _flow_over(
    stage: Stage, process: SchemaRegistryProcess, registry: Registry, tmp_path: Path
) -> None:
    reviews, replies = f"{stage.prefix}.reviews", f"{stage.prefix}.replies"
    orders, answered = f"{stage.prefix}.orders", f"{stage.prefix}.answered"
    (tmp_path / "answered.json").write_text(ANSWERED_ORDER)
    subject = f"{replies}-value"
    await asyncio.to_thread(registry.client.register_schema, subject, Schema(ANSWERED, "AVRO"))
    framed = {
        "format": "avro",
        "output_format": "avro",
        "key_format": "avro",
        "tenant": "{{ key.customer }}",
    }
    in_json = {
        "format": "json-schema",
        "output_format": "json-schema",
        "output_schema": str(tmp_path / "answered.json"),
        "register_schemas": True,
    }
    flows = {
        "reviews": _flow(stage, "reviews", "replies", **framed),
        "orders": _flow(stage, "orders", "answered", **in_json),
        "rows": _flow(stage, "rows", "rows-answered", unwrap="debezium"),
    }
    async with AIOKafkaProducer(bootstrap_servers=stage.broker.bootstrap) as producer:
        await _create(stage, "reviews", "orders", "rows")
        worker = await stage.ready_worker(flows=json.dumps(flows), schema_registry_url=process.url)

        async def review(n: int, schema: str, **more: Any) -> bytes:
            key = registry.avro(reviews, KEY, {"customer": f"c-{n % 2}"}, MessageField.KEY)
            value = await asyncio.to_thread(registry.avro, reviews, schema, _value(n, **more))
            await producer.send_and_wait(reviews, value, key=key)
            return key

        keys = [await review(n, FIRST) for n in range(4)]
        order = await asyncio.to_thread(
            registry.json, orders, ORDER, {"id": "o-1", "price": 1.5, "big": 12345678901234567890}
        )
        await producer.send_and_wait(orders, order, key=b"o-1")
        await producer.send_and_wait(reviews, b"\x00\x00\x01\x86\x9f?", key=b"unknown schema")
        row = {"op": "c", "before": None, "after": {"id": "row-1"}, "source": {}}
        await producer.send_and_wait(f"{stage.prefix}.rows", json.dumps(row).encode(), key=b"k")
        gone = json.dumps({"op": "d", "before": {"id": "row-1"}, "after": None}).encode()
        await producer.send_and_wait(f"{stage.prefix}.rows", gone, key=b"k")
        await producer.send_and_wait(f"{stage.prefix}.rows", None, key=b"k")
        first = await _read(stage, "replies", 4)
        [order_answered] = await _read(stage, "answered", 1)
        [unknown] = await _read(stage, "reviews-dlt", 1)

        # A schema that the worker does not know yet is written, and the registry goes away.
        evolved = await asyncio.to_thread(registry.avro, reviews, EVOLVED, _value(4, shop="north"))
        process.process.sigstop()
        await producer.send_and_wait(reviews, evolved, key=keys[0])
        await until(lambda: _says(worker.port, "schemas: the schema registry does not answer"), 60)
        await producer.send_and_wait(
            f"{stage.prefix}.rows", json.dumps({**row, "after": {"id": "row-2"}}).encode(), key=b"k"
        )
        rows = await _read(stage, "rows-answered", 2)
        process.process.sigcont()
        await until(lambda: _says_nothing(worker.port), 60)
        evolved_keys = [await review(n, EVOLVED, shop="south") for n in (5, 6)]
        await _let_schemas_change(registry, f"{orders}-value")
        order = await asyncio.to_thread(
            registry.json, orders, EVOLVED_ORDER, {"id": "o-2", "price": 2.5, "note": "fragile"}
        )
        await producer.send_and_wait(orders, order, key=b"o-2")
        both_orders = await _read(stage, "answered", 2)
        all_replies = await _read(stage, "replies", 7)
        dead = await _read(stage, "reviews-dlt", 1, and_no_more=True)

    for record in first:
        found = await asyncio.to_thread(registry.read_avro, replies, record.value)
        n = int(found["id"].removeprefix("r-"))
        assert found == {**_value(n), "shop": "none", "reply": found["reply"]}
        assert record.key == keys[n]
        key = await asyncio.to_thread(registry.read_avro, reviews, record.key, MessageField.KEY)
        assert key == {"customer": f"c-{n % 2}"}
    later = [await asyncio.to_thread(registry.read_avro, replies, r.value) for r in all_replies]
    shops = {found["id"]: found["shop"] for found in later}
    assert {id: shops[id] for id in ("r-4", "r-5", "r-6")} == {
        "r-4": "north",
        "r-5": "south",
        "r-6": "south",
    }
    assert evolved_keys
    read_order = await asyncio.to_thread(
        registry.read_json, answered, ANSWERED_ORDER, order_answered.value
    )
    assert (read_order["id"], read_order["big"]) == ("o-1", 12345678901234567890)
    evolved_order = [
        await asyncio.to_thread(registry.read_json, answered, ANSWERED_ORDER, record.value)
        for record in both_orders
    ]
    assert {found["id"]: found.get("note") for found in evolved_order} == {
        "o-1": None,
        "o-2": "fragile",
    }
    subjects = await asyncio.to_thread(registry.client.get_subjects)
    assert f"{answered}-value" in subjects
    assert [json.loads(record.value)["id"] for record in rows] == ["row-1", "row-2"]
    headers = {name: value.decode() for name, value in unknown.headers}
    assert headers["streamapp.error.kind"] == "undecodable"
    assert headers["__streams.errors.message"] == (
        "[flows.reviews] the schema registry has no schema 99999"
    )
    assert len(dead) == 1


async def test_protobuf_over_a_schema_registry(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Messages by the file of their schema: those of another file are none of the flow's class."""
    process = SchemaRegistryProcess(tmp_path / "registry")
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        try:
            await process.start()
            with SchemaRegistryClient({"url": process.url}) as client:
                await _protobuf_over(stage, process.url, Registry(client))
        finally:
            process.process.kill9()


async def _protobuf_over(stage: Stage, url: str, registry: Registry) -> None:
    reviews, replies = f"{stage.prefix}.reviews", f"{stage.prefix}.replies"
    name = "tests.support.shop_messages:Review"
    flow = _flow(
        stage,
        "reviews",
        "replies",
        format="protobuf",
        message=name,
        output_format="protobuf",
        output_message=name,
        register_schemas=True,
    )
    async with AIOKafkaProducer(bootstrap_servers=stage.broker.bootstrap) as producer:
        await _create(stage, "reviews")
        settings = {"flows": json.dumps({"reviews": flow}), "schema_registry_url": url}
        await stage.ready_worker(**settings)
        good = await asyncio.to_thread(registry.protobuf, reviews, Review(id="r-1"))
        other = await asyncio.to_thread(registry.protobuf, f"{reviews}-other", Order(number="o-1"))
        avro = await asyncio.to_thread(registry.avro, f"{reviews}-avro", FIRST, _value(1))
        for n, value in enumerate((good, other, avro)):
            await producer.send_and_wait(reviews, value, key=f"k-{n}".encode())
        [reply] = await _read(stage, "replies", 1, and_no_more=True)
        dead = await _read(stage, "reviews-dlt", 2)

    found = await asyncio.to_thread(registry.read_protobuf, replies, Review, reply.value)
    assert found.id == "r-1"
    assert found.reply.startswith("answer")
    reasons = {dict(one.headers)["__streams.errors.message"].decode() for one in dead}
    assert any("another message of schema" in reason for reason in reasons), reasons
    assert any("is AVRO, and no Protobuf" in reason for reason in reasons), reasons


async def _let_schemas_change(registry: Registry, subject: str) -> None:
    """Let the subject take a schema that asks for more than the one before."""
    await asyncio.to_thread(registry.client.set_compatibility, subject, "NONE")


async def _says(port: int, words: str) -> bool:
    return any(words in line for line in await _degraded(port))


async def _says_nothing(port: int) -> bool:
    return not await _degraded(port)


async def _degraded(port: int) -> list[str]:
    url = f"http://127.0.0.1:{port}/readyz"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 200, await response.text()
        return list((await response.json())["degraded"])


async def _create(stage: Stage, *names: str) -> None:
    topics = [f"{stage.prefix}.{name}" for name in names]
    await create_topics(stage.broker.bootstrap, *topics, partitions=2)


async def _read(
    stage: Stage, name: str, count: int, *, and_no_more: bool = False
) -> list[ConsumerRecord]:
    """Return the records of a topic once there are as many."""
    topic = f"{stage.prefix}.{name}"
    places = [TopicPartition(topic, n) for n in range(2)]
    async with AIOKafkaConsumer(
        bootstrap_servers=stage.broker.bootstrap, auto_offset_reset="earliest"
    ) as reader:
        reader.assign(places)
        found: list[ConsumerRecord] = []
        async with asyncio.timeout(60):
            while len(found) < count:
                found.append(await reader.getone())
        if and_no_more:
            assert sum((await reader.end_offsets(places)).values()) == count
    return found
