"""Prompts over several workers on Apache Kafka: one history, the same versions everywhere."""

import asyncio
import itertools
import json
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer

from streamapp.prompts.events import Event, Labelled, Published
from streamapp.prompts.fold import EventOutcome
from streamapp.prompts.history import History
from streamapp.settings import Settings
from streamapp.streaming.prompts.event_log import PromptLog
from tests.e2e.stage import Record, Stage
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

VISIBLE_S = 1.0


def body(version: int) -> str:
    return f"{{{{ id }}}} text-{version}"


def generate(id_: str, *, prompt: str = "haiku", key: str | None = None) -> Record:
    record = {"id": id_, "type": "generate", "prompt": prompt, "variables": {"id": id_}}
    return Record(json.dumps(record).encode(), (key or id_).encode())


def prompts_dir(directory: Path, text: str) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "haiku.md").write_text(text)
    return directory


def history_of(stage: Stage) -> PromptLog:
    settings = Settings(_env_file=None, broker=stage.broker.url, topic_prefix=stage.prefix)
    return PromptLog(settings, History({}))


def used(stage: Stage) -> dict[str, dict[str, Any]]:
    """Return the prompt that each answer names, by record id."""
    return {
        id_: json.loads(outcomes[0].value or b"{}")["prompt"]
        for id_, outcomes in stage.verifier.outcomes.items()
        if outcomes[0].kind is None
    }


def is_used(stage: Stage, version: int) -> bool:
    return any(use["version"] == version for use in used(stage).values())


