"""The little Markdown that the pages need."""

from collections.abc import Iterable, Sequence

#: What stands under each title.
MADE = "*Made from the code by `make docs`: change it there.*"


def page(title: str, intro: str, *parts: str) -> str:
    """Return a whole page."""
    return "\n\n".join([f"# {title}", MADE, intro, *parts]) + "\n"


def section(title: str, *parts: str) -> str:
    """Return a part with a heading; empty parts are left out."""
    return "\n\n".join([f"## {title}", *(part for part in parts if part)])


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell is one line and cannot end early."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def code(text: object) -> str:
    """Return ``text`` as code, or nothing where it is empty."""
    return f"`{text}`" if str(text) else ""


def words(*parts: str) -> str:
    """Return the parts that are not empty, as a list in a sentence."""
    return ", ".join(part for part in parts if part)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
