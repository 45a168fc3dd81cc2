"""`streamapp prompts` and `streamapp examples` on the embedded broker."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamapp.cli import main
from streamapp.streaming.broker.embedded import EmbeddedBroker

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(60)]

Run = Callable[..., Result]

#: What a retired prompt is told with.
RETIRED = "retired: a new text, or 'streamapp prompts retire haiku --off', brings it back"


@pytest.fixture
def run() -> Iterator[Run]:
    """Run a command of a new registry; it must end with the given code."""
    with EmbeddedBroker() as broker:

        def run(*arguments: str, code: int = 0) -> Result:
            env = {"STREAMAPP_BROKER": broker.url, "STREAMAPP_WORKER_URL": "http://127.0.0.1:1"}
            result = CliRunner().invoke(main, arguments, env=env)
            assert result.exit_code == code, result.output
            return result

        yield run


@pytest.fixture
def haiku(run: Run, tmp_path: Path) -> Path:
    """A prompt of two versions, the older one in production; its file."""
    file = tmp_path / "haiku.md"
    for body in ("Be brief: {{ x }}", "Be very brief: {{ x }}"):
        file.write_text(f"---\ndescription: Three lines\n---\n{body}\n")
        run("prompts", "publish", str(file), "-m", "why", "--author", "Ada")
    return file


def test_there_is_nothing_to_read_before_anybody_wrote(run: Run) -> None:
    """Looking creates no topic."""
    assert "there is no topic llm.prompts yet" in run("prompts", "list", code=1).stderr


def test_versions_are_listed_and_shown(run: Run, haiku: Path) -> None:
    """Tables for people, JSON for machines, a text as its file."""
    [summary] = json.loads(run("prompts", "list", "--json").stdout)
    assert summary["versions"] == [1, 2]
    assert summary["labels"] == {"production": 1, "latest": 2}
    assert "Ada" in run("prompts", "show", "haiku").stdout
    assert run("prompts", "show", "haiku@latest").stdout.strip() == haiku.read_text().strip()
    assert json.loads(run("prompts", "show", "haiku:1", "--json").stdout)["message"] == "why"


def test_what_show_prints_is_the_content_again(run: Run, haiku: Path, tmp_path: Path) -> None:
    """Published without a change it is the version that it was."""
    copy = tmp_path / "copy.md"
    copy.write_text(run("prompts", "show", "haiku:1").stdout)

    said = run("prompts", "publish", str(copy), "--name", "haiku").stdout

    assert "haiku: version 1 had this content already" in said


def test_a_diff_is_readable(run: Run, haiku: Path) -> None:
    """What went and what came, between two named versions."""
    lines = run("prompts", "diff", "haiku:1", "haiku@latest").stdout.splitlines()

    assert lines[:2] == ["--- haiku:1", "+++ haiku:2"]
    assert {"-Be brief: {{ x }}", "+Be very brief: {{ x }}"} <= set(lines)


def test_publishing_the_same_again_is_no_new_version(run: Run, haiku: Path) -> None:
    """The command says so."""
    result = run("prompts", "publish", str(haiku))

    assert "version 2 had this content already" in result.stdout


def test_a_label_is_moved_rolled_back_and_protected(run: Run, haiku: Path) -> None:
    """Each change answers with where the labels are."""
    assert "production=2" in run("prompts", "label", "haiku", "production", "2").stdout
    assert "production=1" in run("prompts", "rollback", "haiku").stdout
    run("prompts", "protect", "haiku")
    refused = run("prompts", "label", "haiku", "production", "2", code=1)
    assert "the label is protected" in refused.stderr
    forced = run("prompts", "label", "haiku", "production", "2", "--force", "--json")
    assert json.loads(forced.stdout)["labels"]["production"] == 2
    run("prompts", "protect", "haiku", "--off")
    run("prompts", "rollback", "haiku")
    assert "no earlier version" in run("prompts", "rollback", "haiku", code=1).stderr


def test_a_label_that_is_asked_for_is_moved_or_nothing_is_done(run: Run, haiku: Path) -> None:
    """Also to an older version of that content; a protected one moves by force alone."""
    older = haiku.with_name("older.md")
    older.write_text(run("prompts", "show", "haiku:1").stdout)
    publish = ("prompts", "publish", "--name", "haiku")

    again = run(*publish, str(haiku), "--label", "production")
    run("prompts", "protect", "haiku")
    haiku.write_text("Be long: {{ x }}")
    refused = [
        run(*publish, str(file), "--label", "production", *options, code=1)
        for file in (haiku, older)
        for options in ((), ("--json",))
    ]
    nothing_new = json.loads(run("prompts", "list", "--json").stdout)[0]["versions"]
    forced = run(*publish, str(haiku), "--label", "production", "--force", "--json")
    back = run(*publish, str(older), "--label", "production", "--force", "-m", "back")

    assert "version 2 had this content already; latest=2, production=2" in again.stdout
    assert ["the label is protected: it moves with --force" in one.stderr for one in refused] == (
        [True] * 4
    )
    assert nothing_new == [1, 2]
    assert json.loads(forced.stdout)["labels"] == {"production": 3, "latest": 3}
    assert "version 1 had this content already; latest=3, production=1" in back.stdout
    assert ": back" in run("prompts", "show", "haiku").stdout


def test_a_label_of_the_front_matter_that_is_not_moved_is_told(run: Run, haiku: Path) -> None:
    """It counts once, as where a worker publishes the file, and not for a protected label."""
    haiku.write_text(f"---\nlabel: production\n---\n{haiku.read_text().split('---')[2]}")
    run("prompts", "publish", str(haiku))
    run("prompts", "rollback", "haiku")

    again = run("prompts", "publish", str(haiku))
    run("prompts", "protect", "haiku")
    haiku.write_text("---\nlabel: production\n---\nBe long: {{ x }}")
    protected = run("prompts", "publish", str(haiku), "--json")

    assert (
        "production was not moved: the front matter's counts for a new version alone;"
        " streamapp prompts label haiku production 3 moves it"
    ) in again.stderr
    assert (
        "production was not moved: it is protected;"
        " streamapp prompts label haiku production 4 --force moves it"
    ) in protected.stderr
    assert json.loads(protected.stdout)["labels"] == {"production": 1, "latest": 4}


def test_a_route_and_a_tool_that_are_not_there_are_noted(run: Run, haiku: Path) -> None:
    """A worker may have them: it is published, and may get a label, but not without a word."""
    haiku.write_text("---\nmodel: defualt\ntools: [nosuch]\n---\nBe brief: {{ x }}\n")

    published = run("prompts", "publish", str(haiku))
    labelled = run("prompts", "label", "haiku", "production", "3", "--json")
    back = run("prompts", "rollback", "haiku")

    notes = [
        "note: version 3, by the settings here: model: there is no route 'defualt',"
        " did you mean 'default'?; there are: default",
        "note: version 3, by the settings here: tools: there is no tool 'nosuch'; there are: none",
    ]
    assert published.stderr.splitlines()[1:] == labelled.stderr.splitlines() == notes
    assert published.stdout == "haiku: version 3; latest=3, production=1\n"
    assert json.loads(labelled.stdout)["labels"]["production"] == 3
    assert back.stderr == ""


def test_a_split_is_set_and_ended(run: Run, haiku: Path) -> None:
    """Whole percents of labels that exist."""
    run("prompts", "label", "haiku", "candidate", "2")
    run("prompts", "split", "haiku", "production=90", "candidate=10")
    assert "split: production=90, candidate=10" in run("prompts", "show", "haiku").stdout
    assert "sum up to 100" in run("prompts", "split", "haiku", "production=90", code=1).stderr
    assert run("prompts", "split", "haiku", "production=x", code=2)
    assert run("prompts", "split", "haiku", code=2)
    assert json.loads(run("prompts", "split", "haiku", "--off", "--json").stdout)["split"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("show", "nothing"), 1, "there is no prompt 'nothing'; see"),
        (("show", "hiaku"), 1, "there is no prompt 'hiaku', did you mean 'haiku'?; see"),
        (("show", "a:b:c"), 2, "write NAME, NAME@LABEL or NAME:VERSION"),
        (("show", "haiku@nowhere"), 1, "'haiku@nowhere': prompt 'haiku': there is no such label"),
        (("label", "haiku", "x", "9"), 1, "there is no version 9"),
        (("label", "haiku", "a b", "1"), 2, "field 'label'"),
        (("stats", "haiku", "--url", "http://127.0.0.1:1"), 1, "no worker answers"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_mistakes_are_told_in_one_line(
    run: Run, haiku: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    """Exit 2 for a wrong argument, 1 for what does not exist."""
    assert says in run("prompts", *arguments, code=code).stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [(("--label", "a b"), "field 'label'"), (("--force",), "--force is for --label")],
    ids=str,
)
def test_mistakes_of_publish_are_told(
    run: Run, haiku: Path, options: tuple[str, ...], says: str
) -> None:
    """Before anything is written."""
    assert says in run("prompts", "publish", str(haiku), *options, code=2).stderr


def test_publish_says_under_which_name(run: Run, haiku: Path) -> None:
    """The file's name is the prompt's, unless another is given: a copy is no slip into a prompt."""
    copy = haiku.with_name("haiku (copy).md")
    copy.write_text("Another: {{ x }}")

    by_file = run("prompts", "publish", str(haiku))
    by_name = run("prompts", "publish", str(copy), "--name", "haiku-2")
    wrong = run("prompts", "publish", str(copy), code=2)

    assert "as the prompt 'haiku'" in by_file.stderr
    assert "as the prompt 'haiku-2'" in by_name.stderr
    assert "haiku-2: version 1" in by_name.stdout
    assert "name" in wrong.stderr


def test_a_prompt_is_retired_and_comes_back(run: Run, haiku: Path) -> None:
    """It is out of the list, keeps its history, and one that records need is not retired."""
    assert "retired" in run("prompts", "retire", "haiku", "-m", "unused").stdout
    listed = json.loads(run("prompts", "list", "--json").stdout)
    every = json.loads(run("prompts", "list", "--all", "--json").stdout)
    needed = run("prompts", "retire", "summarize", code=2)
    run("prompts", "retire", "haiku", "--off")
    back = json.loads(run("prompts", "list", "--json").stdout)

    assert (listed, [p["retired"] for p in every], every[0]["versions"]) == ([], [True], [1, 2])
    assert "records of type 'summarize' need the prompt" in needed.stderr
    assert [prompt["retired"] for prompt in back] == [False]


def test_a_prompt_that_a_flow_names_is_not_retired(
    run: Run, haiku: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its records would be a dead letter; one that is retired is found, file or not."""
    run("prompts", "retire", "haiku")
    flow = {"input": "shop.a", "output": "shop.b", "type": "generate", "prompt": "haiku@production"}
    monkeypatch.setenv("STREAMAPP_FLOWS", json.dumps({"poems": flow}))
    monkeypatch.setenv("STREAMAPP_PROMPTS_DIR", str(haiku.parent))

    found = run("check", code=2).stdout
    run("prompts", "retire", "haiku", "--off")
    told = run("prompts", "retire", "haiku", code=2).stderr

    assert f"[flows.poems] prompt: prompt 'haiku' is {RETIRED}" in found
    assert "[flows.poems] names the prompt 'haiku'" in told


