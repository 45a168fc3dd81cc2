"""The dashboard's views of flows and tools, dead letters of flows, and what keys have used."""

import asyncio
import hashlib
import json
import os
import re
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from playwright.async_api import Route, expect

from tests.support.mcp_serving import PROGRAM
from tests.support.worker import ROOT, WorkerProcess

from .conftest import SHAPES, Site, Stand, Visit, tab

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

SHOP_KEY = "sk-of-the-shop"
KEYS = """
[keys.shop]
key_sha256 = "{digest}"
scopes = ["infer"]
"""
FLOWS = """
[flows.translate]
input = "shop.comments"
from = "earliest"
type = "translate"
output = "shop.comments.english"
shape = "merge"
merge_into = "english"

[flows.translate.fields]
text = "{{ value.text }}"
target_language = "English"

[flows.shorten]
input = "shop.comments.english"
from = "earliest"
type = "summarize"
output = "shop.comments.short"
shape = "merge"
merge_into = "short"

[flows.shorten.fields]
text = "{{ value.english }}"
max_words = 20
"""


TOOLS = """
[mcp.orders]
command = {command}
env = ["PYTHONPATH"]
allow = ["get_order"]
timeout_s = 60
"""


SHOP_TOOLS = """
from streamapp.tools import tool

@tool(name="shop.hours", timeout_s=5)
async def hours() -> str:
    \"\"\"Tell when the shop is open.\"\"\"
    return "always"
"""


async def comment(broker: str, *texts: str) -> None:
    """Create the input of the chain, and write comments on it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.removeprefix("kafka://"))
    await admin.start()
    await admin.create_topics([NewTopic("shop.comments", 2, 1)])
    await admin.close()
    await write(broker, *texts)


async def write(broker: str, *texts: str) -> None:
    """Write comments on the input of the chain."""
    producer = AIOKafkaProducer(bootstrap_servers=broker.removeprefix("kafka://"))
    await producer.start()
    for text in texts:
        await producer.send_and_wait("shop.comments", json.dumps({"text": text}).encode())
    await producer.stop()


@pytest.fixture(scope="module")
def worker(stand: Stand) -> WorkerProcess:
    """A worker with two flows in a chain and a key of a name."""
    asyncio.run(comment(stand.broker, "Guten Morgen", 'Nein [[fake:{"status": 400}]]'))
    directory = stand.directory / "flows"
    directory.mkdir()
    config = directory / "streamapp.toml"
    digest = hashlib.sha256(SHOP_KEY.encode()).hexdigest()
    tools = TOOLS.format(command=json.dumps(PROGRAM))
    config.write_text(KEYS.format(digest=digest) + FLOWS + tools)
    (directory / "shop_tools.py").write_text(SHOP_TOOLS)
    settings = {"STREAMAPP_TOOLS": "shop_tools", "PYTHONPATH": f"{ROOT}{os.pathsep}{directory}"}
    return stand.worker(STREAMAPP_CONFIG=str(config), **settings)


async def broken(route: Route) -> None:
    """Answer with what is no JSON."""
    await route.fulfill(status=200, body="{")


async def forbidden(route: Route) -> None:
    """Answer as to a key that may ask for answers alone."""
    error = {"message": "this key may not do that: it needs the scope read", "code": "forbidden"}
    await route.fulfill(status=403, json={"error": error})


async def test_key_that_sees_no_live_numbers_is_told_so(visit: Visit, site: Site) -> None:
    """It is no lost connection, and nobody waits for the numbers."""
    page = visit.page
    await page.route("**/v1/live*", forbidden)

    await page.reload()

    told = "this key may not do that: it needs the scope read"
    await expect(page.locator("#status")).to_have_text(told)
    await tab(page, "Answers")
    await expect(page.locator("#answers-list")).to_have_text(told)
    assert all("403" in complaint for complaint in visit.complaints)
    visit.complaints.clear()  # the browser's own words of what was refused


async def test_chain_is_drawn_and_its_dead_letters_are_opened(visit: Visit, site: Site) -> None:
    """Topics and flows with lag and rate; the number of dead letters leads to them.

    The view shows those of one flow, or of all, as many as its tab counts.
    """
    page = visit.page
    await tab(page, "Flows")
    chain = page.get_by_role("img", name="translate from shop.comments to shop.comments.english")
    await expect(chain).to_contain_text("shop.comments.short")
    await expect(page.locator(".chain")).to_have_count(2)  # the built-in flow stands alone
    row = page.locator("#flow-table tr", has=page.get_by_role("rowheader", name="translate"))
    await expect(row.get_by_role("button")).to_have_text("1", timeout=60_000)
    await expect(row).to_contain_text("per s")
    await expect(chain).to_contain_text("1 dead letter")
    await expect(chain.get_by_text("lag 0")).to_have_count(2)

    await row.get_by_role("button").click()

    await expect(page.locator("#dead")).to_be_visible()
    await expect(page.locator("#dead-flow")).to_have_value("translate")
    await expect(page.locator("#dead-list article")).to_have_count(1)
    await page.get_by_role("button", name="Select all").click()
    await page.get_by_role("button", name="Replay selected").click()
    await expect(page.locator("#dead-note")).to_have_text("1 sent")
    await expect(page.locator("#dead-count")).to_have_text("2")  # it fails again
    record = {"id": "no-prompt", "type": "summarize", "text": "x", "prompt": "nowhere"}
    await site.post("/v1/requests?wait=30", record)
    await expect(page.locator("#dead-count")).to_have_text("3")
    await expect(page.locator("#dead-since")).to_contain_text("requests 1")
    await page.locator("#dead-flow").select_option("")
    rows = page.locator("#dead-list article")
    await expect(rows).to_have_count(3)  # as many as the tab counts
    await expect(rows.filter(has_text="requests · summarize")).to_have_count(1)
    await expect(rows.filter(has_text="translate · ")).to_have_count(2)
    one_flow = re.compile(r"/v1/dead-letters\?.*flow=translate$")
    await page.route(one_flow, broken)
    await page.get_by_role("button", name="Refresh").click()
    await expect(page.locator("#dead-note")).to_contain_text("not listed: translate: ")
    await expect(rows).to_have_count(1)  # those of the others all the same
    await page.unroute(one_flow)
    await page.get_by_role("button", name="Refresh").click()
    await expect(rows).to_have_count(3)
    await expect(page.locator("#dead-note")).to_have_text("")
    await page.set_viewport_size(SHAPES["390"])
    await tab(page, "Flows")
    await expect(page.locator(".chain").first).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    heights = await page.eval_on_selector_all(
        "#flow-table td", "cells => cells.map((cell) => cell.offsetHeight)"
    )
    assert heights
    assert max(heights) < 50  # a line each: no name is broken, the table scrolls


CROSSED = """labels => labels.filter((label) => {
  const box = label.getBBox(), svg = label.ownerSVGElement;
  const isIn = ({ x, y }) =>
    x > box.x && x < box.x + box.width && y > box.y && y < box.y + box.height;
  return [...svg.querySelectorAll("path.edge")].some((path) => {
    const length = path.getTotalLength();
    return [...Array(200).keys()].some((n) => isIn(path.getPointAtLength((n * length) / 199)));
  });
}).map((label) => label.textContent)"""


async def test_no_line_is_drawn_through_words(visit: Visit) -> None:
    """Neither where a flow writes to several topics, nor where several write to one."""
    page = visit.page
    flow: dict[str, Any] = {"partitions": 4, "lag": 12_345, "rate_per_s": 1.5, "dead_letters": 0}
    flow |= {"cost_usd_day": "0", "unpriced_day": 0, "reply_topics": []}
    flows = [
        flow | {"name": "a", "input": "in", "outputs": ["out"], "reply_topics": ["r1", "r2"]},
        flow | {"name": "b", "input": "two", "outputs": ["same"]},
        flow | {"name": "c", "input": "two", "outputs": ["same"]},
        flow | {"name": "d", "input": "three", "outputs": ["x"], "reply_topics": ["y"]},
    ]
    await page.route("**/v1/flows", lambda route: route.fulfill(json={"flows": flows}))

    await tab(page, "Flows")

    await expect(page.locator(".chain")).to_have_count(3)
    assert await page.eval_on_selector_all(".chain text.label", CROSSED) == []


async def test_tools_are_shown_with_their_source(visit: Visit) -> None:
    """Typed ones and those of a server that is connected, each with its arguments' schema."""
    page = visit.page
    await expect(page.locator("#tool-servers")).to_be_hidden()

    await tab(page, "Tools")

    await expect(page.locator("#tool-servers")).to_have_text("mcp.orders: connected, 1 tool")
    tool = page.locator("#tool-list article", has_text="orders.get_order")
    await expect(tool).to_contain_text("mcp.orders · 60 s at most")
    await expect(tool).to_contain_text("Look an order up by its number.")
    await tool.get_by_text("arguments: number").click()
    await expect(tool.get_by_label("Schema of orders.get_order")).to_contain_text('"required"')
    own = page.locator("#tool-list article", has_text="shop.hours")
    await expect(own).to_contain_text("shop_tools.hours · 5 s at most")
    await expect(own).to_contain_text("no arguments")
    await page.set_viewport_size(SHAPES["390"])
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390


