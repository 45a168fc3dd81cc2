"""A worker is frozen for longer than its provider's timeout, and shorter than its session."""

import asyncio
from pathlib import Path

import pytest

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
