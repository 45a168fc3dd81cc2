"""The dashboard in a real Chromium, on a running worker."""

import asyncio
import json
import re

import pytest
from aiokafka import AIOKafkaProducer
from playwright.async_api import Browser, Page, Route, expect

from tests.support.absent import absent
from tests.support.clients import ClientUnavailable, node_modules
from tests.support.waiting import until

from .conftest import KEY, SHAPES, Site, Stand, Visit, tab

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

VIEWS = ("Overview", "Answers", "Flows", "Dead letters", "Prompts", "Tools", "Playground")
RECORD = {"type": "summarize", "text": "a text", "max_words": 9}
TRACE = "a" * 32
ATTACK = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"


#: Types whose tag lies over the figures beside it, where the tag is made as long as some are.
COVERED = """() => [...document.querySelectorAll("#answers-list .row")].flatMap((row) => {
  const tag = row.querySelector(".tag");
  tag.textContent = "sentiment-of-a-text";
  const one = tag.getBoundingClientRect();
  const other = row.querySelector(".meta").getBoundingClientRect();
  return one.right > other.left && one.bottom > other.top ? [row.textContent] : [];
})"""


async def calls(page: Page) -> int:
    """Return what the tile of the breakers says of provider calls."""
    text = await page.locator("#tiles").inner_text()
    return int(re.findall(r"([\d,]+) calls? since start", text)[0].replace(",", ""))


async def test_record_from_the_playground_is_answered_and_counted(visit: Visit) -> None:
    """Answered now, chunk by chunk, and through the topic, by one call: the second is kept."""
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

    await until(moved, 60)


async def test_what_was_paid_never_looks_free(visit: Visit) -> None:
    """A cheap answer costs millionths of a dollar: two digits of small sums are shown."""
    shown = await visit.page.evaluate("[0, 0.0000045, 0.00999, 0.0234, 3.456].map(dollars)")

    assert shown == ["$0", "$0.0000045", "$0.0100", "$0.023", "$3.46"]


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
    await expect(page.get_by_role("button", name="Move it here")).to_be_disabled()
    await expect(page.locator("#prompt-view")).to_contain_text("production: from v1 to v2")
    await page.get_by_role("button", name="Roll production back to v1").click()
    await expect(page.locator("#prompt-list")).to_contain_text("summarizev1")


async def test_records_of_several_steps_are_listed(visit: Visit, site: Site) -> None:
    """A record in its third step stands with it; nothing is shown where there is none."""
    page = visit.page
    await expect(page.locator("#agents-panel")).to_be_hidden()

    await site.post("/v1/requests", {"id": "in-steps", "type": "chain", "hangs_at": 3})

    row = page.locator("#agents tr", has_text="in-steps")
    await expect(row).to_contain_text("model default")
    await expect(row).to_contain_text("running")


async def test_first_prompt_is_open_with_its_settings(visit: Visit) -> None:
    """Who opens the view sees a prompt, what goes with it, and what this key may do."""
    page = visit.page
    await expect(page.locator("#key-may")).to_contain_text("may: infer")
    await tab(page, "Prompts")

    await expect(page.locator("#prompt-view")).to_contain_text(", version 1")
    await expect(page.locator("#prompt-view")).to_contain_text("Settings")


async def test_examples_of_a_version_are_shown(visit: Visit, site: Site) -> None:
    """With their content, as the model sees them; a set that is not there is told with its file."""
    directory = site.worker.log.parent / "prompts"
    directory.mkdir(exist_ok=True)
    example = {"variables": {"text": "A long text."}, "output": "A short one."}
    mistyped = {"variables": {"txt": "Another text."}, "output": "Another one."}
    (directory / "set.jsonl").write_text("\n".join(map(json.dumps, (example, mistyped))))
    body = "{{ text }} {{ max_words }}"
    for file in ("set.jsonl", "nowhere.jsonl"):
        settings = {"examples": {"file": file}, "output_schema": {"type": "string"}}
        await site.post("/v1/prompts/shorten/versions", {"body": body, "settings": settings})
    page = visit.page
    await tab(page, "Prompts")
    await page.get_by_role("button", name="shorten").click()

    await expect(page.locator(".examples")).to_contain_text("A long text.")
    await expect(page.get_by_label("Answer of the example").first).to_have_text("A short one.")
    await expect(page.locator(".examples")).to_contain_text("the text has no variable 'txt'")
    await expect(page.get_by_label("Schema of the answer")).to_contain_text("string")
    await page.get_by_role("button", name="v2 latest").click()
    await expect(page.locator(".examples")).to_contain_text(
        "nowhere.jsonl: the file cannot be read"
    )
    # A version in use that lacks its set impairs a worker: no other test shall see that.
    await site.publish("shorten", f"Shorter: {body}")
    await site.put("/v1/prompts/shorten/labels/production", {"version": 3})

    async def is_whole() -> bool:
        return (await site.get("/readyz"))["status"] == "ok"

    await until(is_whole, 30)


