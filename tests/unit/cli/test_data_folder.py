"""The folder of a worker, for itself alone."""

import os
from pathlib import Path

from click.testing import CliRunner
from structlog.testing import capture_logs

from streamapp.cli import main
from streamapp.cli.data_folder import hold_folder


def test_second_worker_on_a_folder_with_tables_ends(tmp_path: Path) -> None:
    """With exit code 2 and one line that names the folder; both would write the same tables."""
    folder = tmp_path / "data"
    held = hold_folder(folder, is_stored=True)
    assert held is not None
    environment = {"STREAMAPP_DATA_DIR": str(folder), "STREAMAPP_STORE": "rocksdb://"}
    try:
        result = CliRunner().invoke(main, ["worker"], env=environment)
    finally:
        os.close(held)

    assert result.exit_code == 2
    assert result.stderr == (
        f"streamapp: STREAMAPP_DATA_DIR: another worker uses the folder '{folder}': set"
        " STREAMAPP_DATA_DIR to one for each, or end it\n"
    )


def test_second_worker_without_tables_is_told(tmp_path: Path) -> None:
    """It does little harm there, and the default folder is one for all."""
    held = hold_folder(tmp_path, is_stored=False)
    assert held is not None

    with capture_logs() as logs:
        assert hold_folder(tmp_path, is_stored=False) is None
    os.close(held)

    [line] = logs
    assert (line["event"], line["log_level"]) == ("worker.folder_shared", "warning")
    assert f"another worker uses the folder '{tmp_path}'" in line["hint"]


def test_folder_is_free_once_its_worker_is_gone(tmp_path: Path) -> None:
    """Whatever file it left behind; and one that cannot be made is not judged here."""
    first = hold_folder(tmp_path, is_stored=True)
    assert first is not None
    os.close(first)

    second = hold_folder(tmp_path, is_stored=True)

    assert second is not None
    os.close(second)
    assert hold_folder(Path("/dev/null/data"), is_stored=True) is None
