"""docs/adding-a-record-type.md does what it says, word for word."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streamapp.llm.providers.offline import OfflineProvider
from streamapp.llm.routing.routes import Routes
from streamapp.processors.registry import Registry
from streamapp.processors.router import Router
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings.loading import load_settings

PAGE = Path(__file__).parents[3] / "docs" / "adding-a-record-type.md"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Every titled block of the page as a file, in a directory that Python imports from."""
    blocks = re.findall(r'```\w+ title="([^"]+)"\n(.*?)\n```', PAGE.read_text(), re.DOTALL)
    for name, text in blocks:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("sentiment", "test_sentiment"):
        sys.modules.pop(name, None)


async def test_the_record_gets_the_response_that_is_shown(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings as on the page, the record in, the response out."""
    command = re.search(r"STREAMAPP_PROCESSORS=(\w+) streamapp worker", PAGE.read_text())
    assert command is not None
    monkeypatch.setenv("STREAMAPP_PROCESSORS", command[1])
    settings = load_settings()
    router = Router(
        registry=Registry.load(settings.processor_modules),
        prompts=PromptRegistry.load(settings.prompts_dir),
        routes=Routes(settings, {"offline": OfflineProvider("offline")}),
        deadline_s=settings.deadline_s,
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
    )

    request = router.decode((files / "record.jsonl").read_bytes())
    response = (await router.answer(request, id=request.id or "", key=None)).response

    shown = json.loads((files / "response.json").read_text())
    assert {**json.loads(response.encode()), **shown} == json.loads(response.encode())
    assert router.problems() == []


def test_the_pages_own_test_passes_by_its_own_command(files: Path) -> None:
    """In a folder that has no settings for pytest."""
    command = re.search(r"^(\w+)=(\d) \.venv/bin/python (-m pytest .+)$", PAGE.read_text(), re.M)
    assert command is not None
    environment = {**os.environ, command[1]: command[2]}
    ran = subprocess.run(
        [sys.executable, *command[3].split()],
        cwd=files,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout
