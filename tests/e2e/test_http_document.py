"""schemathesis against a real worker: what the document promises holds for requests it makes up."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamapp.streaming.embedded import EmbeddedBroker
from tests.support.worker import STREAMAPP, WorkerProcess

pytestmark = [pytest.mark.embedded, pytest.mark.chaos, pytest.mark.timeout(480)]

KEY = "sk-schemathesis"
CONFIG = """
[parameters]
# Requests made up ask for ids that nobody has: they would wait in vain.
"query.wait" = 0

[checks]
# A record can fit its schema and still be refused, by what no schema tells: a prompt that does
# not exist, a label twice, a deadline that has passed.
positive_data_acceptance.expected-statuses = ["2xx", "404", "422"]
"""


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[WorkerProcess]:
    """A worker of the offline provider, with a key, on the embedded broker."""
    with EmbeddedBroker() as broker:
        worker = WorkerProcess(
            tmp_path / "worker",
            {"STREAMAPP_BROKER": broker.url, "STREAMAPP_API_KEYS": KEY},
            command=STREAMAPP,
        )
        worker.start()
        try:
            await worker.wait_ready()
            yield worker
        finally:
            worker.kill9()


async def test_schemathesis_finds_nothing(worker: WorkerProcess, tmp_path: Path) -> None:
    """All checks, no failure, no 5xx, and the worker is ready at the end."""
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("schemathesis")), "run"),
        f"http://127.0.0.1:{worker.port}/openapi.json",
        *("--exclude-path", "/v1/live"),  # never ends by itself
        *("--checks", "all", "--max-examples", "8", "--seed", "1", "--no-color"),
        *("--header", f"Authorization: Bearer {KEY}", "--request-timeout", "20"),
        *("--generation-database", "none"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path,
    )
    output, _ = await process.communicate()

    assert process.returncode == 0, output.decode()[-6000:]
    assert await worker.is_ready()
    assert not worker.has_logged("unexpected_error")
