"""The dashboard in a real Chromium, on a running worker."""

import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.clients import ROOT, ClientUnavailable, node_modules
from tests.support.waiting import until

from .conftest import KEY, Site

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(240)]

IMAGES = ROOT / "docs" / "images"
SHAPES = {"1280": {"width": 1280, "height": 900}, "390": {"width": 390, "height": 844}}
ATTACK = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"


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


@pytest.fixture
async def visit(browser: Browser, site: Site) -> AsyncIterator[Visit]:
    """The dashboard, opened with the key; at the end nobody complained and no key leaked."""
    context = await browser.new_context(viewport=SHAPES["1280"], color_scheme="light")  # type: ignore[arg-type]
    visit = Visit(await context.new_page())
    await visit.page.goto(site.url)
    await visit.page.get_by_label("Key", exact=True).fill(KEY)
    await visit.page.get_by_role("button", name="Open").click()
    await expect(visit.page.get_by_role("status").first).to_have_text("ready")
    yield visit
    assert visit.complaints == []
    assert [url for url in visit.requests if not url.startswith(site.url)] in ([], ["data:,"])
    assert [url for url in visit.requests if KEY in url] == []
    assert KEY not in await visit.page.content()
    assert await visit.page.evaluate("window.hacked") is None
    assert await visit.page.evaluate("localStorage.length + document.cookie.length") == 0
    await context.close()


async def tab(page: Page, name: str) -> None:
    await page.get_by_role("tab", name=name).click()


async def calls(page: Page) -> int:
    """Return what the tile of the breakers says of provider calls."""
    text = await page.locator("#tiles").inner_text()
    return int(re.findall(r"([\d,]+) calls? since start", text)[0].replace(",", ""))


async def test_record_from_the_playground_is_answered_and_counted(visit: Visit) -> None:
    """Answered now, piece by piece, and through the topic, by one call: the second is kept."""
    page = visit.page
    await expect(page.locator("#tiles")).to_contain_text("since start")
    before = await calls(page)
    await tab(page, "Playground")
    await page.get_by_role("button", name="Answer now").click()
    await expect(page.locator("#play-state")).to_have_text("answered")
    await expect(page.locator("#play-facts")).to_contain_text("Round trip")
    id = await page.locator("#play-facts dd").last.text_content()

    await page.get_by_role("button", name="Send through the topic").click()
    await expect(page.locator("#play-state")).to_have_text("answered", timeout=30_000)

    await tab(page, "Answers")
    await expect(page.locator("#answers-list")).to_contain_text(id or "no id")
    await tab(page, "Overview")

    async def moved() -> bool:
        return await calls(page) == before + 1

    await until(moved, 10)


async def test_label_is_moved(visit: Visit, site: Site) -> None:
    """A new version is shown against the one before; its label moves with one click."""
    await site.publish("summarize", "Shorten to {{ max_words }} words:\n{{ text }}")
    page = visit.page
    await tab(page, "Prompts")
    await page.get_by_role("button", name="summarize").click()
    await page.get_by_role("button", name="v2 latest").click()
    await expect(page.locator(".diff ins").first).to_contain_text("Shorten")

    await page.get_by_role("button", name="Move it here").click()

    await expect(page.locator("#prompt-list")).to_contain_text("summarizev2")


async def test_dead_letter_is_replayed(visit: Visit, site: Site) -> None:
    """A record that failed once is answered when it is sent again."""
    script = json.dumps([{"status": 400}, {}])
    record = {"type": "chat", "messages": [{"role": "user", "content": f"x [[fake:{script}]]"}]}
    await site.post("/v1/requests?wait=30", {"id": "again", **record})
    page = visit.page
    await tab(page, "Dead letters")
    await page.get_by_label("Select again").check()

    await page.get_by_role("button", name="Replay selected").click()

    await expect(page.locator("#dead-note")).to_have_text("1 sent")
    await tab(page, "Answers")
    await expect(page.locator("#answers-list")).to_contain_text("chat")

    async def is_answered() -> bool:
        return (await site.get("/v1/requests/again"))["status"] == "ok"

    await until(is_answered, 20)


