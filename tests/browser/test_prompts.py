"""Prompts that are protected or retired, in the dashboard's view of prompts."""

import pytest
from playwright.async_api import Dialog, expect

from tests.support.waiting import until

from .conftest import Site, Stand, Visit, tab

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]


async def test_protected_label_moves_only_after_a_question(
    visit: Visit, site: Site, stand: Stand
) -> None:
    """It names label and version; a no changes nothing, a yes moves the label."""
    await site.publish("translate", "Say in {{ target_language }}:\n{{ text }}")
    await stand.command("prompts", "protect", "translate")

    async def is_protected() -> bool:
        return bool((await site.get("/v1/prompts/translate"))["protected"])

    await until(is_protected, 30)
    page, asked, answers = visit.page, list[str](), [False, True]

    async def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await (dialog.accept() if answers.pop(0) else dialog.dismiss())

    page.on("dialog", answer)
    await tab(page, "Prompts")
    await page.get_by_role("button", name="translate").click()
    await page.get_by_role("button", name="v2 latest").click()

    await page.get_by_role("button", name="Move it here").click()
    labels = (await site.get("/v1/prompts/translate"))["labels"]
    await page.get_by_role("button", name="Move it here").click()
    await expect(page.locator("#prompt-list")).to_contain_text("translatev2")

    assert labels["production"] == 1
    assert asked == ['"production" is protected. Move it to version 2 all the same?'] * 2


async def test_texts_of_a_retired_prompt_are_shown(visit: Visit, site: Site, stand: Stand) -> None:
    """It stands behind the others, says what brings it back, and cannot be tried."""
    await site.publish("alpha", "Say it in one word:\n{{ text }}")
    await stand.command("prompts", "retire", "alpha")

    async def is_retired() -> bool:
        return bool((await site.get("/v1/prompts/alpha"))["retired"])

    await until(is_retired, 30)
    page = visit.page

    await tab(page, "Prompts")
    await expect(page.locator("#prompt-list button").last).to_have_text("alpharetired")
    await page.get_by_role("button", name="alpha").click()

    view = page.locator("#prompt-view")
    await expect(view).to_contain_text("'streamapp prompts retire alpha --off', brings it back")
    await expect(view.locator("pre.diff").last).to_contain_text("Say it in one word")
    await expect(page.get_by_role("button", name="Try this version")).to_be_disabled()
