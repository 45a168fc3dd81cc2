"""The README and the quick start, typed literally in a fresh clone with an empty HOME."""

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from streamapp.cli.demo_chain import FLOWS, reviews
from tests.docs.pages import Block, blocks
from tests.docs.terminal import opened
from tests.support.fakellm import FakeLLM

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(600)]

#: The model that the pages name; `streamapp check` looks for it at the provider.
MODEL = "gpt-4o-mini"
README, QUICK_START, FIRST_FLOW = "README.md", "docs/quick-start.md", "docs/first-flow.md"
REVIEWS = reviews()
TYPES = (
    "generate", "chat", "summarize", "classify", "extract", "translate", "embed", "demo-agent",
)  # fmt: skip


def after_the_demo(page: Path) -> list[Block]:
    """Return the page's blocks from the first own record on."""
    found = blocks(page)
    return found[next(n for n, block in enumerate(found) if "streamapp broker" in block.text) :]


def json_lines(output: str) -> list[Any]:
    """Return the JSON objects among what was shown."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def holds(found: Any, shown: Any) -> bool:
    """Whether all that a page shows of an object is in what was found."""
    if isinstance(found, dict) and isinstance(shown, dict):
        return all(key in found and holds(found[key], value) for key, value in shown.items())
    return bool(found == shown)


def with_port(text: str, home: Mapping[str, str]) -> str:
    """Return the text with the worker's port in place of the default one, which may be taken."""
    return text.replace("6066", home["STREAMAPP_WEB_PORT"])


def for_the_demo(home: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without a broker: the demo brings its own."""
    return {name: value for name, value in home.items() if name != "STREAMAPP_BROKER"}


async def test_make_demo_shows_an_answer_of_every_type(
    clone: Path, home: Mapping[str, str]
) -> None:
    """The first command stays up with answers and addresses until Ctrl-C."""
    demo = blocks(clone / README, "sh")[0].text.splitlines()[0]
    async with opened(clone, for_the_demo(home)) as terminal:
        terminal.start(demo)
        await terminal.see("Ctrl-C ends it")
        has_ended = await terminal.end(signal.SIGINT)

    assert demo.startswith("make demo ")
    assert [type for type in TYPES if f"│ {type} " not in terminal.output] == []
    assert "offline" in terminal.output
    assert [review for review in REVIEWS if f"│ {review['body'][:12]}" not in terminal.output] == []
    assert has_ended


async def test_a_provider_of_the_environment_answers_the_demo(
    clone: Path, home: Mapping[str, str]
) -> None:
    """The command with a key asks that provider, once for each record of each flow, and ends."""
    command = blocks(clone / README, "sh")[1].text
    async with FakeLLM() as provider:
        environment = {**for_the_demo(home), "OPENAI_BASE_URL": provider.base_url}
        async with opened(clone, environment) as terminal:
            output = await terminal.type(command)

        # The provider translates all reviews alike: each of the other flows asks it once.
        assert len(provider.calls) == len(TYPES) + len(REVIEWS) + len(FLOWS) - 1
        assert output.count("│ openai") == len(TYPES)


@pytest.mark.parametrize("page", [README, QUICK_START, FIRST_FLOW])
async def test_what_is_typed_shows_what_the_page_shows(
    page: str, clone: Path, home: Mapping[str, str]
) -> None:
    """Files are written, commands typed, and JSON that is shown is in what the last one showed."""
    output, checked = "", 0
    async with (
        FakeLLM(models=[MODEL]) as provider,
        opened(clone, home) as other,
        opened(clone, home) as terminal,
    ):
        for block in after_the_demo(clone / page):
            if block.is_file:
                (clone / block.title).write_text(with_port(block.text, home))
            elif block.title == "another terminal":
                other.start(block.text)
                await other.see("Ctrl-C ends it")
            elif block.language == "sh":
                if "OPENAI_API_KEY" in block.text:
                    await terminal.type(f"export OPENAI_BASE_URL={provider.base_url}")
                output = await terminal.type(with_port(block.text, home))
            elif block.language == "json":
                shown = json.loads(block.text)
                found = json_lines(output)
                assert any(holds(one, shown) for one in found), f"{block.place}\n{output}"
                checked += 1

    assert checked
