"""A worker is frozen for longer than its provider's timeout, and shorter than its session."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.e2e.flow_stage import create_topic, merged, produce_values, watched
from tests.e2e.stage import Stage, ask
from tests.support.fakellm import FakeLLM
from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

RECORDS = 40
TIMEOUT_S, FREEZE_S, SESSION_S = 8.0, 9.0, 30
CONFIG = f"""
[providers.first]
kind = "openai"
base_url = "{{first}}"
timeout_s = {TIMEOUT_S}

[providers.backup]
kind = "openai"
base_url = "{{backup}}"

[models.default]
targets = ["first/m", "backup/m"]
"""


async def test_what_was_answered_in_a_freeze_is_read_and_nobody_is_blamed(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Each record is paid once, by the first target, and no breaker opens."""
    async with FakeLLM() as backup, Stage(kafka, tmp_path) as stage:
        stage.provider.default(held=True, unique=True)
        config = tmp_path / "streamapp.toml"
        config.write_text(CONFIG.format(first=stage.provider.base_url, backup=backup.base_url))
        await stage.open()
        worker = await stage.ready_worker(config=str(config), session_timeout_s=SESSION_S)
        await stage.produce(ask(f"r-{number}") for number in range(RECORDS))
        await stage.in_flight(RECORDS)

        worker.sigstop()
        stage.provider.let_go()
        # All is answered meanwhile, and all timeouts are past; the session is not.
        await asyncio.sleep(FREEZE_S)
        assert stage.provider.counts["in_flight"] == 0
        worker.sigcont()
        report = await stage.settle(RECORDS)

        assert not report.faults, report
        assert (len(stage.provider.calls), len(backup.calls)) == (RECORDS, 0)
        assert not worker.has_logged("llm.breaker_opened")


async def test_freeze_is_not_in_the_time_that_a_flow_sets(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A call that failed in it is made again, although it was longer than the flow's deadline."""
    async with Stage(kafka, tmp_path) as stage:
        stage.provider.script({"held": True, "status": 500}, {})
        await stage.open()
        for topic in ("in", "out", "in-dlt"):
            await create_topic(stage, topic, 1)
        flows = {"own": merged(stage, "in", "out", step="asked", deadline_s=FREEZE_S - 1)}
        async with watched(stage, "in", "out") as verifier:
            worker = await stage.ready_worker(flows=json.dumps(flows), session_timeout_s=SESSION_S)
            await produce_values(stage, "in", [{"id": "f-1", "key": "f-1"}])
            await stage.in_flight(1)

            worker.sigstop()
            stage.provider.let_go()
            await asyncio.sleep(FREEZE_S)
            worker.sigcont()
            await verifier.all_answered(1, 60)

            report = verifier.report(stage.calls(), [])
            assert not report.dead, (report, worker.tail())
            assert len(stage.provider.calls) == 2