def test_the_texts_of_a_retired_prompt_can_be_read(run: Run, haiku: Path) -> None:
    """All that answered records is shown, in each form; what it is by now is told beside it."""
    run("prompts", "label", "haiku", "candidate", "2")
    commands = [
        ("show", "haiku:1"),
        ("show", "haiku@candidate"),
        ("show", "haiku@candidate", "--json"),
        ("diff", "haiku", "haiku:2"),
    ]
    before = [run("prompts", *command).stdout for command in commands]

    run("prompts", "retire", "haiku")

    assert [run("prompts", *command).stdout for command in commands] == before
    assert RETIRED in run("prompts", "show", "haiku").stdout
    assert RETIRED in json.loads(run("prompts", "show", "haiku", "--json").stdout)["note"]


def test_a_change_of_a_retired_prompt_says_whether_it_still_is(run: Run, haiku: Path) -> None:
    """With what ends that; a new text does, and the command says so."""
    told = run("prompts", "retire", "haiku").stdout
    again = run("prompts", "publish", str(haiku)).stdout
    as_json = json.loads(run("prompts", "publish", str(haiku), "--json").stdout)
    moved = run("prompts", "label", "haiku", "production", "2").stdout
    haiku.write_text("A new text: {{ x }}")
    new = run("prompts", "publish", str(haiku)).stdout

    assert all(RETIRED in said for said in (told, again, as_json["note"], moved))
    assert "haiku: version 2 had this content already; latest=2, production=1; " in again
    assert new == "haiku: version 3, in use again; latest=3, production=2\n"


