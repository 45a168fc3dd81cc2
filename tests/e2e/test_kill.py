"""A worker dies by `kill -9` between a slow record and the fast ones behind it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.worker import STREAMAPP

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

PLAIN_FAUST = ("tests.support.plain_faust", "worker", "-l", "info", "--without-web")
SLOW_ONCE = [{"latency_s": 100}, {}]
SLOW = ("slow-0", "slow-1")


async def _kill_with_slow_ones_in_flight(stage: Stage, command: Sequence[str]) -> None:
    """Let the fast records be answered, the slow ones not, kill, restart, send a last one."""
    await stage.open()
    worker = stage.start_worker(command=command)
    fast = [f"fast-{number}" for number in range(18)]
    await stage.produce([ask(id_, script=SLOW_ONCE) for id_ in SLOW])
    await stage.produce([ask(id_) for id_ in fast])
    verifier = stage.verifier
    await verifier.until(lambda: verifier.outcomes.keys() >= set(fast), 60)
    answered_in = verifier.turns
    # Long enough for a commit of the fast ones, by whoever would do that.
    await verifier.until(lambda: verifier.turns > answered_in + 50, 30)

    stage.kill9(worker)
    worker.start()

    await stage.produce([ask("last")])
    await verifier.until(lambda: "last" in verifier.outcomes, 60)


async def test_every_record_is_answered_when_a_worker_is_killed(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Nothing is lost, nothing but the slow records is paid twice, commits wait for them."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await _kill_with_slow_ones_in_flight(stage, STREAMAPP)
        report = await stage.settle(21)

    assert not report.faults, report
    assert report.calls == 21 + len(SLOW)


async def test_a_plain_faust_agent_loses_the_slow_records(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """The same run on plain Faust with `concurrency=10` loses the records in flight: the proof."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await _kill_with_slow_ones_in_flight(stage, PLAIN_FAUST)
        await stage.verifier.all_committed(30)
        report = stage.report()

    assert [record.id for record in stage.verifier.missing] == list(SLOW)
    assert report.overcommitted, report
    assert report.calls == 21
