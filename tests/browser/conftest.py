"""A running worker on the embedded broker, and a real Chromium to look at it."""

import asyncio
import json
import os
import random
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, async_playwright

from streamapp.streaming.embedded import EmbeddedBroker
from tests.support.process import ChildProcess
from tests.support.waiting import until
from tests.support.worker import ROOT, WorkerProcess

KEY = "sk-browser"

TEXTS = (
    "My parcel has been in the sorting centre since Monday.",
    "The lamp works, but its cable is too short for my desk.",
    "Can I still change the address of my order?",
)
ANSWERS = (
    "The parcel waits in the sorting centre; the customer asks when it moves on.",
    "The lamp is fine, the cable is not: too short for the desk.",
    "The customer wants to change the delivery address.",
)

#: The machine's own Chromium, started without the services that look for its maker's hosts.
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


class Site:
    """The worker under the browser, with a client of its own."""

    def __init__(self, worker: WorkerProcess, http: aiohttp.ClientSession) -> None:
        self.worker = worker
        self.url = f"http://127.0.0.1:{worker.port}"
        self._http = http

    async def post(self, path: str, body: Any) -> Any:
        """Post JSON; return the parsed answer."""
        async with self._http.post(f"{self.url}{path}", json=body) as response:
            return await response.json()

    async def get(self, path: str) -> Any:
        """Return the parsed answer."""
        async with self._http.get(f"{self.url}{path}") as response:
            return await response.json()

    async def publish(self, name: str, body: str) -> None:
        """Publish a version of a prompt."""
        await self.post(f"/v1/prompts/{name}/versions", {"body": body, "message": "shorter"})

    async def work(self, count: int, *, seed: int = 1) -> None:
        """Write records through HTTP, as one batch: most are answered, some are dead letters."""
        rng = random.Random(seed)
        lines = [json.dumps(_record(number, seed, rng)) for number in range(count)]
        headers = {"Content-Type": "application/jsonl"}
        url = f"{self.url}/v1/requests"
        async with self._http.post(url, data="\n".join(lines), headers=headers) as response:
            assert response.status == 202, await response.text()


def _record(number: int, seed: int, rng: random.Random) -> dict[str, Any]:
    script: dict[str, Any] = {"latency_s": round(min(rng.expovariate(2), 3.0), 2)}
    script["text"] = rng.choice(ANSWERS)
    if rng.random() < 0.03:
        script = {"status": 400}
    text = f"{rng.choice(TEXTS)} [[fake:{json.dumps(script)}]]"
    record = rng.choice(
        (
            {"type": "chat", "messages": [{"role": "user", "content": text}]},
            {"type": "summarize", "text": text, "max_words": 20},
            {"type": "translate", "text": text, "target_language": "French"},
        )
    )
    return {"id": f"order-{seed}{number:03}", **record}


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """A worker with a key, in front of the fake provider, for all tests of a module."""
    directory = tmp_path_factory.mktemp("browser")
    provider = ChildProcess(
        [sys.executable, "-m", "tests.support.fakellm", "--port", "0"],
        log=directory / "provider.log",
        cwd=ROOT,
    )
    provider.start()
    with EmbeddedBroker() as broker:
        try:
            asyncio.run(until(lambda: "base_url" in provider.log.read_text(), 20))
            base_url = json.loads(provider.log.read_text().splitlines()[0])["base_url"]
            settings = {
                "STREAMAPP_BROKER": broker.url,
                "STREAMAPP_API_KEYS": KEY,
                "STREAMAPP_MODEL": "gpt-4o-mini",
                "OPENAI_BASE_URL": base_url,
                "OPENAI_API_KEY": "sk-fake",
            }
            worker = WorkerProcess(directory / "worker", settings)
            worker.start()
            try:
                asyncio.run(worker.wait_ready())
                yield worker
            finally:
                worker.kill9()
        finally:
            provider.kill9()


@pytest.fixture
async def site(worker: WorkerProcess) -> AsyncIterator[Site]:
    """The worker and a client of its own."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        yield Site(worker, http)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium; without one the test is skipped, in CI it fails."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium on the path")
        pytest.skip("no chromium on the path")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        yield browser
        await browser.close()
