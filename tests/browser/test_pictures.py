"""Takes the pictures of docs/images: two workers under load, limits that hold calls, an outage."""

import asyncio
import json
import os
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.support.clients import ROOT
from tests.support.mcp_serving import PROGRAM
from tests.support.worker import WorkerProcess

from .conftest import SHAPES, Site, Stand, Visit, tab
from .test_flows import FLOWS, TOOLS, comment, write

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.chaos,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="module"),
]

IMAGES = ROOT / "docs" / "images"
CONFIG = """
[providers.openai]
kind = "openai"
base_url = "{url}"
api_key_env = "OPENAI_API_KEY"
requests_per_minute = 7800
burst_s = 1

[providers.backup]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
api_key_env = "OPENAI_API_KEY"

[models.default]
targets = ["openai/gpt-4o-mini"]

[models.careful]
targets = ["backup/gpt-4.1", "openai/gpt-4o"]
"""
PRICES = """
["openai/gpt-4o-mini"]
input = 0.15
output = 0.60

["openai/gpt-4o"]
input = 2.5
output = 10
"""

DESK = """
from typing import Literal

from streamapp.tools import tool

@tool(name="shop.refund")
async def refund(number: str, reason: str, shipping: bool = True) -> str:
    \"\"\"Pay an order back, once.

    Args:
        number: As on the invoice, digits only.
        reason: In a sentence, for the customer.
        shipping: Whether its shipping is paid back, too.
    \"\"\"
    return "paid back"

@tool(name="shop.opening_hours", timeout_s=5)
async def opening_hours(day: Literal["today", "tomorrow"] = "today") -> str:
    \"\"\"Tell when the shop is open.\"\"\"
    return f"{day}: 9 to 18"
"""
CHANGE = (
    "- Keep meaning, tone, register and formatting: line breaks, lists, Markdown, punctuation.",
    "- Keep meaning, tone and register; short sentences before long ones.\n"
    "- Keep the formatting: line breaks, lists, Markdown, punctuation.",
)


@pytest.fixture(scope="module")
def worker(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> WorkerProcess:
    """The worker that serves the page, and another one beside it."""
    texts = [f"Kommentar {number}" for number in range(40)]
    asyncio.run(comment(stand.broker, *texts, 'Nein [[fake:{"status": 400}]]'))
    directory = tmp_path_factory.mktemp("config")
    config, prices = directory / "streamapp.toml", directory / "prices.toml"
    tools = TOOLS.format(command=json.dumps(PROGRAM))
    config.write_text(CONFIG.format(url=stand.provider) + FLOWS + tools)
    (directory / "desk.py").write_text(DESK)
    prices.write_text(PRICES)
    settings = {
        "STREAMAPP_CONFIG": str(config),
        "STREAMAPP_PRICES_FILE": str(prices),
        "STREAMAPP_MODEL": "",
        "STREAMAPP_TOOLS": "desk",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{directory}",
    }
    first, _ = (stand.worker(**settings) for _ in range(2))
    return first


async def picture(page: Page, name: str, **options: Any) -> None:
    """Keep what the page shows."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=IMAGES / f"{name}.png", **options)


async def outage(site: Site) -> None:
    """Ask for ``careful``: its first target is down, so its breaker opens; the second answers."""
    for number in range(12):
        message = {"role": "user", "content": f"careful {number}"}
        await site.post("/v1/generate", {"type": "chat", "model": "careful", "messages": [message]})


async def load(page: Page, site: Site, stand: Stand, *, seed: int) -> None:
    """Let all flows have work for some seconds, so that each shows its rate."""
    for number in range(4):
        await site.work(120, seed=seed + number)
        await write(stand.broker, *(f"Noch ein Kommentar {seed + number}.{n}" for n in range(30)))
        await page.wait_for_timeout(900)


async def test_pictures(visit: Visit, site: Site, stand: Stand) -> None:
    """They are worth looking at: that is for people to judge, the test only takes them."""
    page = visit.page
    text = (await site.get("/v1/prompts/translate"))["versions"][0]["body"]
    await site.publish("translate", text.replace(*CHANGE))
    await site.put("/v1/prompts/translate/labels/candidate", {"version": 2})
    await site.put("/v1/prompts/translate/split", {"production": 70, "candidate": 30})
    for seed in range(1, 36):
        await site.work(95 + 25 * (seed % 3), seed=seed)
        if seed == 28:
            outages = asyncio.create_task(outage(site))
        await page.wait_for_timeout(900)
    for theme in ("light", "dark"):
        for width, shape in SHAPES.items():
            await page.set_viewport_size(shape)
            await site.work(160, seed=100 + len(theme) + int(width))
            await page.wait_for_timeout(1_300)
            await picture(page, f"dashboard-{width}-{theme}", full_page=True)
        await page.get_by_role("button", name="Light or dark").click()
    await outages
    await page.set_viewport_size(SHAPES["1280"])
    await tab(page, "Answers")
    await site.work(160, seed=300)
    await page.wait_for_timeout(1_500)
    await page.get_by_role("button", name="Pause").click()
    await page.get_by_text("request and whole answer").first.click()
    await expect(page.get_by_label("Whole answer").first).to_be_visible()
    await picture(page, "answers-1280-light")
    await tab(page, "Flows")
    await load(page, site, stand, seed=400)
    await expect(page.locator("#flow-table")).to_contain_text("per s")
    await picture(page, "flows-1280-light")
    await page.set_viewport_size(SHAPES["390"])
    await page.get_by_role("button", name="Light or dark").click()
    await load(page, site, stand, seed=500)
    await picture(page, "flows-390-dark", full_page=True)
    await page.get_by_role("button", name="Light or dark").click()
    await page.set_viewport_size(SHAPES["1280"])
    await tab(page, "Prompts")
    await page.get_by_role("button", name="translate").click()
    await page.get_by_role("button", name="candidate").click()
    await expect(page.locator("#prompt-view")).to_contain_text("Against version 1")
    await picture(page, "prompts-1280-light", full_page=True)
    await tab(page, "Tools")
    await expect(page.locator("#tool-servers")).to_contain_text("connected")
    await page.get_by_text("arguments: day?").click()
    await picture(page, "tools-1280-light")
    await page.set_viewport_size(SHAPES["390"])
    await page.get_by_role("button", name="Light or dark").click()
    await page.wait_for_timeout(500)
    await picture(page, "tools-390-dark", full_page=True)
    await page.get_by_role("button", name="Light or dark").click()
    await page.set_viewport_size(SHAPES["1280"])
    await tab(page, "Playground")
    await page.get_by_role("button", name="Answer now").click()
    await expect(page.locator("#play-state")).to_have_text("answered")
    await picture(page, "playground-1280-light")
    await tab(page, "Dead letters")
    await page.wait_for_timeout(1_000)
    await picture(page, "dead-letters-1280-light")