async def test_a_changed_file_is_one_version_however_many_workers_start(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Three workers that start at once with a changed file make exactly one new version."""
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        await stage.ready_worker(prompts_dir=prompts_dir(tmp_path / "old", body(1)))
        changed = prompts_dir(tmp_path / "new", body(2))
        for _ in range(3):
            stage.start_worker(prompts_dir=changed)
        await asyncio.gather(*(worker.wait_ready() for worker in stage.workers))
        records = [generate(f"r{n}", prompt="haiku@latest") for n in range(40)]
        await stage.produce(records)
        report = await stage.settle(len(records))

        async with history_of(stage) as prompts:
            haiku = prompts.history.prompts["haiku"]
            summarize = prompts.history.prompts["summarize"]
        answers = used(stage)

    assert not report.faults, report
    assert [version.body for version in haiku.versions.values()] == [body(1), body(2)]
    assert haiku.labels == {"production": 1, "latest": 2}
    assert list(summarize.versions) == [1]
    assert Counter(use["version"] for use in answers.values()) == {2: 40}


async def test_each_answer_used_a_version_in_force_while_workers_come_and_go(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Versions and labels move under flowing records, a worker dies, a fourth joins."""
    directory = prompts_dir(tmp_path / "prompts", body(1))
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        workers = [stage.start_worker(prompts_dir=directory) for _ in range(3)]
        await asyncio.gather(*(worker.wait_ready() for worker in workers))
        async with history_of(stage) as prompts:
            moves, produced, done = [(0.0, 1)], dict[str, float](), asyncio.Event()
            loop = asyncio.get_running_loop()

            async def flow() -> None:
                for number in itertools.takewhile(lambda _: not done.is_set(), itertools.count()):
                    produced[f"r{number}"] = loop.time()
                    await stage.produce([generate(f"r{number}", key=f"k{number % 50}")])
                    await asyncio.sleep(0.02)

            flowing = asyncio.create_task(flow())
            for step in range(STEPS):
                await asyncio.sleep(1.5)
                version = await put_in_production(prompts, step)
                moves.append((loop.time(), version))
                if step == 2:
                    stage.kill9(workers[0])
                    stage.start_worker(prompts_dir=directory)
                elif step == 6:
                    stage.kill9(workers[1])
                else:  # the one behind a kill was in force before, and is not waited for
                    await until(partial(is_used, stage, version), 90, state=workers[2].tail)
            done.set()
            await flowing
        report = await stage.settle(len(produced))
        answers = used(stage)

    assert not report.faults, report
    assert answers.keys() == produced.keys()
    wrong = {
        id_: (use["version"], round(produced[id_] - moves[0][0], 2))
        for id_, use in answers.items()
        if use["version"] not in allowed(moves, since=produced[id_])
    }
    assert not wrong, (wrong, moves)
    assert len({use["version"] for use in answers.values()}) > STEPS / 2


STEPS = 10


async def put_in_production(prompts: PromptLog, step: int) -> int:
    """Publish a version and move the label to it, or move it back; return where it points."""
    haiku = prompts.history.prompts["haiku"]
    current = haiku.labels["production"]
    if step % 4 == 3:
        version = haiku.before["production"][-1]
    else:
        outcome = await wrote(prompts, Published(body=body(current + step + 1), created_at=NOW))
        assert outcome.version is not None
        version = outcome.version
    move = Labelled(label="production", version=version, expected=current, created_at=NOW)
    assert (await wrote(prompts, move)).why is None
    return version


async def wrote(prompts: PromptLog, event: Event) -> EventOutcome:
    return await prompts.write("haiku", event)


def allowed(moves: list[tuple[float, int]], *, since: float) -> set[int]:
    """Return the versions that a record produced at ``since`` may be answered by.

    All that come into force later, and the one in force a second before: not those replaced
    by then.
    """
    later = [version for at, version in moves if at > since - VISIBLE_S]
    before = [version for at, version in moves if at <= since - VISIBLE_S]
    return {*later, before[-1]}


NOW = datetime(2030, 1, 1, tzinfo=UTC)


async def test_an_invalid_event_is_dead_lettered_once_and_breaks_nothing(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Garbage on the topic stops nobody, and a restart does not dead-letter it again."""
    directory = prompts_dir(tmp_path / "prompts", body(1))
    garbage = [(b"haiku", b"\xff garbage"), (b"haiku", None), (None, b"{}")]
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        worker, other = [stage.start_worker(prompts_dir=directory) for _ in range(2)]
        await asyncio.gather(worker.wait_ready(), other.wait_ready())
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
            for key, value in garbage:
                await producer.send_and_wait(f"{stage.prefix}.prompts", value, key=key)
        async with history_of(stage) as prompts:
            await put_in_production(prompts, 0)
        outcomes = stage.verifier.outcomes
        await stage.verifier.until(lambda: sum(map(len, outcomes.values())) == 3, 30)

        async def is_noted() -> bool:
            async with history_of(stage) as prompts:
                return not prompts.history.invalid

        await until(is_noted, 60)  # else the last one may come again, as any record at a crash
        stage.kill9(worker)
        stage.kill9(other)
        worker.start()
        await worker.wait_ready()
        await stage.produce([generate("r")])
        await stage.verifier.until(lambda: "r" in outcomes, 30)
        async with history_of(stage) as prompts:
            left = prompts.history.invalid

    dead_letters = [one for id_, found in outcomes.items() if id_ != "r" for one in found]
    assert Counter(dead_letter.kind for dead_letter in dead_letters) == {"prompt_error": 3}
    assert {(dead_letter.key, dead_letter.value) for dead_letter in dead_letters} == set(garbage)
    assert used(stage)["r"]["version"] == 2
    assert left == {}


async def test_a_change_over_http_is_known_to_every_worker(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A version published and put in production at one worker is used by the others."""
    directory = prompts_dir(tmp_path / "prompts", body(1))
    async with Stage(kafka, tmp_path) as stage, aiohttp.ClientSession() as http:
        await stage.open()
        workers = [stage.start_worker(prompts_dir=directory) for _ in range(2)]
        await asyncio.gather(*(worker.wait_ready() for worker in workers))
        first, second = (f"http://127.0.0.1:{worker.port}/v1/prompts/haiku" for worker in workers)

        async def is_published() -> bool:
            async with http.post(f"{first}/versions", json={"body": body(2)}) as published:
                if published.status == 503:  # the second worker joins, and nothing was written
                    return False
                assert published.status == 201
                assert (await published.json())["version"] == 2
                return True

        await until(is_published, 60)
        async with http.put(f"{first}/labels/production", json={"version": 2}) as moved:
            assert (await moved.json())["labels"]["production"] == 2

        async def knows() -> bool:
            async with http.get(second) as shown:
                return bool((await shown.json())["labels"]["production"] == 2)

        await until(knows, 60)
        records = [generate(f"r{number}") for number in range(20)]
        await stage.produce(records)
        report = await stage.settle(len(records))

    assert not report.faults, report
    assert {use["version"] for use in used(stage).values()} == {2}
