"""A worker whose log nobody reads."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, int]]:
    """A pipe of one page, which nobody reads."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    yield read, write
    for end in (read, write):
        try:
            os.close(end)
        except OSError:
            continue


@pytest.mark.parametrize("reader", ["asleep", "gone"])
async def test_worker_whose_log_nobody_reads_works_and_ends(
    kafka: KafkaBroker, tmp_path: Path, full_pipe: tuple[int, int], reader: str
) -> None:
    """It answers, says that it is alive, and ends in good order at SIGTERM."""
    read, write = full_pipe
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = WorkerProcess(tmp_path / "worker", stage.environment(log_level="debug"))
        stage.workers.append(worker)
        worker.start(output=write)
        os.close(write)
        if reader == "gone":
            os.close(read)

        await worker.wait_ready()
        await stage.produce([ask(f"r-{n}") for n in range(200)])
        report = await stage.settle(200)
        worker.sigterm()

        assert await worker.wait(30) == 0
        assert not report.faults, report