async def test_tool_of_an_odd_schema_is_shown(visit: Visit) -> None:
    """A server may write anything there: what no provider takes hides no other tool."""
    page = visit.page
    odd = {"type": "object", "properties": {"a": True}, "required": True}
    tool = {"name": "odd.one", "source": "mcp.odd", "description": "", "parameters": odd}
    body = {"tools": [tool | {"timeout_s": 5}], "servers": []}
    await page.route("**/v1/tools", lambda route: route.fulfill(json=body))

    await tab(page, "Tools")

    await expect(page.locator("#tool-list article")).to_contain_text("arguments: a?")


async def test_usage_by_key_is_shown(visit: Visit, site: Site) -> None:
    """A named key stands with its tokens and cost; nothing is shown before one was used."""
    page = visit.page
    await expect(page.locator("#keys-panel")).to_be_hidden()
    headers = {"Authorization": f"Bearer {SHOP_KEY}"}
    body = {"type": "summarize", "text": "A text to pay for.", "max_words": 9}

    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{site.url}/v1/generate", json=body) as response,
    ):
        assert response.status == 200
        usage = (await response.json())["usage"]

    row = page.locator("#keys tr", has_text="shop")
    await expect(row).to_contain_text("shop")
    await expect(row.locator("td").nth(0)).to_have_text(str(usage["input_tokens"]))
    await expect(row.locator("td").nth(1)).to_have_text(str(usage["output_tokens"]))
    await expect(row.locator("td").nth(2)).to_have_text("unknown")  # no price of it is known
