"""docs/agents.md is true: its tools and prompt are taken from the page and run."""

import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streamapp.llm.routing.routes import Routes
from streamapp.processors.registry import Registry
from streamapp.processors.router import Router
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings.loading import load_settings
from streamapp.tools.catalogue import ToolCatalogue, load_tools
from streamapp.tools.loop import AT_ONCE, MAX_STEPS, MAX_TOOL_CALLS, RESULT_CHARS, ToolLoop
from streamapp.tools.tool import TIMEOUT_S
from tests.docs.pages import DOCS, blocks
from tests.fakes import FakeProvider
from tests.unit.tools.agents import calling

PAGE = DOCS / "agents.md"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the page's files, on the path."""
    for block in blocks(PAGE):
        if block.is_file:
            path = tmp_path / block.title
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("desk", None)


async def test_the_page_runs(folder: Path) -> None:
    """The prompt's model calls both tools and hears what they give."""
    llm = FakeProvider()
    settings = load_settings(
        providers={"fake": {"kind": "offline"}}, models={"default": {"targets": ["fake/m"]}}
    )
    router = Router(
        registry=Registry.load(),
        prompts=PromptRegistry.load(folder / "prompts"),
        routes=Routes(settings, {"fake": llm}),
        deadline_s=90,
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
        tools=ToolLoop(ToolCatalogue(load_tools(["desk"]))),
    )
    llm.enqueue(
        calling(("order_status", {"number": "1"}), ("order_status", {"number": "4711"})),
        calling(("shop__opening_hours", {})),
        "Tomorrow.",
    )
    request = router.decode(
        b'{"type": "generate", "prompt": "desk", "variables": {"question": "Where?"}}'
    )

    answer = await router.answer(request, id="r", key=None)

    told = [turn["content"] for turn in llm.history[-1].messages if turn["role"] == "tool"]
    assert not router.problems()
    assert answer.response.output == "Tomorrow."
    assert told == [
        "there is no such order; ask the customer for the number",
        '{"number":"4711","state":"on its way","due":"2030-01-02"}',
        "today: 9 to 18",
    ]


def test_the_page_tells_the_bounds() -> None:
    """Its numbers are those of the code."""
    text = PAGE.read_text()

    assert re.findall(r"\((\d+) without (?:it|one)\)", text) == [
        f"{TIMEOUT_S:g}",
        str(MAX_STEPS),
        str(MAX_TOOL_CALLS),
    ]
    assert f"{RESULT_CHARS:,} characters" in text
    assert ("eight", AT_ONCE) == ("eight", 8)
    assert "eight tools run at once" in text
