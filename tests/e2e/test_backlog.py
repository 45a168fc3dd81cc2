"""A backlog of 100,000 records that grows by thousands a second, one partition of it slow."""

import json
import resource
import time
from pathlib import Path

import pytest

from tests.e2e.stage import Record, Stage
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(2_400)]

COUNT = 100_000
#: Records of one key in partition 0, each of them slow: they run one at a time.
HOT = 600
PARTITIONS = 4
#: What a worker holds of it may cost, MB: its window, its ledger's 64 MB, and what is on its way.
MOST_MB = 250


def record(id_: str, key: str, partition: int, latency_s: float = 0.0) -> Record:
    """Return a record of half a kilobyte."""
    marker = f" [[fake:{json.dumps({'latency_s': latency_s})}]]" if latency_s else ""
    messages = [{"role": "user", "content": f"{id_}{marker} {'x' * 350}"}]
    value = json.dumps({"id": id_, "type": "chat", "messages": messages}).encode()
    return Record(value, key.encode(), partition)


def resident_mb(worker: WorkerProcess) -> float:
    """Return the worker's memory, megabytes."""
    pages = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


async def test_backlog_is_worked_off_in_bounded_memory(kafka: KafkaBroker, tmp_path: Path) -> None:
    """The slow partition falls behind alone; lag falls, and memory is that of a small backlog."""
    async with Stage(kafka, tmp_path, partitions=PARTITIONS, forked=False) as stage:
        await stage.open()
        worker = await stage.ready_worker(ledger_max_mb=64)
        at_rest_mb, peak_mb = resident_mb(worker), 0.0
        await stage.produce(record(f"hot-{n}", "hot", 0, 0.2) for n in range(HOT))
        began = time.monotonic()
        await stage.produce(
            (record(f"r-{n}", f"k-{n}", 1 + n % (PARTITIONS - 1)) for n in range(COUNT)),
            rate_per_s=5_000,
        )
        produced_s = time.monotonic() - began

        def is_done() -> bool:
            nonlocal peak_mb
            peak_mb = max(peak_mb, resident_mb(worker))
            return len(stage.verifier.outcomes) >= COUNT + HOT

        await until(is_done, 1_800, state=worker.tail)
        took_s = time.monotonic() - began
        report = await stage.settle(COUNT + HOT, 60)

    rate = COUNT / took_s
    print(  # noqa: T201
        f"produced at {COUNT / produced_s:.0f}/s, answered at {rate:.0f}/s,"
        f" {at_rest_mb:.0f} to {peak_mb:.0f} MB"
    )
    assert not report.faults, report
    assert (report.repeats, report.calls) == (0, COUNT + HOT)
    assert peak_mb - at_rest_mb < MOST_MB
