"""schemathesis against a real worker: what the document promises holds for requests it makes up."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from streamapp.streaming.broker.embedded import EmbeddedBroker
from streamapp.web.operations import OPERATIONS
from tests.support.worker import STREAMAPP, WorkerProcess

pytestmark = [pytest.mark.embedded, pytest.mark.chaos, pytest.mark.timeout(1800)]

KEY = "sk-schemathesis"
CONFIG = """
[parameters]
# Requests made up ask for ids that nobody has: they would wait in vain.
"query.wait" = 0
# Endless without it.
"query.count" = 1
# Times of several shapes, which no pattern tells.
"query.since" = "2h"
"query.until" = "1s"

[checks]
positive_data_acceptance.expected-statuses = ["2xx"]

# What is made up is not there.
[[operations]]
include-name = [
    "GET /v1/requests/{id}",
    "GET /v1/cache/{fingerprint}",
    "GET /v1/prompts/{name}",
    "GET /v1/prompts/{name}/stats",
    "GET /v1/prompts/{name}/versions/{version}/examples",
    "GET /v1/flows/{flow}/records/{partition}/{offset}",
]
checks.positive_data_acceptance.expected-statuses = ["2xx", "404"]

# A record can fit its schema and still be refused, by what no schema tells: a prompt that does
# not exist, a label twice, a deadline that has passed, a text that is no template.
[[operations]]
include-name = [
    "POST /v1/generate",
    "POST /v1/requests",
    "POST /v1/prompts/{name}/versions",
    "PUT /v1/prompts/{name}/labels/{label}",
    "PUT /v1/prompts/{name}/split",
]
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "422"]

# More places than their rate lets through in time; more answers to several prompts than to one; a
# text that is no JSON.
[[operations]]
include-name = [
    "POST /v1/dead-letters/replay",
    "POST /v1/completions",
    "POST /v1/dead-letters/edit",
]
checks.positive_data_acceptance.expected-statuses = ["2xx", "422"]
"""


def of_worker(document: Any) -> Any:
    """Return the document with the names that this worker knows, where it says any name."""
    for schema in document["components"]["schemas"].values():
        model = schema.get("properties", {}).get("model", {})
        for kind in (model, *model.get("anyOf", ())):
            if "anyOf" in kind:
                names = [k for k in kind["anyOf"] if k.get("maxLength") != 200]
                if len(names) < len(kind["anyOf"]):
                    kind["anyOf"] = [{"const": "default"}, *names]
    for path, name, values in (
        ("/v1/models/{model}", "model", ["default"]),
        ("/v1/dead-letters", "flow", ["requests"]),
    ):
        parameters = document["paths"][path]["get"]["parameters"]
        (found,) = (parameter for parameter in parameters if parameter["name"] == name)
        found["schema"] = {"type": "string", "enum": list(values)}
    return document


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
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession(url, headers=headers, raise_for_status=True) as http,
        http.get("/openapi.json") as response,
    ):
        document.write_text(json.dumps(of_worker(await response.json())))
    report = tmp_path / "report.txt"  # what there is of it outlives a time-out
    with report.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("schemathesis")), "run"),
            *(str(document), "--url", url),
            *("--checks", "all", "--max-examples", "8", "--seed", "1", "--no-color"),
            *("--header", bearer, "--request-timeout", "20"),
            *("--generation-database", "none"),
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
        )
        await process.wait()

    text = report.read_text()
    print(text)  # noqa: T201 - the figures
    assert process.returncode == 0, text[-6000:]
    operations = sum(len(under) for under in OPERATIONS.values())
    assert f"{operations} selected / {operations} total" in text
    assert await worker.is_ready()
    assert not worker.has_logged("unexpected_error")
