import re
import tomllib
from pathlib import Path

import pytest

from streamapp.flows.catalogue import load_flows
from streamapp.flows.formats.choice import Formats
from streamapp.flows.formats.schema_store import SchemaStore
from streamapp.flows.python_flow import PythonFlow
from streamapp.flows.source_record import SourceRecord
from streamapp.processors.registry import Registry
from streamapp.settings import Settings
from tests.support.fakeregistry import FakeRegistry

PAGE = (Path(__file__).parents[3] / "docs" / "flows.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_flows_of_the_page_start_and_read_its_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each table of the page is a flow, and the record of the page is a request of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answered.avsc").write_text('"string"')
    for block in _blocks("toml"):
        formats = Formats(SchemaStore(FakeRegistry()))
        flows = load_flows(Settings(**tomllib.loads(block)), Registry.load(), formats)
        assert flows

    [labels] = load_flows(Settings(**tomllib.loads(_blocks("toml")[0])), Registry.load())
    [value] = re.findall(r"as `(\{.*?\})`", PAGE)
    request = labels.read(SourceRecord("shop.reviews", 0, 0, None, value.encode()))

    assert request is not None
    assert request.id == "r-1"
    assert request.model_dump()["text"] == "Arrived broken."


def test_the_flow_in_python_is_one() -> None:
    """The code of the page makes a flow between its topics."""
    [code] = _blocks("python")
    names: dict[str, object] = {"__name__": "page"}

    exec(compile(code, "page", "exec", dont_inherit=True), names)  # of our own page

    label = names["label"]
    assert isinstance(label, PythonFlow)
    assert (label.input, label.outputs) == ("shop.reviews", ("shop.reviews.labelled",))
