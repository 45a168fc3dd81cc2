"""Every buffer of a worker is full for long, so that its client fetches no requests."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until
from tests.support.worker import STREAMAPP, WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(360)]

SHORT = ("tests.support.short_poll", "worker")
#: Without the topics that the client follows beside its inputs: idle for as long as the settings
#: let it be, and for 8 s.
IDLE = ("tests.support.idle_client", "1e6", "worker")
SHORT_IDLE = ("tests.support.idle_client", "8", "worker")
SLOTS = 64
#: More than the window and the stream hold of their one partition: 64 running, 512 behind them,
#: and 4,096.
COUNT = 6_000
#: How long its slots are taken, seconds: less than a call may take.
HANG_S = 45


async def members(stage: Stage) -> int:
    """Return how many members the group has."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stage.broker.bootstrap)
    await admin.start()
    try:
        coordinator = await admin.find_coordinator(stage.prefix)
        [described] = await admin.describe_consumer_groups([stage.prefix], coordinator)
        return len(described.groups[0][5])
    finally:
        await admin.close()


async def filled(stage: Stage, command: Sequence[str]) -> WorkerProcess:
    """Return a worker whose slots are taken for a while, with more behind than it can buffer."""
    await stage.open()
    worker = stage.start_worker(command=command, max_in_flight=SLOTS)
    await worker.wait_ready()
    await stage.produce(ask(f"slow-{n}", script={"latency_s": HANG_S}) for n in range(SLOTS))
    await stage.produce(ask(f"r-{number}") for number in range(COUNT))
    await stage.in_flight(SLOTS)
    return worker


@pytest.mark.chaos
@pytest.mark.parametrize(
    "command",
    [STREAMAPP, SHORT, IDLE],
    ids=["as it is", "with 8 s to be idle", "idle for as long as it may be"],
)
async def test_worker_with_full_buffers_stays_a_member(
    kafka: KafkaBroker, tmp_path: Path, command: Sequence[str]
) -> None:
    """It fetches no requests, and is not idle: it follows prompts, spend and limits.

    Nor would it be a stranger if it were: the limit of idleness is days.
    """
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        worker = await filled(stage, command)

        def hangs() -> bool:
            return stage.provider.counts["in_flight"] == SLOTS

        seen = set()

        async def is_over() -> bool:
            seen.add(await members(stage))
            return not hangs()

        await until(is_over, 3 * HANG_S, state=worker.tail)
        report = await stage.settle(COUNT + SLOTS, 240)
        opened = worker.log.read_text().count("window.opened")

    assert seen == {1}
    assert opened == 1
    assert not report.faults, report
    assert (report.repeats, report.calls) == (0, COUNT + SLOTS)


@pytest.mark.chaos
async def test_idle_client_with_a_short_limit_leaves_its_group(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Without both, the worker is lost: the proof that the test above can fail."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        worker = await filled(stage, SHORT_IDLE)

        async def has_left() -> bool:
            return await members(stage) == 0

        await until(has_left, 3 * HANG_S, state=worker.tail)
