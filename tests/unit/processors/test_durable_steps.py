"""docs/durable-steps.md is true: its code is taken from the page and run."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streamapp.llm.durable.stored_step import StoredStep
from streamapp.llm.routing.routes import Routes
from streamapp.processors.registry import Registry
from streamapp.processors.router import Router
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings.loading import load_settings
from tests.docs.pages import DOCS, blocks
from tests.fakes import FakeProvider


class Kept(dict[str, StoredStep]):
    limit_bytes = 1_000_000

    async def adopt(self, number: str, step: StoredStep) -> None: ...

    async def put(self, number: str, step: StoredStep) -> None:
        self[number] = step


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The page's module, on the path."""
    [block] = [b for b in blocks(DOCS / "durable-steps.md", "python") if b.title]
    (tmp_path / "refunds.py").write_text(block.text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "refunds"
    sys.modules.pop("refunds", None)


async def test_the_page_runs_and_comes_back(module: str) -> None:
    """Delivered again, the record asks nobody, and gives the same answer, tokens and key."""
    llm = FakeProvider("fake")
    settings = load_settings(
        providers={"fake": {"kind": "offline"}}, models={"default": {"targets": ["fake/m"]}}
    )
    router = Router(
        registry=Registry.load([module]),
        prompts=PromptRegistry.load(settings.prompts_dir),
        routes=Routes(settings, {"fake": llm}),
        deadline_s=90,
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
    )
    request: Any = router.decode(b'{"type": "refund", "order": "o-1", "wish": "too late"}')
    kept = Kept()

    first = await router.answer(request, id="r", key=None, store=kept)
    again = await router.answer(request, id="r", key=None, store=kept)

    assert len(llm.history) == 1
    assert len(kept) == 2
    assert again.response.output == first.response.output
    assert again.response.usage == first.response.usage
    assert again.response.attempts == first.response.attempts
