"""Rights that are taken away from a running worker, and given back; one that a worker lacks."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.flow_stage import all_records, create_topic, merged, produce_values
from tests.e2e.stage import Stage, ask
from tests.support.guarded_kafka import LIMITED, GuardedKafka
from tests.support.kafka_rights import (
    CREATE,
    DESCRIBE,
    GROUP,
    LITERAL,
    PREFIXED,
    READ,
    TOPIC,
    WRITE,
    deny,
    deny_no_more,
    grant,
)
from tests.support.topics import administered
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(400)]

HELD = {"latency_s": 3, "unique": True}


@pytest.fixture(scope="module")
def guarded(
    kafka_installed: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuardedKafka]:
    """One broker for this module, started."""
    guarded = GuardedKafka(tmp_path_factory.mktemp("guarded") / "kafka")
    try:
        asyncio.run(guarded.broker.start())
        yield guarded
    finally:
        guarded.broker.kill9()


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [(GROUP, "", "group.refused"), (TOPIC, ".requests", "commit.refused")],
    ids=["group", "topic"],
)
async def test_withdrawn_right_is_named_and_ends_no_worker(
    guarded: GuardedKafka, tmp_path: Path, kind: int, name: str, told: str
) -> None:
    """What runs is finished or given back, nothing is paid twice, and work goes on by itself."""
    async with Stage(guarded.broker, tmp_path, partitions=1) as stage:
        await stage.open()
        port, prefix = guarded.broker.port, stage.prefix
        rights = [(TOPIC, prefix, PREFIXED, each) for each in (READ, WRITE, CREATE, DESCRIBE)]
        await grant(port, LIMITED, [*rights, (GROUP, prefix, PREFIXED, READ)])
        access = guarded.sasl("SCRAM-SHA-512") | {"kafka_sasl_username": LIMITED}
        worker = await stage.ready_worker(**access)
        await stage.produce(ask(f"r-{n}", script=HELD, partition=0) for n in range(20))
        await stage.in_flight(20)

        withdrawn = [(kind, f"{prefix}{name}", LITERAL, READ)]
        with stage.cut_off():  # a group that does not hear of a member gives it up
            await deny(port, LIMITED, withdrawn)
            await until(lambda: worker.has_logged(told), 90, state=worker.tail)
            await worker.wait_unready(90)
            assert worker.alive
            await deny_no_more(port, LIMITED, withdrawn)
        await stage.produce(ask(f"more-{n}", partition=0) for n in range(20))
        report = await stage.settle(40)

        assert worker.alive
        assert not report.faults, report


async def test_worker_that_may_not_create_the_topic_of_begun_flows_runs_without_it(
    guarded: GuardedKafka, tmp_path: Path
) -> None:
    """It says what to create; once that is there, what has begun is noted."""
    async with Stage(guarded.broker, tmp_path, partitions=1) as stage:
        await stage.open()
        await create_topic(stage, "reviews", 1)
        port, prefix = guarded.broker.port, stage.prefix
        rights = [(TOPIC, prefix, PREFIXED, each) for each in (READ, WRITE, CREATE, DESCRIBE)]
        await grant(port, LIMITED, [*rights, (GROUP, prefix, PREFIXED, READ)])
        await deny(port, LIMITED, [(TOPIC, f"{prefix}.flows", LITERAL, CREATE)])
        flow = merged(stage, "reviews", "replies", step="reply", **{"from": "latest"})
        access = guarded.sasl("SCRAM-SHA-512") | {"kafka_sasl_username": LIMITED}

        worker = await stage.ready_worker(flows=json.dumps({"reply": flow}), **access)
        assert worker.has_logged("flows.begin_not_noted")
        await produce_values(stage, "reviews", [{"id": "r", "key": "r"}])

        async def is_answered() -> bool:
            return len(await all_records(stage, "replies")) == 1

        await until(is_answered, 60, state=worker.tail)
        await create_topic(stage, "flows", 1)

        async def is_noted() -> bool:
            async with administered(guarded.broker.bootstrap) as admin:
                offsets = await admin.list_consumer_group_offsets(prefix)
            marks = [each.metadata for tp, each in offsets.items() if tp.topic == f"{prefix}.flows"]
            return any(mark.startswith("1f:") for mark in marks)

        await until(is_noted, 120, state=worker.tail)
