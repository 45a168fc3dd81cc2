"""schemathesis against a real worker: what the document promises holds for requests it makes up."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from streamapp.streaming.broker.embedded import EmbeddedBroker
from streamapp.web.operations import OPERATIONS
from tests.support.worker import STREAMAPP, WorkerProcess

pytestmark = [pytest.mark.embedded, pytest.mark.chaos, pytest.mark.timeout(480)]

KEY = "sk-schemathesis"
CONFIG = """
[parameters]
# Requests made up ask for ids that nobody has: they would wait in vain.
"query.wait" = 0
# Endless without it.
"query.count" = 1

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
    """All checks on every operation, no failure, no 5xx, and the worker is ready at the end."""
    url = f"http://127.0.0.1:{worker.port}"
    bearer = f"Authorization: Bearer {KEY}"
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    # From a file: the path that a document is loaded from is never tested.
    document = tmp_path / "openapi.json"
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{url}/openapi.json", headers={"Authorization": f"Bearer {KEY}"}) as response,
    ):
        document.write_bytes(await response.read())
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("schemathesis")), "run"),
        *(str(document), "--url", url),
        *("--checks", "all", "--max-examples", "8", "--seed", "1", "--no-color"),
        *("--header", bearer, "--request-timeout", "20"),
        *("--generation-database", "none"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path,
    )
    output, _ = await process.communicate()

    text = output.decode()
    print(text)  # noqa: T201 - the figures
    assert process.returncode == 0, text[-6000:]
    operations = sum(len(under) for under in OPERATIONS.values())
    assert f"{operations} selected / {operations} total" in text
    assert await worker.is_ready()
    assert not worker.has_logged("unexpected_error")
