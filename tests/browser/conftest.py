"""A running worker on the embedded broker, and a real Chromium to look at it."""

import asyncio
import json
import os
import random
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect

from streamapp.streaming.broker.embedded import EmbeddedBroker
from tests.support.absent import absent
from tests.support.process import ChildProcess
from tests.support.waiting import until
from tests.support.worker import ROOT, WorkerProcess

KEY = "sk-browser"

SHAPES: dict[str, ViewportSize] = {
    "1280": {"width": 1280, "height": 900},
    "390": {"width": 390, "height": 844},
}

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

# What a page shows comes when it comes: a loaded machine takes more than Playwright's 5 s.
expect.set_options(timeout=30_000)


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

    async def put(self, path: str, body: Any) -> None:
        """Put JSON."""
        async with self._http.put(f"{self.url}{path}", json=body) as response:
            assert response.status == 200, await response.text()

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


class Stand:
    """An embedded broker and a fake provider, with workers of one group in front of it.

    Attributes:
        provider: The fake provider's base URL.
        broker: The value for ``STREAMAPP_BROKER``.
        directory: Where the workers lie.
    """

    def __init__(self, directory: Path, broker: EmbeddedBroker, provider: str) -> None:
        self.provider = provider
        self.broker = broker.url
        self.directory = directory
        self._settings = {
            "STREAMAPP_BROKER": broker.url,
            "STREAMAPP_API_KEYS": KEY,
            "STREAMAPP_MODEL": "gpt-4o-mini",
            "OPENAI_BASE_URL": provider,
            "OPENAI_API_KEY": "sk-fake",
            "STREAMAPP_PROCESSORS": "tests.support.chain",
            "CHAIN_LOG": str(directory / "noted"),
        }
        self.workers: list[WorkerProcess] = []

    def worker(self, **settings: str) -> WorkerProcess:
        """Start one more worker, and wait until it is ready."""
        directory = self.directory / f"worker-{len(self.workers)}"
        worker = WorkerProcess(directory, self._settings | settings)
        self.workers.append(worker)
        worker.start()
        asyncio.run(worker.wait_ready())
        return worker

    async def command(self, *arguments: str) -> None:
        """Run a command of streamapp on the broker; it must not fail."""
        command = (sys.executable, "-m", "streamapp", *arguments)
        environment = os.environ | {"STREAMAPP_BROKER": self.broker}
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        assert await process.wait() == 0


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """What the workers of a module stand on."""
    directory = tmp_path_factory.mktemp("browser")
    provider = ChildProcess(
        [sys.executable, "-m", "tests.support.fakellm", "--port", "0"],
        log=directory / "provider.log",
        cwd=ROOT,
    )
    provider.start()
    with EmbeddedBroker() as broker:
        try:
            asyncio.run(until(lambda: "base_url" in provider.log.read_text(), 60))
            base_url = json.loads(provider.log.read_text().splitlines()[0])["base_url"]
            stand = Stand(directory, broker, base_url)
            yield stand
            for worker in stand.workers:
                worker.kill9()
        finally:
            provider.kill9()


@pytest.fixture(scope="module")
def worker(stand: Stand) -> WorkerProcess:
    """A worker with a key, in front of the fake provider, for all tests of a module."""
    return stand.worker()


@pytest_asyncio.fixture(loop_scope="module")
async def site(worker: WorkerProcess) -> AsyncIterator[Site]:
    """The worker and a client of its own."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        yield Site(worker, http)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium for all tests of a module; without one they are skipped, in CI they fail.

    To start it takes more than what most of them do. Each has a context of its own: cookies,
    storage and cache are those of a browser just started.
    """
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        absent("no chromium on the path")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        yield browser
        await browser.close()


class Visit:
    """One page with what its console said and how much it loaded."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("request", lambda request: self.requests.append(request.url))

    def _heard(self, kind: str, text: str) -> None:
        if kind == "error" and "401" not in text:  # that is how the page learns of the key
            self.complaints.append(text)


@pytest_asyncio.fixture(loop_scope="module")
async def visit(browser: Browser, site: Site) -> AsyncIterator[Visit]:
    """The dashboard, opened with the key; at the end nobody complained and no key leaked."""
    async with await browser.new_context(viewport=SHAPES["1280"], color_scheme="light") as context:
        visit = Visit(await context.new_page())
        await visit.page.goto(site.url)
        await visit.page.get_by_label("Key", exact=True).fill(KEY)
        await visit.page.get_by_role("button", name="Open").click()
        await expect(visit.page.get_by_role("status").first).to_have_text(re.compile("ready$"))
        yield visit
        assert visit.complaints == []
        assert [url for url in visit.requests if not url.startswith(site.url)] in ([], ["data:,"])
        assert [url for url in visit.requests if KEY in url] == []
        assert KEY not in await visit.page.content()
        assert await visit.page.evaluate("window.hacked") is None
        assert await visit.page.evaluate("localStorage.length + document.cookie.length") == 0


async def tab(page: Page, name: str) -> None:
    await page.get_by_role("tab", name=name).click()
