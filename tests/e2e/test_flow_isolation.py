"""A flow whose provider is down, with a backlog, beside one that goes on as if it were alone."""

import json
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.flow_stage import create_topic, merged, produce_values, watched
from tests.e2e.stage import Stage
from tests.support.kafka import KafkaBroker
from tests.support.verifier import Verifier

pytestmark = pytest.mark.kafka

#: Most of the time of a record is its call, so that the machine's own noise counts little.
LATENCY_S = 1.0
RATE_PER_S = 25.0
#: What a standing flow may cost another one, in times of its p95 alone.
LIMIT = 1.2
#: Looks beside it after the first one, where that is above the limit.
MORE_ROUNDS = 3
CONFIG = """
[providers.good]
kind = "openai"
base_url = "{url}"

[providers.down]
kind = "openai"
base_url = "{url}/down"

[models.default]
targets = ["good/fake-model"]

[models.down]
targets = ["down/fake-model"]
"""


async def _p95_s(stage: Stage, verifier: Verifier, name: str, count: int) -> float:
    """Produce so many records at a steady rate; return what 95 % of them took at most, seconds."""
    ids = [f"{name}-{n}" for n in range(count)]
    values = ({"id": id_, "key": id_, "at": time.monotonic()} for id_ in ids)
    await produce_values(stage, "fast-in", values, rate_per_s=RATE_PER_S)
    await verifier.until(lambda: all(id_ in verifier.outcomes for id_ in ids), 120)
    waits = []
    for id_ in ids:
        [outcome, *_] = verifier.outcomes[id_]
        waits.append(outcome.at_s - json.loads(outcome.value or b"")["at"])
    return sorted(waits)[int(0.95 * (count - 1))]


async def _compare(kafka: KafkaBroker, tmp_path: Path, *, backlog: int, count: int) -> float:
    """Return the p95 beside a backlog of a flow that stands still, in times of that alone."""
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        for topic in ("fast-in", "fast-out", "fast-in-dlt", "slow-in", "slow-out"):
            await create_topic(stage, topic, 4)
        flows = {
            "fast": merged(stage, "fast-in", "fast-out", step="fast"),
            "slow": merged(stage, "slow-in", "slow-out", step="slow", model="down"),
        }
        config = tmp_path / "streamapp.toml"
        config.write_text(CONFIG.format(url=stage.provider.base_url))
        stage.provider.default(latency_s=LATENCY_S)
        stage.provider.script({"status": 503}, path="/down/chat/completions")
        await stage.ready_worker(flows=json.dumps(flows), config=str(config))
        async with watched(stage, "fast-in", "fast-out") as verifier:
            await _p95_s(stage, verifier, "warm", 50)
            alone = await _p95_s(stage, verifier, "alone", count)
            values = ({"id": f"s-{n}", "key": f"k-{n % 500}"} for n in range(backlog))
            await produce_values(stage, "slow-in", values)
            beside = await _p95_s(stage, verifier, "beside", count)
            for number in range(MORE_ROUNDS):
                # The machine may have had other work; a flow that is held up is so again.
                if beside > LIMIT * alone:
                    beside = min(beside, await _p95_s(stage, verifier, f"again-{number}", count))
            report = verifier.report()
        refused = sum(call.status == 503 for call in stage.provider.calls)
    sys.stdout.write(
        f"\np95 alone {alone:.3f} s, beside a backlog of {backlog:,} {beside:.3f} s, ratio"
        f" {beside / alone:.3f}; {refused} calls refused\n"
    )
    assert not report.faults, report
    assert 0 < refused < backlog / 2
    return beside / alone


@pytest.mark.timeout(300)
async def test_a_flow_whose_provider_is_down_leaves_the_others_alone(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A small backlog, still many times all slots, costs the other flow nothing that is felt."""
    assert await _compare(kafka, tmp_path, backlog=5_000, count=300) <= LIMIT


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_a_backlog_of_fifty_thousand_leaves_the_others_alone(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """As above, with a backlog that fills every queue on the way."""
    assert await _compare(kafka, tmp_path, backlog=50_000, count=1_000) <= LIMIT