async def test_text_from_outside_stays_text(visit: Visit, site: Site) -> None:
    """Tags in ids, records, prompts, answers and errors are shown, never run."""
    script = json.dumps({"text": ATTACK})
    chat = {"type": "chat", "messages": [{"role": "user", "content": f"[[fake:{script}]]"}]}
    await site.post("/v1/requests?wait=30", {"id": ATTACK, **chat})
    await site.post(
        "/v1/requests?wait=30",
        {"id": f"dead {ATTACK}", "type": "summarize", "prompt": "nowhere", "text": ATTACK},
    )
    await site.publish("translate", f"{ATTACK} {{{{ text }}}}")
    page = visit.page

    for name, place in (("Answers", "#answers-list"), ("Dead letters", "#dead-list")):
        await tab(page, name)
        await expect(page.locator(place)).to_contain_text("<script>")
    await tab(page, "Prompts")
    await page.get_by_role("button", name="translate").click()
    await page.get_by_role("button", name="v2 latest").click()
    await expect(page.locator(".diff")).to_contain_text("<script>")
    await tab(page, "Playground")
    await page.locator("#play-body").fill(json.dumps(chat))
    await page.get_by_role("button", name="Answer now").click()
    await expect(page.locator("#play-answer")).to_contain_text("<script>")


async def test_wrong_key_is_told(browser: Browser, site: Site) -> None:
    """Nothing is shown without a key; a wrong one is asked for again."""
    page = await browser.new_page()
    await page.goto(site.url)
    await page.get_by_label("Key", exact=True).fill("wrong")
    await page.get_by_role("button", name="Open").click()

    await expect(page.get_by_text("That key is not one of them.")).to_be_visible()
    assert await page.evaluate("sessionStorage.getItem('streamapp.key')") is None


async def test_keyboard_reaches_every_view(visit: Visit) -> None:
    """The arrow keys walk the tabs; the skip link comes first."""
    page = visit.page
    await page.locator("#tab-overview").focus()
    for name in ("answers", "dead", "prompts", "play", "overview"):
        await page.keyboard.press("ArrowRight")
        await expect(page.locator(f"#{name}")).to_be_visible()


async def test_page_is_small_and_complete(browser: Browser, site: Site) -> None:
    """The first load is one request below 150 kB, shown within a second."""
    page = await browser.new_page()
    sizes: list[int] = []
    response = await page.goto(site.url)
    assert response
    sizes.append(len(await response.body()))

    shown_ms = await page.evaluate(
        "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
    )
    assert sizes[0] < 150_000
    assert shown_ms < 1_000


async def test_axe_finds_nothing_serious(visit: Visit, site: Site) -> None:
    """In every view, light and dark, wide and narrow."""
    try:
        axe = (node_modules() / "axe-core" / "axe.min.js").read_text()
    except ClientUnavailable as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    await site.work(40)
    page = visit.page
    for theme in ("light", "dark"):
        for shape in SHAPES.values():
            await page.set_viewport_size(shape)  # type: ignore[arg-type]
            for name in ("Overview", "Answers", "Dead letters", "Prompts", "Playground"):
                await tab(page, name)
                await page.evaluate(axe)
                found = await page.evaluate("axe.run()")
                serious = [
                    (v["id"], v["nodes"][0]["html"], v["nodes"][0]["failureSummary"])
                    for v in found["violations"]
                    if v["impact"] in ("serious", "critical")
                ]
                assert serious == [], (theme, shape, name)
        await page.get_by_role("button", name="Light or dark").click()


async def test_narrow_page_does_not_scroll_sideways(visit: Visit, site: Site) -> None:
    """At 390 px every view fits."""
    await site.work(20)
    page = visit.page
    await page.set_viewport_size(SHAPES["390"])  # type: ignore[arg-type]
    for name in ("Overview", "Answers", "Dead letters", "Prompts", "Playground"):
        await tab(page, name)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390, name


@pytest.mark.chaos
async def test_pictures(visit: Visit, site: Site, tmp_path: Path) -> None:
    """Takes the pictures of docs/images, under load."""
    await site.publish("summarize", "Summarise in {{ max_words }} words:\n{{ text }}")
    page = visit.page

    async def picture(name: str, **options: Any) -> None:
        IMAGES.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=IMAGES / f"{name}.png", **options)

    for seed in range(1, 26):
        await site.work(90, seed=seed)
        await page.wait_for_timeout(900)
    for theme in ("light", "dark"):
        for width, shape in SHAPES.items():
            await page.set_viewport_size(shape)  # type: ignore[arg-type]
            await site.work(200, seed=100 + len(theme) + int(width))
            await page.wait_for_timeout(1_300)
            await picture(f"dashboard-{width}-{theme}", full_page=True)
        await page.get_by_role("button", name="Light or dark").click()
    await page.set_viewport_size(SHAPES["1280"])  # type: ignore[arg-type]
    await tab(page, "Prompts")
    await page.get_by_role("button", name="summarize").click()
    await page.get_by_role("button", name="v2 latest").click()
    await picture("prompts-1280-light")
    await tab(page, "Playground")
    await page.get_by_role("button", name="Answer now").click()
    await expect(page.locator("#play-state")).to_have_text("answered")
    await picture("playground-1280-light")
    await tab(page, "Dead letters")
    await page.wait_for_timeout(1_000)
    await picture("dead-letters-1280-light")