async def test_version_is_tried_and_gets_a_share(visit: Visit, site: Site) -> None:
    """One click asks a version; shares are set beside what the variants came to."""
    await site.publish("answer", "Answer briefly: {{ question }}")
    await site.put("/v1/prompts/answer/labels/brief", {"version": 2})
    page = visit.page
    await tab(page, "Prompts")
    await page.get_by_role("button", name="answer").click()
    await page.get_by_label("brief %").fill("25")
    await page.get_by_label("production %").fill("75")
    await page.get_by_role("button", name="Set shares").click()
    await expect(page.locator(".shares")).to_contain_text("brief 25 %")

    await page.get_by_role("button", name="v2 latest").click()
    await page.get_by_role("button", name="Try this version").click()
    await page.get_by_role("button", name="Answer now").click()

    await expect(page.locator("#play-facts")).to_contain_text("answer:2")
    await tab(page, "Prompts")
    await page.get_by_role("button", name="answer").click()
    await expect(page.locator("#prompt-view")).to_contain_text("v2")
    await page.get_by_role("button", name="End the split").click()
    await expect(page.locator(".shares")).to_contain_text("production 100 %")


async def test_dead_letter_is_replayed(visit: Visit, site: Site) -> None:
    """A record that failed once is answered when it is sent again."""
    script = json.dumps([{"status": 400}, {}])
    record = {"type": "chat", "messages": [{"role": "user", "content": f"x [[fake:{script}]]"}]}
    await site.post("/v1/requests?wait=30", {"id": "again", **record})
    page = visit.page
    await tab(page, "Dead letters")
    await page.get_by_role("button", name="Select all").click()
    await expect(page.get_by_label("Select again")).to_be_checked()

    await page.get_by_role("button", name="Replay selected").click()

    await expect(page.locator("#dead-note")).to_have_text("1 sent")
    await expect(page.locator("#dead-list")).to_contain_text("sent again")
    # What needs nobody any more is not told as an alarm, nor left out of what was counted.
    sent = page.locator("#dead-list .row", has_text="sent again").locator(".tag").first
    await expect(sent).not_to_have_class("tag bad")
    await expect(page.locator("#dead-since")).to_contain_text("sent again or not")
    # What was sent again is not selected with those that were not.
    await page.locator("#dead-all").evaluate("(all) => { all.disabled = false; all.click(); }")
    await expect(page.get_by_label("Select again")).not_to_be_checked()
    await tab(page, "Answers")
    await expect(page.locator("#answers-list")).to_contain_text("chat")

    async def is_answered() -> bool:
        return (await site.get("/v1/requests/again"))["status"] == "ok"

    await until(is_answered, 60)


