"""Half an hour with everything on: memory, files and tasks of a worker stay where they were.

`SOAK_MINUTES` is another length: below ten minutes the ledger is still filling.
"""

import asyncio
import json
import os
import random
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from tests.e2e.soak_load import (
    CONFIG,
    START_S,
    call_over_http,
    change_prompts,
    have_guests,
    paid,
    records,
    send_bursts,
)
from tests.e2e.stage import Stage
from tests.e2e.test_prompts import prompts_dir
from tests.support.census import FILE
from tests.support.kafka import KafkaBroker
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
RATE_PER_S = 6
#: From when on nothing may grow: what is kept for a time has been let go again by then.
SETTLED_S = 300.0
CACHE_S, LEDGER_S = 60, 240
#: How long the first and the last look at a worker take.
LOOK_S = 90.0
MOST_GROWTH_MB, MOST_MORE_FILES, MOST_MORE_TASKS = 15, 5, 10

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(MINUTES * 60 + 900)]


@dataclass(frozen=True, slots=True)
class Look:
    """What one worker held at one time: megabytes, open files, asyncio tasks by coroutine."""

    at_s: float
    memory_mb: float
    files: int
    tasks: dict[str, int]


def look(worker: WorkerProcess) -> Look:
    """Return what the worker holds now."""
    process = Path(f"/proc/{worker.pid}")
    pages = int((process / "statm").read_text().split()[1])
    files = sum(1 for _ in (process / "fd").iterdir())
    return Look(
        at_s=time.monotonic(),
        memory_mb=pages * resource.getpagesize() / 1e6,
        files=files,
        tasks=json.loads(census(worker)[-1])["tasks"],
    )


def census(worker: WorkerProcess) -> list[str]:
    """Return the lines that it has counted itself in so far."""
    return worker.log.with_name(FILE).read_text().splitlines()


def middle(looks: list[Look]) -> tuple[float, float, float]:
    """Return the medians of memory, files and tasks."""
    return (
        median(one.memory_mb for one in looks),
        median(one.files for one in looks),
        median(sum(one.tasks.values()) for one in looks),
    )


async def watch(worker: WorkerProcess, looks: list[Look], done: asyncio.Event) -> None:
    """Look at a worker every five seconds until done."""
    await until(lambda: census(worker), START_S)  # a quick one is ready before it has counted
    while not done.is_set():
        looks.append(look(worker))
        if len(looks) % 12 == 0:
            memory_mb, files, tasks = middle(looks[-12:])
            sys.stderr.write(
                f"minute {len(looks) // 12}, worker on {worker.port}:"
                f" {memory_mb:.0f} MB, {files:.0f} files, {tasks:.0f} tasks\n"
            )
        await asyncio.sleep(5)


async def test_nothing_grows_over_half_an_hour(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Two workers stay, others come and go, prompts change, callers leave; nothing is lost."""
    seconds, dice, done = MINUTES * 60, random.Random(1), asyncio.Event()
    assert seconds > SETTLED_S + 2 * LOOK_S, "too short to see anything"
    async with RedisServer(tmp_path) as redis, Stage(kafka, tmp_path, forked=False) as stage:
        stage.provider.default(latency_s=0.2, unique=True)
        await stage.open()
        config = tmp_path / "streamapp.toml"
        config.write_text(CONFIG.format(url=stage.provider.base_url))
        settings = {
            "config": config,
            "prompts_dir": prompts_dir(tmp_path / "prompts", "{{ id }} version 0"),
            "cache_url": redis.url,
            "cache_ttl_s": CACHE_S,
            "ledger_ttl_s": LEDGER_S,
        }
        command = ("tests.support.census", "worker")
        staying = [stage.start_worker(command=command, **settings) for _ in range(2)]
        await asyncio.gather(*(worker.wait_ready(START_S) for worker in staying))

        looks: list[list[Look]] = [[] for _ in staying]
        count = int(seconds * RATE_PER_S)
        async with asyncio.TaskGroup() as group:
            for worker, found in zip(staying, looks, strict=True):
                group.create_task(watch(worker, found, done))
            group.create_task(call_over_http(staying, done))
            changes = group.create_task(change_prompts(stage, done))
            bursts = group.create_task(send_bursts(stage, seconds))
            guests = group.create_task(have_guests(stage, dice, done, **settings))
            await stage.produce(records(count, dice), rate_per_s=RATE_PER_S)
            done.set()
        await stage.settle(count + bursts.result(), timeout_s=600)
        report = stage.verifier.report(paid(stage), stage.crashes)
        alive = [worker.alive for worker in staying]

    sys.stderr.write(
        f"{len(guests.result())} guests, {len(stage.crashes)} killed,"
        f" {changes.result()} versions: {report}\n"
    )
    assert not report.faults, report
    assert set(report.dead) == {"invalid"}
    assert alive == [True, True]
    for found in looks:
        judge_growth(found)


def judge_growth(looks: list[Look]) -> None:
    """Compare a worker's last looks with those once it had settled."""
    from_s, to_s = looks[0].at_s + SETTLED_S, looks[-1].at_s - LOOK_S
    before = [one for one in looks if from_s <= one.at_s < from_s + LOOK_S]
    after = [one for one in looks if one.at_s >= to_s]
    (mb, files, tasks), (mb_then, files_then, tasks_then) = middle(before), middle(after)
    told = (
        f"{mb:.0f} to {mb_then:.0f} MB, {files:.0f} to {files_then:.0f} files,"
        f" {tasks:.0f} to {tasks_then:.0f} tasks; the last ones: {after[-1].tasks}"
    )
    sys.stderr.write(told + "\n")
    assert mb_then - mb < MOST_GROWTH_MB, told
    assert files_then - files < MOST_MORE_FILES, told
    assert tasks > 0, "nothing was counted"
    assert tasks_then - tasks < MOST_MORE_TASKS, told
