"""`streamapp send` before it connects."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamapp.cli import main

GOOD = '{"type":"embed","input":"x"}\n'


def run(*arguments: str, lines: str) -> Result:
    environment = {"STREAMAPP_BROKER": "kafka://127.0.0.1:1"}
    return CliRunner().invoke(main, ["send", *arguments, "-"], input=lines, env=environment)


def test_wrong_lines_are_all_named_and_nothing_is_sent() -> None:
    """Line number and reason on stderr, exit 2, no broker asked."""
    result = run(lines=GOOD + "nope\n" + GOOD + '{"type":"chat"}\n')

    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert lines[0].startswith("line 2: undecodable: ")
    assert lines[1].startswith("line 4: invalid: ")
    assert lines[2].startswith("streamapp: 2 of 4 records are wrong, nothing was sent")


@pytest.mark.parametrize("type", ["generate", "summarize"])
def test_a_prompt_that_is_no_name_is_told_before_it_is_sent(type: str) -> None:
    """With what to write in its place; a worker would make a dead letter of it."""
    record = {"type": type, "prompt": "Write a poem about bees"}
    text = {"text": "x"} if type == "summarize" else {}

    result = run(lines=json.dumps(record | text))

    assert result.exit_code == 2
    told = result.stderr.splitlines()[0]
    assert told.startswith("line 1: prompt_error: field 'prompt' names a stored prompt; for free")
    assert "use a record of type 'chat'" in told


def test_a_model_that_is_no_route_is_told_before_it_is_sent() -> None:
    """As `explain` tells it, with the one that is like it."""
    record = {"type": "summarize", "text": "x"}

    result = run(lines="\n".join(json.dumps(record | {"model": one}) for one in ("defualt", "x")))

    assert result.exit_code == 2
    [like, unlike, *_] = result.stderr.splitlines()
    assert like.startswith("line 1: invalid: model: no such route, did you mean 'default'?")
    assert unlike == "line 2: invalid: model: no such route; there are: default"


def test_a_type_that_is_none_is_told_with_where_own_ones_come_from() -> None:
    """With one that is like it; a type of a worker's own has to be known here, too."""
    result = run(lines='{"type":"sumarize","text":"x"}\n{"text":"x"}')

    first, second = result.stderr.splitlines()[:2]
    assert "there is no such record type, did you mean 'summarize'?; there are chat," in first
    assert first.endswith("; types of your own come from the modules in STREAMAPP_PROCESSORS")
    assert second == "line 2: invalid: field 'type' is missing: add it"


@pytest.mark.parametrize("arguments", [[], ["--key", "input"]], ids=["by id", "by field"])
def test_an_id_that_comes_again_with_other_content_is_told_before_it_is_sent(
    arguments: list[str],
) -> None:
    """With the line that has it first, whatever their keys: they may share a partition."""
    first = '{"type":"embed","input":"x","id":"r-1"}\n'
    other = first.replace("x", "y")

    result = run(*arguments, lines="\n" + first + other + first)

    assert result.exit_code == 2
    told, summary = result.stderr.splitlines()
    assert told == "line 3: invalid: id: line 2 has it with other content; use a new id"
    assert summary.startswith("streamapp: 1 of 3 records is wrong, nothing was sent")


def test_equal_records_of_one_id_are_sent() -> None:
    """The second is answered from the ledger; records without an id may differ."""
    named = '{"type":"embed","input":"x","id":"r-1"}\n'

    result = run(lines=named + GOOD + named + GOOD.replace("x", "y"))

    assert (result.exit_code, "does not answer" in result.stderr) == (1, True)


def test_no_key_of_a_provider_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender in the worker's folder is told of its own mistakes alone."""
    monkeypatch.chdir(tmp_path)
    Path("streamapp.toml").write_text(
        '[providers.a]\nkind = "openai"\napi_key_env = "NOBODY_HAS_IT"\n'
        '[models.default]\ntargets = ["a/m"]\n'
    )

    assert "line 1: undecodable" in run(lines="nope\n").stderr


def test_flood_of_wrong_lines_is_counted() -> None:
    """The first problems are shown, the rest is a number."""
    result = run(lines="nope\n" * 1000)

    assert len(result.stderr.splitlines()) == 21
    assert "1,000 of 1,000 records" in result.stderr


def test_record_without_the_key_field_is_wrong() -> None:
    """Who asks for order by a field is told where it is missing."""
    result = run("--key", "metadata.customer", lines=GOOD)

    assert result.exit_code == 2
    assert "line 1: invalid: no text or number at 'metadata.customer' for the key" in result.stderr


def test_timeout_belongs_to_wait() -> None:
    """Who gives one thinks that something is waited for."""
    result = run("--timeout", "5", lines=GOOD)

    assert (result.exit_code, result.stderr) == (
        2,
        "streamapp: send: --timeout belongs to --wait\n",
    )


@pytest.mark.parametrize("arguments", [[], ["--no-check"], ["--wait"]])
def test_unreachable_broker_is_named(arguments: list[str]) -> None:
    """A broker that does not answer is a run-time failure with one line."""
    result = run(*arguments, lines=GOOD)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("streamapp: the broker kafka://127.0.0.1:1 does not answer")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("form", "line", "found"),
    [
        ("json", '{"body": "Arrived broken."}', None),
        ("json", "Arrived broken.", "line 1: undecodable: the value is not JSON"),
        ("text", "Arrived broken.", None),
        ("avro", '{"body": "Arrived broken."}', "send: the flow of shop.reviews reads avro"),
    ],
)
def test_input_of_a_flow_takes_records_of_its_own_shape(
    form: str, line: str, found: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not request records; what the flow cannot read is named all the same."""
    monkeypatch.chdir(tmp_path)
    Path("streamapp.toml").write_text(
        '[flows.labels]\ninput = "shop.reviews"\noutput = "shop.labelled"\ntype = "generate"\n'
        f'format = "{form}"\n'
    )

    result = run("--topic", "shop.reviews", lines=line)

    assert (found or "does not answer") in result.stderr
    assert result.exit_code == (2 if found else 1)


def test_input_of_a_flow_in_python_is_checked_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it reads is known from its annotations."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "sent_flows.py").write_text(
        "from streamapp.flows.python_flow import flow\n"
        "from streamapp.llm.client import LLMClient\n\n"
        '@flow("notes", to="notes.short")\n'
        "async def shorten(note: dict[str, str], llm: LLMClient) -> str:\n    return ''\n"
    )
    monkeypatch.setenv("STREAMAPP_PROCESSORS", "sent_flows")

    good = run("--topic", "notes", lines='{"text": "x"}')
    wrong = run("--topic", "notes", lines="nope")

    assert "does not answer" in good.stderr
    assert "line 1: undecodable: the value is not JSON" in wrong.stderr


def test_another_topic_takes_what_its_readers_know() -> None:
    """A topic may have its records before it has its flow."""
    result = run("--topic", "shop.reviews", lines='{"body": "Arrived broken."}')

    assert (result.exit_code, "does not answer" in result.stderr) == (1, True)


def test_what_can_be_no_topic_is_told_as_such() -> None:
    """No broker would create it."""
    result = run("--topic", "shop reviews", lines='{"body": "x"}')

    problem = "send: 'shop reviews' is no topic: letters, digits, '.', '_' and '-', 249 at most"
    assert (result.exit_code, problem in result.stderr) == (2, True)


def test_topic_of_what_workers_write_is_noted() -> None:
    """Who reads the answers would take the record for one."""
    result = run("--topic", "llm.responses", lines='{"x": 1}')

    assert "note: llm.responses is what workers write" in result.stderr
