"""What a provider or an operator allows per minute, kept by whole workers on Apache Kafka."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker

pytestmark = pytest.mark.kafka

CONFIG = """
[providers.openai]
kind = "openai"
base_url = "{url}"
requests_per_minute = {limit}

[models.default]
targets = ["openai/fake-model"]
"""


def configured(stage: Stage, path: Path, *, limit: int) -> str:
    """Write a file with a limit of so many requests per minute; return its path."""
    path.write_text(CONFIG.format(url=stage.provider.base_url, limit=limit))
    return str(path)


def most_within(times: Iterable[float], window_s: float) -> int:
    """Return the largest number of ``times``, in order, within any window."""
    queue, most = list(times), 0
    start = 0
    for end, at in enumerate(queue):
        while queue[start] <= at - window_s:
            start += 1
        most = max(most, end - start + 1)
    return most


def nothing_is_lost(stage: Stage) -> None:
    report = stage.report()
    wrong = [*report.missing, *report.overcommitted, *report.unequal]
    assert not wrong, wrong[:10]
    assert not report.dead, report.dead


@pytest.mark.timeout(120)
@pytest.mark.parametrize("is_told", [True, False], ids=["told", "not-told"])
async def test_limit_of_the_provider_is_used_up(
    is_told: bool, kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A provider of 300 requests/s answers 3,000 records nearly at its rate, with few 429s."""
    async with Stage(kafka, tmp_path) as stage:
        provider = stage.provider
        await stage.open()
        settings = {"config": configured(stage, tmp_path / "c.toml", limit=18_000)}
        await stage.ready_worker(**(settings if is_told else {}))
        provider.limit(300, burst=30)

        await stage.produce([ask(f"r-{number}") for number in range(3_000)])
        await stage.verifier.all_answered(3_000, 60)
        nothing_is_lost(stage)

    times = [call.at_s for call in provider.calls]
    refused = provider.counts["by_status"].get("429", 0)
    print(f"{times[-1] - times[0]:.2f} s, {refused} 429s")  # noqa: T201 - for the report
    assert refused <= (6 if is_told else 120)


@pytest.mark.timeout(240)
async def test_two_workers_keep_one_limit(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Never more than the limit in a minute, before, during and after one worker is killed."""
    async with Stage(kafka, tmp_path) as stage:
        provider = stage.provider
        await stage.open()
        config = configured(stage, tmp_path / "c.toml", limit=600)
        workers = [await stage.ready_worker(config=config) for _ in range(2)]
        await stage.produce([ask(f"r-{number}") for number in range(1_000)])
        await stage.verifier.until(lambda: len(provider.calls) >= 250, 60)

        stage.kill9(workers[0])
        await stage.verifier.all_answered(1_000, 150)
        nothing_is_lost(stage)

    times = [call.at_s for call in provider.calls]
    killed_s = stage.crashes[0].to_s
    print(most_within(times, 60), times[-1] - times[0])  # noqa: T201 - for the report
    assert most_within(times, 60) <= 601
    after = [at for at in times if at > killed_s + 20]
    gaps = list(itertools.pairwise(after))
    assert len(gaps) >= 0.95 * 10 * (after[-1] - after[0])
