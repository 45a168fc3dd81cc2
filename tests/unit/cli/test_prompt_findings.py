"""The prompts of files that no worker has."""

from datetime import UTC, datetime
from pathlib import Path

from streamapp.cli.prompt_findings import unpublished
from streamapp.prompts.events import encode
from streamapp.prompts.files import load_files
from streamapp.prompts.history import History

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
