"""Prompt files, right and wrong."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streamapp.errors import ConfigurationError, PromptError
from streamapp.prompts.files import MAX_DEPTH, load_files, parse_prompt, read_files

NOW = datetime(2030, 1, 1, tzinfo=UTC)

FULL = """---
name: haiku
description: Three lines.
model: large
parameters: {temperature: 0.9, stop: END}
output_schema: {type: object, properties: {haiku: {type: string}}}
---
<!-- system -->
You write haiku.
<!-- user -->
{{ subject }}
"""


def test_front_matter_and_body_are_read() -> None:
    """Every field of the front matter has its place."""
    prompt = parse_prompt(FULL, name="file")

    assert prompt.name == "haiku"
    assert prompt.settings.description == "Three lines."
    assert prompt.settings.model == "large"
    assert prompt.settings.parameters.sampling() == {"temperature": 0.9, "stop": ["END"]}
    assert prompt.settings.output_schema is not None
    assert prompt.template.variables == {"subject": 11}


@pytest.mark.parametrize(
    "text",
    ["Write a haiku.", "---\n---\nWrite a haiku.", "\ufeff---\r\n---\r\nWrite a haiku.\r\n"],
    ids=["no front matter", "empty", "windows"],
)
def test_front_matter_is_optional(text: str) -> None:
    """A text alone is a prompt, named as its file."""
    prompt = parse_prompt(text, name="haiku")

    assert prompt.name == "haiku"
    assert prompt.template.render({}) == [{"role": "user", "content": "Write a haiku."}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("---\nname: x\ntext", "line 1: the front matter has no end", id="open"),
        pytest.param("---\nname: [\n---\nx", "line 2: the front matter is not valid", id="yaml"),
        pytest.param("---\n- a\n---\nx", "line 2: the front matter must be lines", id="list"),
        pytest.param("---\nname: a b\n---\nx", "line 2: a name is .*, at most 100$", id="name"),
        pytest.param("---\nname: 5\n---\nx", "line 2: a name is letters", id="number as name"),
        pytest.param(
            "---\nname: x\nmodle: y\n---\nx", "line 3: field 'modle' is unknown", id="unknown field"
        ),
        pytest.param(
            "---\nname: x\nlable: y\n---\nx",
            "line 3: field 'lable' is unknown, did you mean 'label'?",
            id="mistyped label",
        ),
        pytest.param(
            "---\nparameters: {temprature: 0.1}\n---\nx",
            "line 2: field 'parameters.temprature' is unknown, did you mean 'temperature'?",
            id="mistyped parameter",
        ),
        pytest.param(
            "---\nguard: {call: 5}\n---\nx",
            "line 2: field 'guard.call' is unknown, did you mean 'calls'?",
            id="mistyped bound of the guard",
        ),
        pytest.param(
            "---\nname: x\ntemperature: 0.1\n---\nx",
            "line 3: field 'temperature' is unknown here: put it under 'parameters'",
            id="parameter at the top",
        ),
        pytest.param(
            "---\nfile: x.jsonl\n---\nx",
            "line 2: field 'file' is unknown here: put it under 'examples'",
            id="field of the examples at the top",
        ),
        pytest.param(
            "---\nparameters:\n  temperature: 3\n---\nx",
            "line 2: field 'parameters.temperature': Input should be less",
            id="parameter",
        ),
        pytest.param(
            "---\nparameters:\n  api_base: x\n---\nx",
            "line 2: field 'parameters.api_base' is unknown",
            id="base url",
        ),
        pytest.param("---\noutput_schema: 5\n---\nx", "line 2: field 'output_schema'", id="schema"),
        pytest.param(
            "---\na: &a [x]\nb: *a\n---\nx", "line 3: the front matter has no", id="alias"
        ),
        pytest.param(
            f"---\noutput_schema: {'[' * 5000}\n---\nx", "line 2: the front matter is", id="deep"
        ),
        pytest.param(
            "---\noutput_schema:\n" + "".join(f"{' ' * n}a:\n" for n in range(1, 102)) + "---\nx",
            "line 102: the front matter is nested too deep: 100 at most",
            id="deep in lines",
        ),
        pytest.param(
            "---\noutput_schema: {a: .nan}\n---\nx", "line 2: field 'output_schema", id="nan"
        ),
        pytest.param("---\ncache_ttl_s: .inf\n---\nx", "line 2: field 'cache_ttl_s'", id="endless"),
        pytest.param("---\nname: x\n---\n\n{{ x.y }}", "line 5: the attribute", id="body"),
        pytest.param("---\nx: !!python/object:os.system {}\n---\nx", "line 2: ", id="yaml object"),
        pytest.param("---\n? [a]\n: b\n---\nx", "line 2: ", id="yaml key"),
    ],
)
def test_a_wrong_file_is_named_with_line_and_fix(tmp_path: Path, text: str, message: str) -> None:
    """The operator learns where to look and what to change."""
    (tmp_path / "mine.md").write_text(text)

    with pytest.raises(ConfigurationError, match=rf"mine\.md, {message}"):
        load_files(tmp_path)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """Another encoding is said to be one."""
    (tmp_path / "mine.md").write_bytes(b"caf\xe9")

    with pytest.raises(ConfigurationError, match=r"mine\.md: save it as UTF-8"):
        load_files(tmp_path)


def test_a_directory_named_as_a_prompt_is_named(tmp_path: Path) -> None:
    """What cannot be read is said."""
    (tmp_path / "mine.md").mkdir()

    with pytest.raises(ConfigurationError, match=r"mine\.md: "):
        load_files(tmp_path)


def test_directory_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """As one that is for its owner alone; the built-in prompts are there all the same."""

    class Locked(type(tmp_path)):  # type: ignore[misc]  # one of two, by the system
        def iterdir(self) -> Iterator[Path]:
            raise PermissionError(13, "Permission denied")

    found, problems = read_files(Locked(tmp_path))

    assert "summarize" in found
    assert problems == [f"prompts_dir: {tmp_path}: Permission denied"]


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """A README and files that are no Markdown are not prompts."""
    for name in ("README.md", "notes.txt", "b.md", "a.md"):
        (tmp_path / name).write_text("{{ text }}")

    assert load_files(tmp_path).keys() - load_files(tmp_path / "none").keys() == {"a", "b"}


def test_all_wrong_files_are_named_at_once(tmp_path: Path) -> None:
    """A line for each, with all that is wrong in it: who has mended one need not ask again."""
    (tmp_path / "a.md").write_text("---\nname: a b\ncolour: red\n---\n{{ x.y }}")
    (tmp_path / "b.md").write_bytes(b"caf\xe9")
    (tmp_path / "c.md").write_text("---\nname: same\n---\nx")
    (tmp_path / "d.md").write_text("---\nname: same\n---\ny")

    with pytest.raises(ConfigurationError) as caught:
        load_files(tmp_path)

    a, b, twice = str(caught.value).splitlines()
    assert a.startswith(f"prompt file {tmp_path}/a.md, line 2: a name is letters")
    assert "; line 3: field 'colour'" in a
    assert "; line 5: the attribute" in a
    assert b == f"prompt file {tmp_path}/b.md: save it as UTF-8"
    assert twice == "two prompt files are named 'same': rename one"


def test_a_file_says_how_it_is_published() -> None:
    """The label is an instruction for the first publication, not a part of the content."""
    plain = parse_prompt("---\nmodel: m\n---\nText", name="p").event(created_at=NOW)
    asking = parse_prompt("---\nmodel: m\nlabel: production\n---\nText", name="p")
    event = asking.event(created_at=NOW)

    assert (event.body, event.settings, event.label) == ("Text", {"model": "m"}, "production")
    assert event.author == "file"
    assert event.digest() == plain.digest()


@pytest.mark.parametrize("label", ["'a b'", "''", "1", "[production]", "'@x'"])
def test_a_wrong_label_is_named_with_its_line(label: str) -> None:
    """Labels are made of what references can hold."""
    with pytest.raises(PromptError, match="line 3: a label is letters"):
        parse_prompt(f"---\nmodel: m\nlabel: {label}\n---\nText", name="p")


def test_front_matter_may_be_wide() -> None:
    """Only what is open at once counts as nested."""
    schema = ", ".join(f"p{n}: {{enum: [a]}}" for n in range(2 * MAX_DEPTH))

    wide = parse_prompt(f"---\noutput_schema: {{properties: {{{schema}}}}}\n---\nx", name="wide")

    assert wide.settings.output_schema
