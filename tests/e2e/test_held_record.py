"""One record is held for long while others behind it finish: bounded, and nothing twice."""

import resource
from collections.abc import Set
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiokafka import TopicPartition

from streamapp.streaming.window.finished_offsets import decode
from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.topics import administered
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(360)]

HELD = {"latency_s": 50}
#: Records that may be taken behind a held one, in one partition.
SPAN = 16_384
#: What they, their ids in the ledger and two partitions' backlog may cost; all of them: 220 MB.
MOST_MB = 120


async def has_committed_behind(stage: Stage, finished: Set[int]) -> bool:
    """Whether the commit says that these are finished, and that what stands before them is not."""
    place = TopicPartition(f"{stage.prefix}.requests", 0)
    async with administered(stage.broker.bootstrap) as admin:
        committed = (await admin.list_consumer_group_offsets(stage.prefix)).get(place)
    return (
        committed is not None and decode(committed.offset, committed.metadata).finished == finished
    )


async def is_older(worker: WorkerProcess, age_s: float) -> bool:
    """Whether the oldest record that is not committed is, as /metrics tells it."""
    url = f"http://127.0.0.1:{worker.port}/metrics"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        text = await response.text()
    name = "streamapp_oldest_uncommitted_seconds "
    told = next(line.split()[1] for line in text.splitlines() if line.startswith(name))
    return float(told) > age_s


def resident_mb(worker: WorkerProcess) -> float:
    """Return the worker's memory, megabytes."""
    pages = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


@pytest.mark.parametrize("end", ["kill -9", "SIGTERM"])
async def test_what_finished_behind_a_held_record_is_not_repeated(
    kafka: KafkaBroker, tmp_path: Path, end: str
) -> None:
    """Whoever goes on neither asks nor writes what the commit says is finished."""
    count = 2_000
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        stage.provider.default(unique=True)
        await stage.open()
        worker = await stage.ready_worker(drain_s=2)
        await stage.produce([ask("held", script=[HELD, {}])])
        await stage.in_flight(1)
        await stage.produce(ask(f"r-{number}") for number in range(count))
        await stage.verifier.until(lambda: len(stage.verifier.outcomes) >= count, 60)
        behind = set(range(1, count + 1))
        await until(partial(has_committed_behind, stage, behind), 60, state=worker.tail)
        await until(partial(is_older, worker, 3), 60, state=worker.tail)

        if end == "kill -9":
            stage.kill9(worker)
        else:
            worker.sigterm()
            await worker.wait(30)
        await stage.ready_worker()
        report = await stage.settle(count + 1, 120)

    calls: dict[str, int] = {}
    for call in stage.calls():
        calls[call.id] = calls.get(call.id, 0) + 1
    twice = [id_ for id_, number in calls.items() if number > 1]
    print(f"{end}: {report.repeats} repeated, {len(twice)} paid twice")  # noqa: T201
    assert not [*report.missing, *report.overcommitted, *report.unequal], report
    assert twice == ["held"]
    assert report.repeats == 0


async def test_partition_waits_behind_a_record_that_is_held_for_long(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """After a quarter of the ledger's time that partition alone stands still, and then goes on."""
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        worker = await stage.ready_worker(ledger_ttl_s=16)
        await stage.produce([ask("held", script=[{"held": True}], partition=0)])
        await stage.in_flight(1)

        behind = [ask(f"r-{number}", partition=0) for number in range(400)]
        await stage.produce(behind, rate_per_s=40)
        await until(lambda: worker.has_logged("window.partition_held"), 30, state=worker.tail)
        ran_past = len(stage.verifier.outcomes)
        await stage.produce(ask(f"s-{number}", partition=1) for number in range(100))
        others = {f"s-{number}" for number in range(100)}
        await stage.verifier.until(lambda: others <= stage.verifier.outcomes.keys(), 20)
        assert "held" not in stage.verifier.outcomes
        stage.provider.let_go()
        report = await stage.settle(501, 60)

    assert ran_past < 400
    assert worker.has_logged("window.partition_resumed")
    assert not report.faults, report
    assert report.repeats == 0


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_span_behind_a_held_record_is_bounded(kafka: KafkaBroker, tmp_path: Path) -> None:
    """One partition stands still at its bound; the other one goes on, and memory stays."""
    async with Stage(kafka, tmp_path, partitions=2, forked=False) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        await stage.produce([ask("held", script=[HELD], partition=0)])
        await stage.in_flight(1)
        before_mb = resident_mb(worker)

        behind = SPAN + 6_000
        await stage.produce(ask(f"r-{number}", partition=0) for number in range(behind))
        await until(lambda: worker.has_logged("window.partition_held"), 120, state=worker.tail)
        await stage.produce(ask(f"s-{number}", partition=1) for number in range(2_000))
        others = {f"s-{number}" for number in range(2_000)}
        ran_past = 0

        def are_others_answered() -> bool:
            nonlocal ran_past
            answered = stage.verifier.outcomes.keys()
            if "held" not in answered:
                ran_past = len(answered - others)
            return others <= answered

        await stage.verifier.until(are_others_answered, 120)
        grown_mb = resident_mb(worker) - before_mb

        report = await stage.settle(behind + 2_001, 120)

    print(f"{ran_past} ran past it, memory grew by {grown_mb:.0f} MB")  # noqa: T201
    assert 0 < ran_past <= SPAN
    assert grown_mb < MOST_MB
    assert not report.faults, report
    assert report.repeats == 0


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_answers_behind_a_held_record_keep_to_the_ledgers_bound(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """However large they are: what the commit says is finished is let go as any other answer."""
    first, count, size = 1_000, 5_000, 30_000
    patient = {"timeout_s": 400, "deadline_s": 500}
    async with Stage(kafka, tmp_path, partitions=1, forked=False) as stage:
        await stage.open()
        worker = await stage.ready_worker(ledger_max_mb=8, cache_ttl_s=0, **patient)
        await stage.produce([ask("held", script=[{"latency_s": 180}])])
        await stage.in_flight(1)
        stage.provider.default(size=size)
        await stage.produce(ask(f"r-{number}") for number in range(first))
        await stage.verifier.until(lambda: len(stage.verifier.outcomes) >= first, 60)
        before_mb = resident_mb(worker)  # with what 256 answers on their way cost
        await stage.produce(ask(f"r-{number}") for number in range(first, count))
        await stage.verifier.until(lambda: len(stage.verifier.outcomes) >= count, 120)
        assert "held" not in stage.verifier.outcomes
        grown_mb = resident_mb(worker) - before_mb
        report = await stage.settle(count + 1, 180)

    more_mb = (count - first) * size / 1e6
    print(f"with {more_mb:.0f} MB more of answers memory grew by {grown_mb:.0f} MB")  # noqa: T201
    assert grown_mb < more_mb / 2
    assert not report.faults, report
    assert (report.repeats, report.calls) == (0, count + 1)