def test_a_text_that_cannot_be_used_is_not_published(run: Run, haiku: Path) -> None:
    """File and line are named, and nothing is written."""
    haiku.write_text("{{ x.__class__ }}")

    result = run("prompts", "publish", str(haiku), code=2)

    assert "haiku.md, line 1: the attribute '.__class__' is not allowed" in result.stderr
    assert json.loads(run("prompts", "list", "--json").stdout)[0]["versions"] == [1, 2]


def test_the_last_move_of_a_label_is_shown(run: Run, haiku: Path) -> None:
    """From where to where, by whom and why."""
    before = run("prompts", "show", "haiku").stdout
    run("prompts", "label", "haiku", "production", "2", "-m", "better", "--author", "Ada")

    after = run("prompts", "show", "haiku")

    assert "production: from" not in before
    [line] = [line for line in after.stdout.splitlines() if line.startswith("production: ")]
    assert line.startswith("production: from 1 to 2 at ")
    assert line.endswith(" by Ada: better")


def test_examples_are_published_and_listed(run: Run, tmp_path: Path) -> None:
    """A set that is none is refused before it is written."""
    file = tmp_path / "tickets.jsonl"
    file.write_text('{"variables": {"x": "q"}, "output": "a"}\n' * 2)
    published = json.loads(run("examples", "publish", str(file), "--json").stdout)
    file.write_text("garbage")
    run("examples", "publish", str(file), "--set", "other", code=2)

    listed = json.loads(run("examples", "list", "--json").stdout)

    assert listed == [published] == [{"set": "tickets", "examples": 2, "problems": []}]