async def test_answer_is_opened_and_dead_letters_are_grouped_and_edited(
    visit: Visit, site: Site, stand: Stand
) -> None:
    """Request and whole answer with its cost; causes by kind; a record is corrected and sent."""
    long = json.dumps({"text": "word " * 200 + "the end"})
    chat = {"type": "chat", "messages": [{"role": "user", "content": f"x [[fake:{long}]]"}]}
    async with AIOKafkaProducer(bootstrap_servers=stand.broker.removeprefix("kafka://")) as topic:
        value = json.dumps({"id": "long-answer", **chat}).encode()
        headers = [("traceparent", f"00-{TRACE}-{'b' * 16}-01".encode())]
        await topic.send("llm.requests", value, key=b"customer-1", headers=headers)
        wrong = json.dumps({"id": "no-prompt", **RECORD, "prompt": "nowhere"}).encode()
        await topic.send("llm.requests", wrong, key=b"customer-2", headers=headers)
    bad = {"type": "chat", "messages": [{"role": "user", "content": 'x [[fake:{"status": 400}]]'}]}
    await site.post("/v1/requests?wait=30", {"id": "refused", **bad})
    page = visit.page

    await tab(page, "Answers")
    row = page.locator("#answers-list article", has_text="long-answer")
    await row.get_by_text("request and whole answer").click()
    await expect(row.get_by_label("Whole answer")).to_contain_text("the end")
    await expect(row.get_by_label("Request", exact=True)).to_contain_text('"id": "long-answer"')
    await expect(row.get_by_label("Headers of the request")).to_contain_text("traceparent")
    facts = row.locator("dl")
    for fact in (
        "Attempts1",
        "Keycustomer-1",
        f"Trace{TRACE}",
        "Placellm.requests ",
        "Costunknown",
    ):
        await expect(facts).to_contain_text(fact)
    await expect(facts).to_contain_text("Modelopenai/gpt-4o-mini")

    await tab(page, "Dead letters")
    await expect(page.locator("#dead-groups")).to_contain_text("prompt_error")
    await expect(page.locator("#dead-groups")).to_contain_text("rejected")
    row = page.locator("#dead-list article", has_text="no-prompt")
    await row.get_by_text("record at").click()
    number = "12345678901234567890"  # kept, though no number of JavaScript
    text = json.dumps({"id": "corrected", **RECORD, "metadata": {"n": int(number)}})
    await row.get_by_role("textbox").fill(text)
    await row.get_by_role("button", name="Send edited").click()
    await expect(row).to_contain_text("sent to llm.requests-")
    await tab(page, "Answers")
    row = page.locator("#answers-list article", has_text="corrected")
    await row.get_by_text("request and whole answer").click()
    await expect(row.locator("dl")).to_contain_text("Keycustomer-2")
    await expect(row.get_by_label("Headers of the request")).to_contain_text(TRACE)
    await expect(row.get_by_label("Request", exact=True)).to_contain_text(number)

    await tab(page, "Overview")
    await expect(page.locator("#models tr", has_text="openai/gpt-4o-mini")).to_contain_text(
        "unknown"
    )


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
    async with await browser.new_page() as page:
        await page.goto(site.url)
        await page.get_by_label("Key", exact=True).fill("wrong")
        await page.get_by_role("button", name="Open").click()

        await expect(page.get_by_text("That key is not one of them.")).to_be_visible()
        assert await page.evaluate("sessionStorage.getItem('streamapp.key')") is None


async def test_late_refusal_without_a_key_does_not_forget_the_key(
    browser: Browser, site: Site
) -> None:
    """What was asked before the key was typed may be refused after it."""
    is_opened = asyncio.Event()

    async def hold(route: Route) -> None:
        if "authorization" not in await route.request.all_headers():
            await is_opened.wait()
        await route.continue_()

    async with await browser.new_page() as page:
        await page.route("**/v1/history", hold)
        await page.goto(site.url)
        await page.get_by_label("Key", exact=True).fill(KEY)
        await page.get_by_role("button", name="Open").click()
        await expect(page.locator("#key-may")).to_have_text(re.compile("may: "))
        async with page.expect_response(lambda response: response.status == 401):
            is_opened.set()

        await expect(page.get_by_role("status").first).to_have_text(re.compile("ready$"))
        await expect(page.locator("#key-dialog")).to_be_hidden()
        assert await page.evaluate("sessionStorage.getItem('streamapp.key')") == KEY


async def test_keyboard_reaches_every_view(visit: Visit) -> None:
    """The arrow keys walk the tabs; the skip link comes first."""
    page = visit.page
    await page.locator("#tab-overview").focus()
    for name in ("answers", "flows", "dead", "prompts", "tools", "play", "overview"):
        await page.keyboard.press("ArrowRight")
        await expect(page.locator(f"#{name}")).to_be_visible()


