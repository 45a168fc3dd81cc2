"""Records whose processors await something of their own for ever, which no deadline ends."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.flow_stage import create_topic, produce_values
from tests.e2e.stage import Record, Stage
from tests.support.fakellm import FakeLLM
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

DEADLINE_S, DRAIN_S = 3, 4
CONFIG = """
[providers.good]
kind = "openai"
base_url = "{good}"

[providers.down]
kind = "openai"
base_url = "{down}"

[models.default]
targets = ["good/fake-model"]

[models.down]
targets = ["down/fake-model"]

[flows.chains]
input = "{prefix}.in"
output = "{prefix}.out"
from = "earliest"
type = "chain"
id = "{{{{ value.id }}}}"
deadline_s = 5
fields = {{ hangs_at = 5 }}
"""


def chain(id_: str, **fields: Any) -> Record:
    """Return a record of three calls and a step of its own."""
    return Record(json.dumps({"id": id_, "type": "chain", **fields}).encode(), id_.encode())


async def told(worker: WorkerProcess, path: str) -> str:
    """Return what the worker answers."""
    url = f"http://127.0.0.1:{worker.port}{path}"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return await response.text()


async def degraded(worker: WorkerProcess) -> list[str]:
    """Return what /readyz names."""
    lines: list[str] = json.loads(await told(worker, "/readyz"))["degraded"]
    return lines


def named(lines: list[str]) -> set[str]:
    """Return the ids of the records that lines are about."""
    return {found[1] for line in lines if (found := re.match(r"record (\S+) \(type chain\)", line))}


async def test_records_that_nothing_ends_are_named(kafka: KafkaBroker, tmp_path: Path) -> None:
    """By the probe, a metric, once in the log, and by a stop; never one that is held elsewhere."""
    hanging = {"behind", "step", "flow"}
    async with FakeLLM() as down, Stage(kafka, tmp_path) as stage:
        down.default(status=401)
        config = tmp_path / "streamapp.toml"
        urls = {"good": stage.provider.base_url, "down": down.base_url}
        config.write_text(CONFIG.format(**urls, prefix=stage.prefix))
        stage.extra = {"CHAIN_LOG": str(tmp_path / "noted")}
        await stage.open()
        for name in ("in", "out"):
            await create_topic(stage, name, 1)
        start = partial(
            stage.ready_worker,
            processors="tests.support.chain",
            config=str(config),
            deadline_s=DEADLINE_S,
            drain_s=DRAIN_S,
        )
        worker = await start()
        await stage.produce(
            [
                chain("behind", hangs_at=5),
                chain("step", hangs_at=2),
                chain("held", model="down"),
            ]
        )
        await produce_values(stage, "in", [{"id": "flow", "key": "flow"}])

        async def are_named() -> bool:
            return named(await degraded(worker)) == hanging

        await until(are_named, 60, state=worker.tail)
        await until(lambda: _logged(worker) == hanging, 60, state=worker.tail)
        assert "down/fake-model" in await degraded(worker)
        assert "streamapp_records_overdue 3.0" in await told(worker, "/metrics")

        worker.sigterm()
        await until(lambda: worker.has_logged("window.drain_waits"), 10, state=worker.tail)
        assert await worker.wait(30) == 1, worker.tail()
        log = worker.log.read_text()
        assert log.count("record.overdue") == len(hanging)
        # They are given back, and hang once.
        await start()
        await stage.verifier.until(lambda: {"behind", "step"} <= stage.verifier.outcomes.keys(), 60)


def _logged(worker: WorkerProcess) -> set[str]:
    """Return the ids that the log names."""
    lines = [line for line in worker.log.read_text().splitlines() if "record.overdue" in line]
    return {found[1] for line in lines if (found := re.search(r"\bid=(\S+)", line))}
