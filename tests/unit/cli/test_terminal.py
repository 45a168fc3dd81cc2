"""What commands share on the terminal."""

import pytest
from rich.cells import cell_len

from streamapp.cli.terminal import one_line, printable, progress


def test_line_fits_the_terminal_and_obeys_nothing() -> None:
    """Escapes and line breaks of a record are shown as dots, and what is too long is cut."""
    line = one_line("a\x1b[2J", "b\nc", "x" * 999)

    assert line.startswith("a·[2J  b·c  xxx")
    assert line.isprintable()
    assert line.endswith("…")


def test_line_of_wide_characters_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take two columns each; what is cut is never longer than the terminal is wide."""
    monkeypatch.setenv("COLUMNS", "20")

    assert one_line("あ" * 10) == "あ" * 10
    assert cell_len(one_line("a" + "あ" * 10)) <= 20


def test_text_keeps_its_lines() -> None:
    """Where many lines are wanted only the rest is taken out."""
    assert printable("a\n\tb\x07\x9b") == "a\n\tb··"


def test_progress_is_for_terminals_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a file or a pipe there is no trace of it; on a terminal it is on stderr."""
    monkeypatch.setenv("TERM", "xterm")
    with progress() as bar:
        bar.add_task("working", total=2)
    piped = capsys.readouterr()
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress() as bar:
        bar.add_task("working", total=2)
    shown = capsys.readouterr()

    assert (piped.out, piped.err, shown.out) == ("", "", "")
    assert "working" in shown.err
