"""Real workers whose first target hangs or refuses, or whose provider refuses some of the records.

What is compared is measured in the same run: times on a loaded machine say nothing alone.
"""

import contextlib
import json
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stage import Record, Stage
from tests.support.fakellm import FakeLLM
from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

TIMEOUT_S = 3.0
LATENCY_S = 1.0
PER_S = 200
CONFIG = f"""
[providers.first]
kind = "openai"
base_url = "{{first}}"
timeout_s = {TIMEOUT_S}

[providers.backup]
kind = "openai"
base_url = "{{backup}}"

[providers.limited]
kind = "openai"
base_url = "{{backup}}"
requests_per_minute = {PER_S * 60}

[models.default]
targets = ["first/m", "backup/m"]

[models.plain]
targets = ["backup/m"]

[models.large]
targets = ["backup/large"]

[models.limited]
targets = ["limited/m"]
"""


class Run:
    """A worker between a first provider and a backup, and how long its records took."""

    def __init__(self, stage: Stage, backup: FakeLLM) -> None:
        self.stage = stage
        self.first = stage.provider
        self.backup = backup

    async def answers(
        self, name: str, count: int, *, model: str, per_s: float | None, text: str = ""
    ) -> list[dict[str, Any]]:
        """Produce so many records; return their responses."""
        ids = [f"{name}-{number}" for number in range(count)]
        await self.stage.produce((asking(id_, model, text) for id_ in ids), rate_per_s=per_s)
        outcomes = self.stage.verifier.outcomes
        await self.stage.verifier.until(lambda: all(outcomes.get(id_) for id_ in ids), 90)
        return [json.loads(outcomes[id_][0].value or b"") for id_ in ids]


@contextlib.asynccontextmanager
async def running(kafka: KafkaBroker, directory: Path) -> AsyncIterator[Run]:
    async with (
        FakeLLM(default={"latency_s": LATENCY_S}) as backup,
        Stage(kafka, directory) as stage,
    ):
        config = directory / "streamapp.toml"
        config.parent.mkdir(exist_ok=True)
        urls = {"first": stage.provider.base_url, "backup": backup.base_url}
        config.write_text(CONFIG.format(**urls))
        await stage.open()
        await stage.ready_worker(config=str(config))
        yield Run(stage, backup)


def asking(id_: str, model: str, text: str = "") -> Record:
    """Return a record that knows when it was made."""
    fields = {
        "id": id_,
        "type": "chat",
        "model": model,
        "messages": [{"role": "user", "content": f"{text}{id_}"}],
        "metadata": {"at": time.time()},
    }
    return Record(json.dumps(fields).encode(), id_.encode())


def at(part: float, responses: list[dict[str, Any]]) -> float:
    """Return the time that ``part`` of the records took at most, from making to answer, seconds."""
    waits = sorted(
        datetime.fromisoformat(response["created_at"]).timestamp() - response["metadata"]["at"]
        for response in responses
    )
    return waits[int(part * (len(waits) - 1))]


#: A busy machine may spoil a comparison, or two; that a provider does so shows in each.
ROUNDS = 3


def beyond(bound_s: float, responses: list[dict[str, Any]], plain: list[dict[str, Any]]) -> float:
    """Return by how much nearly all records took longer than they may, seconds.

    Args:
        bound_s: What they may take, beside what the machine adds to any record.
        responses: Theirs.
        plain: Of records that nothing befell.
    """
    beside_s = max(at(0.99, plain) - LATENCY_S, 0.0)
    print(f"p50 {at(0.5, responses):.2f} s, p99 {at(0.99, responses):.2f} s, {beside_s:.2f} s ours")  # noqa: T201
    return at(0.99, responses) - bound_s - beside_s


