"""The prompts of files that no worker has."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streamapp.cli.finding import Finding
from streamapp.cli.prompt_findings import staged, taken_back, unpublished
from streamapp.prompts.events import encode
from streamapp.prompts.files import load_files
from streamapp.prompts.history import History
from tests.unit.prompts.test_fold import label, publish, told

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_file_that_is_no_version_is_named(tmp_path: Path) -> None:
    """New files and changed ones, with the two ways to mend it; nothing before any worker."""
    own, changed = tmp_path / "haiku.md", tmp_path / "poem.md"
    own.write_text("A haiku about {{ subject }}")
    changed.write_text("A poem about {{ subject }}")
    history = History({})
    for offset, (name, file) in enumerate(load_files(tmp_path).items()):
        if name != "haiku":
            history.apply(offset, name.encode(), encode(file.event(created_at=NOW)))
    changed.write_text("A long poem about {{ subject }}")
    files = load_files(tmp_path)

    found = unpublished(files, history.prompts)

    assert [line.partition(":")[0] for line in found] == ["haiku", "poem"]
    assert f"the content of {own} is not on the topic yet" in found[0]
    assert found[0].endswith(f"prompts publish {own}`")
    assert unpublished(files, {}) == []


def test_version_that_is_not_in_use_is_named(tmp_path: Path) -> None:
    """What was published and never got the label, until it gets it or is shared out by a split."""
    file, history = tmp_path / "haiku.md", History({})
    for offset, text in enumerate(("One", "Two")):
        file.write_text(f"{text} about {{{{ subject }}}}")
        event = load_files(tmp_path)["haiku"].event(created_at=NOW)
        history.apply(offset, b"haiku", encode(event))
        found = staged(history.prompts)
        assert bool(found) == (offset == 1)

    [line] = found
    assert line.startswith("haiku: version 2 is not in use, `production` is 1:")
    assert line.endswith("prompts label haiku production 2` where it is to be")
    haiku = history.prompts["haiku"]
    assert staged({"haiku": replace(haiku, split={"production": 50, "latest": 50})}) == []
    assert staged({"haiku": replace(haiku, is_retired=True)}) == []


@pytest.mark.parametrize("moved", ["production", "candidate"])
def test_what_the_guard_took_back_is_no_version_that_waits_for_its_label(
    tmp_path: Path, moved: str
) -> None:
    """It was in use and failed: the note says so with the reason, until there is a newer one."""
    reason = "6 of 6 records failed with version 2"
    back = {"expected": 2, "author": "guard", "message": f"{reason}\x1b[2J", "force": True}
    haiku, _ = told(publish("One"), publish("Two"), label(moved, 2), label(moved, 1, **back))
    newer, _ = told(
        publish("One"), publish("Two"), label(moved, 2), label(moved, 1, **back), publish("Three")
    )

    [line] = taken_back({"haiku": haiku})

    assert line.startswith(
        f"haiku: the guard moved `{moved}` back from version 2 to 1 at 2030-01-01 00:00:00Z:"
        f" {reason}·[2J; publish a better one"
    )
    assert line.endswith(f"prompts label haiku {moved} 2` to try it again")
    assert (staged({"haiku": haiku}) == []) is (moved == "production")
    assert (taken_back({"haiku": newer}), len(staged({"haiku": newer}))) == ([], 1)
    assert taken_back({"haiku": replace(haiku, is_retired=True)}) == []


def test_what_is_not_wrong_but_perhaps_not_meant_has_a_mark_of_its_own() -> None:
    """Three marks: a note is no `ok`, and nothing to fail by."""
    findings = (
        Finding("a", True, ""),
        Finding("a", True, "", is_note=True),
        Finding("a", False, ""),
    )

    assert [finding.mark[0].strip() for finding in findings] == ["ok", "note", "WRONG"]
