"""A processor that lets no heartbeat be sent costs its own record, and not the worker's others."""

import asyncio
import json
import re
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.stage import Record, Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

OTHERS = 40
FREEZE_S = 12
NAPS = 20


async def test_record_that_blocks_past_the_session_is_a_dead_letter(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """It is named, with its place where that can be seen, run twice, and others are answered."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        stage.provider.default(unique=True)
        await stage.open()
        # The broker takes no shorter session than 6 s.
        worker = await stage.ready_worker(processors="tests.support.blocking")
        blocking = json.dumps({"id": "b", "type": "block", "seconds": 9}).encode()
        others = [ask(f"r-{number}", partition=0) for number in range(OTHERS)]

        # What is in flight when a session ends may be paid again, and two end.
        with stage.cut_off(), stage.cut_off():
            await stage.produce([*others[:20], Record(blocking, b"b", 0), *others[20:]])
            await stage.settle(OTHERS + 1, 180)
        report, named = stage.report(), await _livez(worker)

        print(f"blocked for longer than the session, twice: {report}")  # noqa: T201
        assert worker.alive
        assert not report.faults, report
        assert worker.log.read_text().count("loop.blocked") == 2
        [dead_letter] = stage.verifier.outcomes["b"]
        assert b"internal" in dict(dead_letter.headers)["streamapp.error.kind"]
        # Which thread runs when C code lets go of the lock is the interpreter's choice: where it
        # is not the one that looks, the place is not known, and that is said.
        for text in (worker.log.read_text(), named):
            assert re.search("blocking.py:[0-9]+ in block|C code that kept the interpreter's", text)
            assert "type=block" in text or "of type block" in text


async def test_record_that_ran_while_its_worker_was_frozen_is_answered(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """However often the worker loses its session to a freeze, the record did not block it."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = await stage.ready_worker(processors="tests.support.blocking")
        napping = tmp_path / "worker-0" / "napping"
        await stage.produce(
            [Record(json.dumps({"id": "n", "type": "nap", "seconds": 4}).encode(), b"n", 0)]
        )

        for _ in range(2):
            await until(napping.exists, 60, state=worker.tail)
            worker.sigstop()
            await asyncio.sleep(FREEZE_S)  # its length, over the session of 6 s, is the point
            napping.unlink()
            worker.sigcont()
        report = await stage.settle(1, 90)

        assert not report.faults, report
        assert not report.dead, report
        # A busy machine adds its own.
        assert worker.log.read_text().count("process.stood_still") >= 2


async def test_provider_that_is_down_is_found_so_beside_records_that_block(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A loop that is held up again and again excuses no provider for ever: records are held."""
    async with Stage(kafka, tmp_path) as stage:
        # Each call breaks off, and a record has blocked the loop meanwhile.
        stage.provider.default(latency_s=2.5, close="headers")
        await stage.open()
        worker = await stage.ready_worker(processors="tests.support.blocking")
        nap = json.dumps({"type": "nap", "seconds": 1.4}).encode()
        naps = [Record(nap, b"n", 0) for _ in range(NAPS)]
        async with asyncio.TaskGroup() as group:
            group.create_task(stage.produce(naps, rate_per_s=0.5))
            await stage.produce(ask(f"r-{number}") for number in range(OTHERS))
            opened = "llm.breaker_opened"
            await until(lambda: worker.has_logged(opened), NAPS * 2, state=worker.tail)
            stage.provider.default(unique=True)
        report = await stage.settle(OTHERS + NAPS)

        # What breaks off may be paid.
        assert not [*report.missing, *report.overcommitted, *report.unequal], report
        assert not report.dead, report


async def test_record_that_calls_from_a_loop_of_its_own_is_a_dead_letter(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """What a thread shares with no other loop is not reached; the others are answered."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        stage.provider.default(unique=True)
        await stage.open()
        worker = await stage.ready_worker(processors="tests.support.blocking")
        await stage.produce([Record(b'{"id": "o", "type": "own-loop"}', b"o", 0)])
        await stage.settle(1)
        await stage.produce(ask(f"r-{number}", partition=0) for number in range(OTHERS))
        report = await stage.settle(OTHERS + 1)

        assert worker.alive
        assert not report.faults, report
        assert report.dead == {"internal": 1}
        [dead_letter] = stage.verifier.outcomes["o"]
        assert b"another event loop" in dict(dead_letter.headers)["__streams.errors.message"]


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_record_that_never_ends_its_step_is_a_dead_letter(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """It ends two processes after two minutes each, and the third one does not begin it."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = await stage.ready_worker(processors="tests.support.blocking")
        spinning = json.dumps({"id": "s", "type": "spin"}).encode()
        await stage.produce([Record(spinning, b"s", 0), *(ask(f"r-{n}") for n in range(OTHERS))])

        with stage.cut_off(), stage.cut_off():
            for _ in range(2):
                assert await worker.wait(200) == 1
                worker.start()
            report = await stage.settle(OTHERS + 1, 60)

        assert worker.alive
        assert report.dead == {"internal": 1}
        assert not report.missing, report


async def _livez(worker: WorkerProcess) -> str:
    url = f"http://127.0.0.1:{worker.port}/livez"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 200
        return await response.text()
