"""`streamapp explain --flow`: sample records of a flow's input."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streamapp.cli import main
from tests.support.process import free_port

NOBODY = {"STREAMAPP_BROKER": "kafka://127.0.0.1:1", "STREAMAPP_WEB_PORT": str(free_port())}
CANARY = "canary-7f3a"

FLOWS = """
[flows.labels]
input = "shop.reviews"
type = "classify"
when = "{{ value.stars <= 3 }}"
id = "{{ value.review_id }}"
output = "shop.reviews.labelled"
shape = "merge"

[flows.labels.fields]
text = "{{ value.body }} by {{ key | default('nobody') }}"
labels = ["delivery", "price"]

[flows.short]
input = "shop.orders"
format = "avro"
type = "summarize"
output = "shop.orders.short"
output_format = "avro"
shape = "merge"

[flows.short.fields]
text = "{{ value.body }}"
max_words = 3
"""

MODULE = """
from pydantic import BaseModel
from streamapp.flows.emit import Emit
from streamapp.flows.python_flow import flow
from streamapp.llm.client import LLMClient

class Note(BaseModel):
    text: str

@flow("notes", to=["notes.a", "notes.b"])
async def shorten(note: Note, llm: LLMClient) -> list[Emit[Note]] | None:
    if not note.text:
        return None
    short = await llm.chat([{"role": "user", "content": note.text}])
    return [Emit(Note(text=short)), Emit(Note(text="copy"), key="k", to="notes.b")]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with flows of the file and in Python."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "streamapp.toml").write_text(FLOWS)
    (tmp_path / "explained_flows.py").write_text(MODULE)
    return tmp_path


def run(flow: str, *records: Any, arguments: tuple[str, ...] = (), **environment: str) -> Result:
    lines = "\n".join(r if isinstance(r, str) else json.dumps(r) for r in records)
    command = ["explain", "-", "--flow", flow, *arguments]
    return CliRunner().invoke(main, command, input=lines, env=NOBODY | environment)


def explained(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.usefixtures("folder")
def test_a_record_of_a_flow_is_shown_with_its_request_and_what_is_written() -> None:
    """Templates are filled, and the answer of the rules stands where that of a model will."""
    review = {"review_id": "r-1", "body": "Late delivery", "stars": 1}

    result = run("labels", review, arguments=("--json", "--key", "review_id"))

    assert result.exit_code == 0, result.stderr
    [found] = explained(result)
    assert found["id"] == "r-1"
    assert found["request"] == {
        "type": "classify",
        "id": "r-1",
        "text": "Late delivery by r-1",
        "labels": ["delivery", "price"],
    }
    assert found["writes"] == [
        {
            "topic": "shop.reviews.labelled",
            "key": "r-1",
            "value": {**review, "label": "delivery"},
        }
    ]
    assert found["targets"] == ["offline/offline"]


@pytest.mark.usefixtures("folder")
def test_an_id_of_the_template_that_comes_again_with_other_content_is_a_dead_letter() -> None:
    """Behind a record that is skipped it is new; equal records have one answer."""
    review = {"review_id": "r-1", "body": "Late delivery", "stars": 1}
    skipped, changed = {**review, "stars": 5}, {**review, "stars": 2}

    result = run("labels", skipped, review, review, changed, arguments=("--json",))

    assert result.exit_code == 2
    assert [found["problem"] for found in explained(result)] == [
        "", "", "", "invalid: id: line 2 has it with other content; use a new id",
    ]  # fmt: skip


@pytest.mark.usefixtures("folder")
def test_what_is_skipped_or_wrong_is_told() -> None:
    """A filter skips; a record that lacks a field is a dead letter that names it."""
    result = run(
        "labels",
        {"review_id": "r-1", "body": CANARY, "stars": 5},
        {"review_id": "r-2", "stars": 1},
        {"review_id": "r-3", "body": "The price is high", "stars": 2},
    )

    assert result.exit_code == 2
    lines = result.stdout.splitlines()
    assert lines[:3] == [
        "line 1  r-1  SKIPPED",
        "line 2  r-2  DEAD LETTER",
        "    invalid: [flows.labels] fields.text: value.body is missing",
    ]
    assert lines[3] == "line 3  r-3  classify  classify:1 @production"
    assert lines[-1] == "    to shop.reviews.labelled"
    assert "1 of 3 records would become a dead letter" in result.stderr
    assert CANARY not in result.output


@pytest.mark.usefixtures("folder")
def test_shape_that_does_not_fit_is_found_before_it_is_paid() -> None:
    """A summary is no object: it needs the field that takes it. Avro is read as JSON here."""
    result = run("short", {"body": "Kafka is a log."})

    assert result.exit_code == 2
    assert "set merge_into to the field that takes it" in result.stdout
    assert "values are read and written as JSON: no schema is looked at" in result.stderr


@pytest.mark.usefixtures("folder")
def test_a_flow_in_python_shows_all_that_it_emits() -> None:
    """Its coroutine runs, up to the calls; None is a record without an answer to write."""
    arguments = ("--json",)
    result = run(
        "shorten",
        {"text": "Kafka is a log."},
        {"text": ""},
        {"txt": CANARY},
        arguments=arguments,
        STREAMAPP_PROCESSORS="explained_flows",
    )

    first, second, third = explained(result)
    assert [one["topic"] for one in first["writes"]] == ["notes.a", "notes.b"]
    assert first["writes"][1] == {"topic": "notes.b", "key": "k", "value": {"text": "copy"}}
    assert (first["targets"], first["request"]) == (["offline/offline"], None)
    assert (second["writes"], second["problem"]) == ([], "")
    assert third["problem"] == "invalid: flow 'shorten': field 'text' is missing: add it"


@pytest.mark.usefixtures("folder")
def test_flow_that_does_not_exist_is_refused_with_those_that_do() -> None:
    """`requests` is the built-in one, whose records are request records."""
    wrong = run("lables", {"body": "x"})
    requests = run("requests", {"type": "summarize", "text": "x", "max_words": 3})

    assert wrong.exit_code == 2
    assert "there is no flow 'lables'; there are requests, labels, short" in wrong.stderr
    assert requests.exit_code == 0, requests.stderr


@pytest.mark.usefixtures("folder")
def test_record_that_is_skipped_or_wrong_is_named_by_its_id() -> None:
    """By the flow's template where the record has what it asks for, else by its line."""
    result = run(
        "labels",
        {"review_id": "r-2", "body": "Lovely.", "stars": 5},
        {"review_id": "r-3", "stars": 2},
        {"stars": 1},
        "nothing",
        arguments=("--json",),
    )

    assert [one["id"] for one in explained(result)] == ["r-2", "r-3", "line 3", "line 4"]
