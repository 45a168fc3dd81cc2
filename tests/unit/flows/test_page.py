import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from streamapp.flows.catalogue import load_flows
from streamapp.flows.flow import Flow
from streamapp.flows.formats.choice import Formats
from streamapp.flows.formats.schema_store import SchemaStore
from streamapp.flows.python_flow import PythonFlow
from streamapp.flows.source_record import SourceRecord
from streamapp.processors.registry import Registry
from streamapp.settings import Settings
from tests.support.fakeregistry import FakeRegistry

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ["first-flow.md", "flows.md", "pipelines.md", "formats.md", "coming-from.md"]


def _blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text()
    return re.findall(rf"```{language}[^\n]*\n(.*?)```", text, re.DOTALL)


def _flows(block: str) -> list[Flow]:
    formats = Formats(SchemaStore(FakeRegistry()))
    return load_flows(Settings(**tomllib.loads(block)), Registry.load(), formats)


@pytest.mark.parametrize("page", PAGES)
def test_the_flows_of_a_page_start(page: str) -> None:
    """Each table is a flow: templates, type, fields and formats are right."""
    Path("answered.avsc").write_text('"string"')
    found = [block for block in _blocks(page, "toml") if "[flows." in block]

    assert found
    assert all(_flows(block) for block in found)


def test_the_first_flow_reads_its_records() -> None:
    """The first review of the page is a request of the flow, and the second is skipped."""
    [labels] = _flows(_blocks("first-flow.md", "toml")[0])
    first, second, _ = _blocks("first-flow.md", "text")[0].splitlines()

    request = labels.read(SourceRecord("shop.reviews", 0, 0, None, first.encode()))

    assert request is not None
    assert request.id == "r-1"
    assert request.model_dump()["text"] == "The delivery came two weeks late."
    assert labels.read(SourceRecord("shop.reviews", 0, 1, None, second.encode())) is None


@pytest.mark.parametrize(
    ("page", "name", "input", "outputs"),
    [
        ("flows.md", "label", "shop.reviews", ("shop.reviews.labelled",)),
        ("pipelines.md", "split", "shop.orders", ("shop.questions", "shop.notes")),
    ],
)
def test_the_flow_in_python_is_one(
    page: str, name: str, input: str, outputs: tuple[str, ...]
) -> None:
    """The code of the page makes a flow between its topics."""
    code, *_ = _blocks(page, "python")
    names: dict[str, object] = {"__name__": "page"}

    exec(compile(code, "page", "exec", dont_inherit=True), names)  # of our own page

    made = names[name]
    assert isinstance(made, PythonFlow)
    assert (made.input, made.outputs) == (input, outputs)


def test_the_pages_own_test_of_a_flow_passes(tmp_path: Path) -> None:
    """Word for word, in a folder that has no settings for pytest."""
    text = (DOCS / "flows.md").read_text()
    for name, code in re.findall(r'```python title="([^"]+)"\n(.*?)```', text, re.DOTALL):
        (tmp_path / name).write_text(code)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "test_labels.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout
