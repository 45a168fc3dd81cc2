"""What a provider or an operator allows per minute, kept by whole workers on Apache Kafka."""

import contextlib
import statistics
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.process import ChildProcess, free_port
from tests.support.waiting import until
from tests.support.worker import ROOT

pytestmark = pytest.mark.kafka

CONFIG = """
[providers.openai]
kind = "openai"
base_url = "{url}"
{limit}

[models.default]
targets = ["openai/fake-model"]
"""


def configured(directory: Path, *, url: str, limit: int | None) -> str:
    """Write a file with a limit of so many requests per minute; return its path."""
    path = directory / "streamapp.toml"
    told = f"requests_per_minute = {limit}" if limit else ""
    path.write_text(CONFIG.format(url=url, limit=told))
    return str(path)


@contextlib.asynccontextmanager
async def strict_provider(directory: Path, *, per_s: float, burst: float) -> AsyncIterator[str]:
    """Run a provider with a limit of its own in a process of its own; give its address.

    In the test's process it would fall behind while records are produced and read, and then
    refuse what has piled up.
    """
    port = free_port()
    words = ["--port", str(port), "--rate-per-s", str(per_s), "--burst", str(burst)]
    process = ChildProcess(
        [sys.executable, "-m", "tests.support.fakellm", *words],
        log=directory / "provider.log",
        cwd=ROOT,
    )
    process.start()
    try:
        await until(lambda: "base_url" in process.log.read_text(), 30)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill9()


def most_within(times: Iterable[float], window_s: float) -> int:
    """Return the largest number of ``times``, in order, within any window."""
    queue, most = list(times), 0
    start = 0
    for end, at in enumerate(queue):
        while queue[start] <= at - window_s:
            start += 1
        most = max(most, end - start + 1)
    return most


def usual_rate(calls: Sequence[dict[str, Any]]) -> float:
    """Return the median of the calls accepted in each second: one that stood still is one."""
    times = [call["at_s"] for call in calls if call["status"] == 200]
    counts = Counter(int(at_s - times[0]) for at_s in times)
    return statistics.median(counts[second] for second in range(int(times[-1] - times[0])))


def nothing_is_lost(stage: Stage) -> None:
    report = stage.report()
    wrong = [*report.missing, *report.overcommitted, *report.unequal]
    assert not wrong, wrong[:10]
    assert not report.dead, report.dead


async def refusals(kafka: KafkaBroker, directory: Path, *, limit: int | None) -> tuple[int, float]:
    """Let a fresh worker answer 3,000 records; return how often it was refused, and the seconds."""
    async with (
        strict_provider(directory, per_s=300, burst=30) as url,
        Stage(kafka, directory) as stage,
        aiohttp.ClientSession(url) as http,
    ):
        await stage.open()
        await stage.ready_worker(config=configured(directory, url=f"{url}/v1", limit=limit))
        await stage.produce([ask(f"r-{number}") for number in range(3_000)])
        await stage.verifier.all_answered(3_000, 60)
        async with http.get("/_calls") as answer:
            calls = await answer.json()
        nothing_is_lost(stage)
    return sum(call["status"] == 429 for call in calls), calls[-1]["at_s"] - calls[0]["at_s"]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("is_told", [True, False], ids=["told", "not-told"])
async def test_limit_of_the_provider_is_used_up(
    is_told: bool, kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A provider of 300 requests/s answers 3,000 records nearly at its rate, with few 429s."""
    # A provider that stood still on a busy machine refuses what came meanwhile, and says nothing
    # about the worker: another worker is judged then.
    for attempt in range(3):
        (directory := tmp_path / str(attempt)).mkdir()
        refused, took_s = await refusals(kafka, directory, limit=18_000 if is_told else None)
        print(f"{took_s:.2f} s, {refused} 429s")  # noqa: T201
        # Probing goes by time: 3 % of the calls at the full rate, more on a slower machine.
        most = 6 if is_told else 9 * max(took_s, 10)
        if refused <= most:
            break
    assert refused <= most


@pytest.mark.timeout(300)
async def test_restarted_worker_begins_where_the_first_was(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """What a worker learned of a limit outlives it: the next one is hardly refused.

    The limit is one that a busy machine reaches as well; the first worker is the measure.
    """
    async with (
        strict_provider(tmp_path, per_s=50, burst=5) as url,
        Stage(kafka, tmp_path) as stage,
        aiohttp.ClientSession(url) as http,
    ):
        await stage.open()
        config = configured(tmp_path, url=f"{url}/v1", limit=None)
        first = await stage.ready_worker(config=config)
        await stage.produce([ask(f"r-{number}") for number in range(400)])
        await stage.verifier.all_answered(400, 60)
        first.sigterm()
        assert await first.wait(60) == 0
        async with http.get("/_calls") as answer:
            before = await answer.json()
        await stage.ready_worker(config=config)

        await stage.produce([ask(f"s-{number}") for number in range(400)])
        await stage.verifier.all_answered(800, 60)

        nothing_is_lost(stage)
        async with http.get(f"/_calls?since={len(before)}") as answer:
            calls = await answer.json()
    refused = sum(call["status"] == 429 for call in calls)
    took_s = calls[-1]["at_s"] - calls[0]["at_s"]
    learned, used = usual_rate(before[len(before) // 2 :]), usual_rate(calls)
    first_refused = sum(call["status"] == 429 for call in before)
    print(f"{took_s:.2f} s, {refused} 429s, {learned}/s, then {used}/s; {first_refused}")  # noqa: T201
    assert refused <= 3 * max(took_s, 8)  # probing goes by time
    assert used >= 0.75 * learned


@pytest.mark.chaos  # a limit of minutes takes minutes to see
@pytest.mark.timeout(360)
async def test_two_workers_keep_one_limit(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Never more than the limit in a minute, before, during and after one worker is killed."""
    async with Stage(kafka, tmp_path) as stage:
        provider = stage.provider
        await stage.open()
        config = configured(tmp_path, url=provider.base_url, limit=600)
        workers = [await stage.ready_worker(config=config) for _ in range(2)]
        await stage.produce([ask(f"r-{number}") for number in range(1_000)])
        await stage.verifier.until(lambda: len(provider.calls) >= 250, 60)

        stage.kill9(workers[0])
        await stage.verifier.all_answered(1_000, 150)
        nothing_is_lost(stage)

    times = [call.at_s for call in provider.calls]
    killed_s = stage.crashes[0].to_s
    print(f"{most_within(times, 60)} in a minute, {times[-1] - times[0]:.1f} s")  # noqa: T201
    assert most_within(times, 60) <= 601
    after = [at for at in times if at > killed_s + 20]
    assert len(after) >= 0.9 * 10 * (after[-1] - after[0])
