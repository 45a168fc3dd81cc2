"""Labels that are protected, in the dashboard's view of prompts."""

import asyncio
import os
import sys

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
    command = (sys.executable, "-m", "streamapp", "prompts", "protect", "translate")
    environment = os.environ | {"STREAMAPP_BROKER": stand.broker}
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    assert await process.wait() == 0

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
