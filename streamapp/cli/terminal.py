"""Terminal output shared by the commands: lines cut to its width, and progress bars."""

import os
import shutil
import sys
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def one_line(*fields: object) -> str:
    """Return one line of the terminal's width; a terminal obeys no character of a record."""
    text = printable("  ".join(str(field) for field in fields), keep="")
    width = shutil.get_terminal_size((160, 24)).columns
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def counted(number: int, noun: str) -> str:
    """Return the number with its noun: ``1 record``, ``2,000 records``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def own_command() -> str:
    """Return how this program is called from here: by its name where the shell finds it."""
    program = Path(sys.argv[0])
    found = shutil.which("streamapp")
    if found and program.exists() and Path(found).samefile(program):
        return "streamapp"
    if program.name != "streamapp":  # python -m streamapp
        return f"{os.path.relpath(sys.executable)} -m streamapp"
    return os.path.relpath(program)


def printable(text: str, *, keep: str = "\n\t") -> str:
    """Return the text without what a terminal would obey, but for the characters in ``keep``."""
    return "".join(c if c.isprintable() or c in keep else "·" for c in text)


def progress(*, is_hidden: bool = False) -> Progress:
    """Return bars on stderr; nothing is drawn where that is no terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=is_hidden or not console.is_terminal,
        transient=True,
    )