async def test_address_of_the_open_page_chooses_the_view(visit: Visit) -> None:
    """A link pasted over it is obeyed, also by the title of a view."""
    page = visit.page
    for name, view in (("tools", "tools"), ("dead-letters", "dead"), ("playground", "play")):
        await page.evaluate("name => { location.hash = name; }", name)
        await expect(page.locator(f"#{view}")).to_be_visible()
        assert await page.evaluate("location.hash") == f"#{view}"


async def test_page_is_small_and_complete(browser: Browser, site: Site) -> None:
    """The first load is one request below 100 kB, shown within a second."""
    async with await browser.new_page() as page:
        sizes: list[int] = []
        response = await page.goto(site.url)
        assert response
        sizes.append(len(await response.body()))

        times_ms: list[float] = []
        for _ in range(5):  # the quickest of some: a loaded machine is not the page's fault
            times_ms.append(
                await page.evaluate(
                    "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
                )
            )
            await page.reload()
        assert sizes[0] < 100_000
        assert min(times_ms) < 1_000


#: All of them; of what is in order, which is ten times as much, nothing is told.
VIOLATIONS = "axe.run({resultTypes: ['violations']}).then(found => found.violations)"


async def test_axe_finds_nothing_serious(visit: Visit, site: Site) -> None:
    """In every view, light and dark, wide and narrow."""
    try:
        axe = (node_modules() / "axe-core" / "axe.min.js").read_text()
    except ClientUnavailable as error:
        absent(error)
    await site.publish("answer", "Answer: {{ question }}")
    await site.put("/v1/prompts/answer/labels/candidate", {"version": 2})
    await site.put("/v1/prompts/answer/split", {"production": 60, "candidate": 40})
    await site.work(40)
    page = visit.page
    await tab(page, "Prompts")
    await page.get_by_role("button", name="answer").click()
    await expect(page.locator(".shares")).to_contain_text("candidate 40 %")
    await page.evaluate(axe)
    for theme in ("light", "dark"):
        for shape in SHAPES.values():
            await page.set_viewport_size(shape)
            for name in VIEWS:
                await tab(page, name)
                violations = await page.evaluate(VIOLATIONS)
                serious = [
                    (v["id"], v["nodes"][0]["html"], v["nodes"][0]["failureSummary"])
                    for v in violations
                    if v["impact"] in ("serious", "critical")
                ]
                assert serious == [], (theme, shape, name)
        await page.get_by_role("button", name="Light or dark").click()


#: Tiles that would cut a line of the length that a busy group has.
CUT = """() => [...document.querySelectorAll(".tile .value, .tile .foot")].filter(e => {
    e.textContent = "465.5K tokens, 7,561 per s"; return e.scrollWidth > e.clientWidth;
}).map(e => e.parentElement.querySelector("h2").textContent)"""

#: Values that would be cut at the longest that one says.
CUT_VALUES = """() => [...document.querySelectorAll(".tile .value")].filter(e => {
    e.innerHTML = "unknown <small>no price known</small>"; return e.scrollWidth > e.clientWidth;
}).map(e => e.parentElement.querySelector("h2").textContent)"""


async def test_wide_page_cuts_no_value(visit: Visit) -> None:
    """At 1280 px five tiles stand side by side, and each says all of it."""
    await expect(visit.page.locator(".tile .value").first).to_be_visible()

    assert await visit.page.evaluate(CUT_VALUES) == []


async def test_narrow_page_does_not_scroll_sideways(visit: Visit, site: Site) -> None:
    """At 390 px every view fits, and no tile cuts what it says."""
    await site.work(20)
    page = visit.page
    await page.set_viewport_size(SHAPES["390"])
    for name in ("Overview", "Answers", "Flows", "Dead letters", "Prompts", "Playground"):
        await tab(page, name)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390, name
    await tab(page, "Overview")
    assert await page.evaluate(CUT) == []
    await tab(page, "Answers")
    assert await page.evaluate(COVERED) == []