async def test_backup_answers_while_the_first_target_hangs(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Each record costs one timeout and the backup's latency, whatever waits for a place."""
    bound_s = TIMEOUT_S + 2 * LATENCY_S
    for number in range(ROUNDS):  # each by a worker that knows of no target that hangs
        async with running(kafka, tmp_path / str(number)) as run:
            run.first.default(hang="headers")
            plain = await run.answers("p", 100, model="plain", per_s=50)

            responses = await run.answers("r", 100, model="default", per_s=50)

        assert {response["provider"] for response in responses} == {"backup"}
        if beyond(bound_s, responses, plain) <= 0:
            break
    assert beyond(bound_s, responses, plain) <= 0


@pytest.mark.parametrize(
    "seconds",
    [15, pytest.param(60, marks=[pytest.mark.chaos, pytest.mark.timeout(300)])],
)
async def test_backup_answers_while_the_first_target_refuses(
    seconds: int, kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A first target that answers 429, and wants to be left alone for long, delays nobody."""
    for number in range(ROUNDS):
        async with running(kafka, tmp_path / str(number)) as run:
            run.first.default(status=429, headers={"retry-after": "20"})
            plain = await run.answers("p", 100, model="plain", per_s=20)

            responses = await run.answers("r", 20 * seconds, model="default", per_s=20)

        assert {response["provider"] for response in responses} == {"backup"}
        if beyond(2 * LATENCY_S, responses, plain) <= 0:
            break
    assert beyond(2 * LATENCY_S, responses, plain) <= 0


async def test_limited_model_does_not_slow_the_other(kafka: KafkaBroker, tmp_path: Path) -> None:
    """While one model of a provider is refused, the other one is as fast as before."""
    async with running(kafka, tmp_path) as run:
        refusal = {"status": 429, "headers": {"retry-after": "30"}}
        run.backup.script(refusal, match="large")
        alone_s = at(0.95, await run.answers("a", 200, model="plain", per_s=40))

        large = [asking(f"l-{number}", "large", "large ") for number in range(20)]
        await run.stage.produce(large)
        for number in range(ROUNDS):
            beside = await run.answers(f"b{number}", 200, model="plain", per_s=40)
            beside_s = at(0.95, beside)
            print(f"p95 alone {alone_s:.3f} s, beside {beside_s:.3f} s")  # noqa: T201
            if beside_s <= alone_s * 1.25:
                break
        answered = set(run.stage.verifier.outcomes)

    assert not [id_ for id_ in answered if id_.startswith("l-")]
    assert beside_s <= alone_s * 1.25


@pytest.mark.parametrize(
    "odd",
    [6, pytest.param(20, marks=[pytest.mark.chaos, pytest.mark.timeout(300)])],
)
async def test_records_refused_by_themselves_do_not_slow_the_rest(
    odd: int, kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Where 1 of 250 records is refused by itself, the others are done as soon as without them."""
    async with running(kafka, tmp_path) as run:
        run.backup.default(latency_s=0.2)
        run.backup.script({"status": 403}, match="odd")
        for number in range(ROUNDS):
            without = await run.answers(f"w{number}", odd * 250, model="limited", per_s=None)
            fine = await _beside_refused(run, odd, name=str(number))
            print(f"without {at(1, without):.2f} s, beside {at(1, fine):.2f} s")  # noqa: T201
            if at(1, fine) <= at(1, without) * 1.1:
                break

    assert at(1, fine) <= at(1, without) * 1.1


async def _beside_refused(run: Run, odd: int, *, name: str) -> list[dict[str, Any]]:
    """Return the responses to 250 records for each of ``odd`` ones that are refused."""
    ids = [
        f"odd{name}-{number}" if number % 250 == 125 else f"f{name}-{number}"
        for number in range(odd * 251)
    ]
    await run.stage.produce(asking(id_, "limited") for id_ in ids)
    outcomes = run.stage.verifier.outcomes
    await run.stage.verifier.until(lambda: all(outcomes.get(id_) for id_ in ids), 90)
    refused = [outcomes[id_][0].kind for id_ in ids if id_.startswith("odd")]
    fine = [json.loads(outcomes[id_][0].value or b"") for id_ in ids if id_.startswith("f")]
    assert refused == ["content_filtered"] * odd
    assert {response["status"] for response in fine} == {"ok"}
    return fine
