"""Topics that take no record of ours: what is too large, and what somebody has to cure."""

from pathlib import Path

import aiohttp
import pytest

from tests.e2e.stage import Record, Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.topics import alter_topic
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


async def test_answer_too_large_for_its_topic_is_a_dead_letter(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A topic with a limit below ours costs a dead letter, no worker and no neighbour."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        small = {"max.message.bytes": "2000"}
        await stage.open(configs={"responses": small, "requests-dlt": small})
        worker = await stage.ready_worker()
        large = ask("large", script={"size": 5_000}, partition=0)

        await stage.produce([large, ask("small", partition=0)])
        report = await stage.settle(2)

        assert worker.alive
        assert report.calls == 2
        assert worker.log.read_text().count("kind=too_large") == 1


async def test_compacted_answers_hold_what_has_no_key(kafka: KafkaBroker, tmp_path: Path) -> None:
    """The worker says why it is not ready, pays nothing more, and goes on once that is cured."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        await _configure(stage, "responses", "cleanup.policy", "compact")
        await stage.produce([_without_key("first")])
        await until(lambda: worker.has_logged("emitter.refused"), 30, state=worker.tail)

        await stage.produce([_without_key(f"more-{n}") for n in range(20)])
        await worker.wait_unready(30)
        assert "cleanup.policy=delete" in await _readyz(worker)
        assert [call.id for call in stage.calls()] == ["first"]

        await _configure(stage, "responses", "cleanup.policy", "delete")
        report = await stage.settle(21, 60)
        await worker.wait_ready(30)
        assert not report.missing, report
        assert report.calls == 21


async def _topics_of_a_worker(stage: Stage) -> None:
    """Have a worker make what is missing of its topics, and end."""
    await stage.open()
    worker = await stage.ready_worker()
    worker.sigterm()
    assert await worker.wait(30) == 0


async def test_topics_that_would_lose_records_are_named_at_the_start(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """The worker ends with 2 and says what to set, in one go; `check` finds the same."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await _topics_of_a_worker(stage)
        await _configure(stage, "responses", "cleanup.policy", "compact")
        await _configure(stage, "prompts", "retention.ms", "604800000")
        await _configure(stage, "requests-dlt", "max.message.bytes", "2000")

        worker = stage.start_worker()
        assert await worker.wait(60) == 2
        check = stage.start_worker(command=("streamapp", "check"))
        assert await check.wait(60) == 2

        for process in (worker, check):
            text = process.log.read_text()
            assert "answers of equal keys would vanish" in text
            assert "set retention.ms=-1" in text
            assert "max.message.bytes=2000" in text


async def test_compacted_changelog_of_an_earlier_version_is_a_note(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A worker makes it otherwise; with one that is there it starts, and says what to set."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await _topics_of_a_worker(stage)
        before = stage.start_worker(command=("streamapp", "check"))
        assert await before.wait(60) == 0, before.tail()
        changelog = f"{stage.prefix}-answers-changelog"
        await alter_topic(kafka.bootstrap, changelog, {"cleanup.policy": "compact,delete"})

        check = stage.start_worker(command=("streamapp", "check"))
        assert await check.wait(60) == 0, check.tail()
        worker = await stage.ready_worker()

        note = f"topic {changelog} is compacted"
        assert note not in before.log.read_text()
        assert f"note  topics: {note}" in check.log.read_text()
        assert worker.has_logged("topics.unfit")
        assert "set cleanup.policy=delete" in worker.log.read_text()


def _without_key(id_: str) -> Record:
    return Record(ask(id_).value, None, 0)


async def _configure(stage: Stage, topic: str, name: str, value: str) -> None:
    await alter_topic(stage.broker.bootstrap, f"{stage.prefix}.{topic}", {name: value})


async def _readyz(worker: WorkerProcess) -> str:
    url = f"http://127.0.0.1:{worker.port}/readyz"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return await response.text()
