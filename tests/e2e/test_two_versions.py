"""Workers of an earlier version and of this one in one group, as in a rolling update."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, ask
from tests.e2e.test_steps import calls_of, chain
from tests.support.kafka import KafkaBroker
from tests.support.older import older_version
from tests.support.worker import ROOT, WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(600)]

#: Before entries of the ledger had a generation, and commits said what is finished behind them.
BEFORE_GENERATIONS = "5eb472a72501befb853878b78db49d3e6b76396c"
#: With steps of records, under the keys that they have now.
WITH_STEPS = "ea04899d44715c8589793b90e7d3a566cbaa2c85"
#: Before commits said which topic they are a place of.
WITHOUT_TOPIC_IDS = "f41f1295e5adb7ea729eed25feef13c6b30320fb"
COUNT = 600


class Versions:
    """Starts workers of either version in one group."""

    def __init__(self, stage: Stage, older: Path) -> None:
        self._stage = stage
        self._path = {"PYTHONPATH": f"{older}:{ROOT}"}

    async def older(self, **settings: str) -> WorkerProcess:
        extra = self._stage.extra
        self._stage.extra = extra | self._path
        try:
            return await self._stage.ready_worker(**settings)
        finally:
            self._stage.extra = extra

    async def newer(self, **settings: str) -> WorkerProcess:
        return await self._stage.ready_worker(**settings)


@pytest.mark.parametrize(
    "commit",
    [BEFORE_GENERATIONS, WITH_STEPS, WITHOUT_TOPIC_IDS],
    ids=["older", "later", "without topic ids"],
)
async def test_two_versions_finish_each_others_records(
    kafka: KafkaBroker, tmp_path: Path, commit: str
) -> None:
    """Both work side by side; the old one dies and comes back, and then the new one does."""
    path = older_version(commit, tmp_path / "older")
    async with Stage(kafka, tmp_path) as stage:
        stage.provider.default(latency_s=0.3, unique=True)
        await stage.open()
        versions = Versions(stage, path)
        old, new = await versions.older(), await versions.newer()
        made = 0

        async def produced() -> None:
            nonlocal made
            await stage.produce(
                ask(f"r-{number}", f"k-{number % 100}") for number in range(made, made + COUNT)
            )
            made += COUNT
            await stage.verifier.until(
                lambda: len(stage.verifier.outcomes) > made - COUNT // 2, 120
            )

        for worker in (old, new):
            await produced()
            stage.kill9(worker)
            await stage.settle(made)
            worker.start()
            await worker.wait_ready()
        await produced()
        report = await stage.settle(made)
        alive = (old.alive, new.alive)

    print(f"{commit[:7]}: {report}")  # noqa: T201
    assert alive == (True, True)
    assert not report.faults, report


async def test_records_half_done_by_one_version_are_finished_by_the_other(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A step that one of them finished is not made again by the other one."""
    path = older_version(WITH_STEPS, tmp_path / "older")
    log, processors = tmp_path / "noted", "tests.support.chain"
    async with Stage(kafka, tmp_path) as stage:
        stage.extra = {"CHAIN_LOG": str(log)}
        await stage.open()
        versions = Versions(stage, path)
        first = await versions.older(processors=processors)
        await stage.produce(chain(f"h3-{number}", hangs_at=3) for number in range(20))
        await stage.in_flight(20)
        stage.kill9(first)
        second = await versions.newer(processors=processors)
        await stage.settle(20)

        await stage.produce(chain(f"h3-{number}", hangs_at=3) for number in range(20, 40))
        await stage.in_flight(20)
        stage.kill9(second)
        await versions.older(processors=processors)
        report = await stage.settle(40)
        calls, noted = calls_of(stage), Counter(log.read_text().split())
        outcomes = [json.loads(found[0].value or b"") for found in stage.verifier.outcomes.values()]

    assert not [*report.missing, *report.overcommitted, *report.unequal], report
    assert all(outcome["output"]["noted"] for outcome in outcomes)
    assert set(noted.values()) == {1}
    assert {step: count for (_, step), count in calls.items() if step != "two"} == {
        "one": 1,
        "three": 1,
    }
    assert {count for (_, step), count in calls.items() if step == "two"} == {2}