#: The line "Look at this" of a group, by what each worker tells of itself.
TROUBLES = "(group) => { told = group; return troubles(); }"
#: What stands in the tile and beside the list's title, before the next word of the workers.
WITHOUT_DEAD_LETTERS = """() => {
  for (const { now } of told) now.dead_letters = [];
  showHead();
  showOverview();
  const tiles = [...document.querySelectorAll(".tile")];
  const tile = tiles.find((one) => /^Dead letters/.test(one.textContent));
  return [tile.textContent, document.querySelector("#dead-since").textContent];
}"""
FAILING = {
    "assigned": [False, "waiting for the group"],
    "recovered": [False, "5 ids in the ledger"],
    "taking": [False, "0 in flight"],
    "broker": [True, "answered 0.1 s ago"],
}


def told(number: int, **now: object) -> dict[str, object]:
    """Return what a worker of a group tells."""
    word = {"checks": {}, "degraded": [], "open_breakers": [], **now}
    return {"url": f"http://w{number}:6066/", "partitions": [], "now": word}


async def test_one_rebalance_is_one_thing_to_look_at(visit: Visit) -> None:
    """It takes partitions from all workers: what fails by it is not listed for each of them."""
    waits = [f"rebalance: no records for {n}.1 s, HTTP is answered" for n in range(3)]
    group = [told(n, checks=FAILING, degraded=[waits[n], "p/m"]) for n in range(3)]
    assert await visit.page.evaluate(TROUBLES, group) == [
        "all 3 workers: rebalance: no records for 0.1 s, HTTP is answered",
        "all 3 workers: p/m",
    ]

    group = [*(told(n, checks=FAILING) for n in range(3)), told(3), {**told(4), "now": None}]
    assert await visit.page.evaluate(TROUBLES, group) == [
        "3 of 5 workers: assigned (waiting for the group)",
        "w4:6066: no answer",
    ]
    assert await visit.page.evaluate(TROUBLES, [told(0, checks=FAILING)]) == [
        "assigned (waiting for the group)"
    ]


async def test_count_of_dead_letters_says_what_it_counts(visit: Visit) -> None:
    """Older ones may be in the list: 0 and `none` would say that there are none at all."""
    tile, since = await visit.page.evaluate(WITHOUT_DEAD_LETTERS)

    assert "since start" in tile
    assert "older ones, if any, are in the list" in tile
    assert since == "none since the workers' start"


async def test_share_of_the_cache_is_that_of_calls(visit: Visit) -> None:
    """A call that two tiers were asked for is one: 20 of 40 calls are a half, not a third."""
    asked = [[["memory", "hit"], 15], [["memory", "miss"], 25]]
    further = [[["table", "hit"], 5], [["table", "miss"], 20]]

    assert await visit.page.evaluate("(cache) => lookedUp(cache)", [*asked, *further]) == [20, 40]
    assert await visit.page.evaluate("(cache) => lookedUp(cache)", []) == [0, 0]


async def test_group_is_summed_up_and_shown_apart(visit: Visit, site: Site, stand: Stand) -> None:
    """A worker that joins appears with its partitions; what it answers is counted and listed."""
    page = visit.page
    await asyncio.to_thread(stand.worker)
    await expect(page.get_by_role("status").first).to_have_text("all ready", timeout=60_000)
    await expect(page.locator("#workers article")).to_have_count(2)
    draining = page.locator("#checks li", has_text="draining")
    await expect(draining).to_contain_text("2 of 2 draining no: takes records, is not stopping")
    await page.reload()
    await site.work(40, seed=7)

    async def both_answered() -> bool:
        told = (await site.get("/v1/workers"))["workers"]
        return all(
            w["now"] and any(labels[1] == "answered" for labels, _ in w["now"]["records"])
            for w in told
        )

    await until(both_answered, 30)
    await tab(page, "Answers")
    for number in range(40):
        await expect(page.locator("#answers-list")).to_contain_text(f"order-7{number:03}")
    await tab(page, "Overview")
    await expect(page.locator("#lag .part")).to_have_count(8)
    await page.get_by_label("Show").select_option(index=2)
    await expect(page.locator("#lag .part")).to_have_count(4)