def test_examples_of_the_topic_that_a_text_cannot_take_are_told(run: Run, tmp_path: Path) -> None:
    """At publishing, by the list and by `check`, with the version that leaves them out."""
    (tmp_path / "sum.md").write_text("---\nexamples: {topic_set: sums}\n---\n{{ question }}")
    examples = ({"variables": {name: "5+5"}, "output": "10"} for name in ("question", "qestion"))
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, examples)))
    run("prompts", "publish", str(tmp_path / "sum.md"))
    published = run("examples", "publish", str(tmp_path / "sums.jsonl"))

    [listed] = json.loads(run("examples", "list", "--json").stdout)
    checked = json.loads(run("check", "--json", code=2).stdout)["checks"]

    left_out = (
        "1 of 2 examples is left out: example 2: the text has no variable 'qestion', did you mean"
        " 'question'?"
    )
    version = "sum:1 (latest, production)"
    assert published.stderr.splitlines()[-1] == f"prompt {version}: {left_out}"
    assert listed == {"set": "sums", "examples": 2, "problems": [f"{version}: {left_out}"]}
    assert f"prompt {version} on the topic: the set 'sums': {left_out}" in [
        one["detail"] for one in checked if not one["ok"]
    ]


def test_examples_left_out_and_answers_that_none_may_be_are_told_at_once(
    run: Run, tmp_path: Path
) -> None:
    """Whoever mends the one is not told of the other only then."""
    (tmp_path / "sum.md").write_text(
        "---\nexamples: {topic_set: sums}\noutput_schema: {type: integer}\n---\n{{ question }}"
    )
    examples = (
        {"variables": {"qestion": "5+5"}, "output": 10},
        {"variables": {"question": "5+5"}, "output": "ten"},
    )
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, examples)))
    run("prompts", "publish", str(tmp_path / "sum.md"))

    [*_, told] = run("examples", "publish", str(tmp_path / "sums.jsonl")).stderr.splitlines()

    assert "1 of 2 examples is left out: example 1: the text has no variable 'qestion'" in told
    assert "; example 2: its output breaks output_schema: " in told


def test_check_looks_for_the_prompts_of_flows_on_the_topic(run: Run, haiku: Path) -> None:
    """One that is published is none that is missing; it is looked at for its variables."""
    table = "input = 'a.{0}'\noutput = 'b.{0}'\ntype = 'generate'\nprompt = '{1}'\n"
    known, unknown = table.format("1", "haiku@latest"), table.format("2", "haiko")
    Path("streamapp.toml").write_text(f"[flows.known]\n{known}[flows.unknown]\n{unknown}")

    checked = json.loads(run("check", "--json", code=2).stdout)["checks"]

    told = [one["detail"] for one in checked if "prompt" in one["detail"] and not one["ok"]]
    assert told == [
        "streamapp.toml:10: [flows.unknown] prompt: there is no prompt 'haiko', did you mean"
        " 'haiku'?; add haiko.md to the prompts, or publish it (`streamapp prompts publish FILE`)",
        "streamapp.toml:5: [flows.known] prompt: 'haiku@latest' needs the variable 'x', and the"
        " flow gives none",
    ]


def test_check_finds_what_a_published_version_lacks(run: Run, tmp_path: Path) -> None:
    """It was there before the files, so it is the version in use."""
    file = tmp_path / "summarize.md"
    file.write_text("Hi {{ t }}\n")
    run("prompts", "publish", str(file))

    checked = json.loads(run("check", "--json", code=2).stdout)["checks"]

    [told] = [one["detail"] for one in checked if not one["ok"]]
    assert "version in use on the topic: 'summarize' has no variable 't'" in told
