"""The tables of docs/providers.md: from the shapes that tests go through, and from the signs.

``python -m tests.unit.llm.providers.vendors.page`` writes them into the page.
"""

from pathlib import Path

from streamapp.llm.providers.refusals.reading import SIGNS
from tests.unit.llm.providers.vendors import SHAPES
from tests.unit.llm.providers.vendors.shape import KINDS

PAGE = Path(__file__).resolve().parents[5] / "docs" / "providers.md"


def shapes_table() -> str:
    """Return a row for each vendor, a column for each kind; a cell links where it was seen."""
    cells: dict[str, dict[str, list[str]]] = {}
    for shape in SHAPES:
        found = cells.setdefault(shape.vendor, {}).setdefault(shape.kind, [])
        found.append(f'[{shape.name}]({shape.source} "{shape.seen}")')
    lines = ["| vendor | " + " | ".join(KINDS) + " |", "| --- " * (len(KINDS) + 1) + "|"]
    for vendor, row in cells.items():
        columns = " | ".join("; ".join(row.get(kind, ())) for kind in KINDS)
        lines.append(f"| {vendor} | {columns} |")
    return "\n".join(lines)


def signs_table() -> str:
    """Return the signs by which errors are known, in the order in which they are looked for."""
    lines = ["| meaning | vendor | code | words | seen |", "| --- | --- | --- | --- | --- |"]
    for sign in SIGNS:
        code = f"`{sign.code}`" if sign.code else ""
        words = f"`` {sign.phrase.strip()} ``" if sign.phrase else ""
        seen = f"[{sign.seen}]({sign.source})"
        lines.append(f"| {sign.meaning.value} | {sign.vendor} | {code} | {words} | {seen} |")
    return "\n".join(lines)


def rendered(page: str) -> str:
    """Return ``page`` with both tables between their marks."""
    for name, table in (("shapes", shapes_table()), ("signs", signs_table())):
        begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        head, _, rest = page.partition(begin)
        _, _, tail = rest.partition(end)
        page = f"{head}{begin}{table}{end}{tail}"
    return page


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text()))
