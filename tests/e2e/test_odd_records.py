"""Records that other programs write and no client of ours does: odd times, and five megabytes."""

import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.stage import Record, Stage, ask
from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

NOW = time.time()
FIVE_MB = 5_000_000
#: By partition, in milliseconds: each is the first record that a worker sees of its partition.
TIMES = [-(10**15), 0, int(NOW * 1e6), int(NOW * 1e9)]
#: Any time, as brokers before 3.6 do, for as long as the test takes, and large records.
TAKES_ANYTHING = {
    "retention.ms": "-1",
    "message.timestamp.before.max.ms": str(2**63 - 1),
    "message.timestamp.after.max.ms": str(2**63 - 1),
    "max.message.bytes": str(2 * FIVE_MB),
}


async def test_odd_times_and_sizes_end_no_worker(kafka: KafkaBroker, tmp_path: Path) -> None:
    """What no calendar has is answered; what no dead letter carries is named by its place."""
    async with Stage(kafka, tmp_path, partitions=len(TIMES)) as stage:
        await stage.open(configs={"requests": TAKES_ANYTHING})
        topic = f"{stage.prefix}.requests"
        large = Record(b"{" + b" " * FIVE_MB, b"large", 0)
        async with AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap, max_request_size=2 * FIVE_MB
        ) as producer:
            for partition, at in enumerate(TIMES):
                record = ask(f"at-{at}", partition=partition)
                await producer.send_and_wait(
                    topic, record.value, key=record.key, partition=partition, timestamp_ms=at
                )
            await producer.send_and_wait(topic, large.value, key=large.key, partition=0)
        await stage.produce(ask(f"behind-{n}", partition=n) for n in range(len(TIMES)))

        worker = await stage.ready_worker()
        report = await stage.settle(2 * len(TIMES) + 1, 60)

        assert worker.alive
        assert not report.faults, report
        assert report.dead == {"undecodable": 1}
        [dead] = stage.verifier.outcomes[f"{topic}-0-1"]
        assert dict(dead.headers)["streamapp.value"] == b"omitted"
        assert dead.value is None
