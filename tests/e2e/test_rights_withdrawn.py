"""Rights that are taken away from a running worker, and given back."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

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
        asyncio.run(guarded.broker.stop())


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
