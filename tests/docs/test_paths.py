"""Files that the pages for developers name exist, and a reader's path stays short."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

DECISIONS = DOCS / "decisions"
PAGES = [
    ROOT / "CONTRIBUTING.md",
    DOCS / "architecture.md",
    DOCS / "seed-names.md",
    DOCS / "faust-private.md",
    *sorted(DECISIONS.glob("*.md")),
]
#: Longest way through the code, files.
PATHS = {"One record": 12, "One HTTP request": 10, "One prompt change": 10, "One setting": 4}


def section(page: Path, heading: str) -> str:
    """Return the text under a heading of the third level, up to the next heading."""
    _, _, rest = page.read_text().partition(f"\n### {heading}\n")
    assert rest, heading
    return re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]


def test_the_packages_are_told_as_the_import_contract_has_them() -> None:
    """The arrows are the contract's layers, and the table has a row for all that it names."""
    text = (DOCS / "architecture.md").read_text()
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    layers = [
        re.findall(r"streamapp\.(\w+)", layer)
        for layer in tools["importlinter"]["contracts"][0]["layers"]
    ]
    arrows = re.search(r"^app, cli -> .+$", text, re.MULTILINE)
    assert arrows
    told = [layer.split(", ") for layer in arrows[0].split(" -> ")]
    _, _, table = text.partition("| package | what is in it |")
    first_cells = re.findall(r"^\| (`.+?) \|", table.partition("\n\n")[0], re.MULTILINE)
    rows = re.findall(r"`(\w+)(?:/|\.py)`", " ".join(first_cells))

    # Nothing but names, below the errors.
    assert told == [[name for name in layer if name != "__main__"] for layer in layers[:-1]]
    assert sorted(rows) == sorted({name for layer in layers for name in layer} - {"__main__"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    """A path in backquotes that begins with a folder of ours is there."""
    text = page.read_text()
    named = set(re.findall(r"`((?:streamapp|tests|deploy|docs)/[\w/.-]+)`", text))
    inside = set(re.findall(r"`([a-z_]+(?:/\w+)*/\w+\.py)`", text)) - named

    missing = [name for name in named if not (ROOT / name).exists()]
    missing += [name for name in inside if not (ROOT / "streamapp" / name).exists()]

    assert missing == []


@pytest.mark.parametrize(("heading", "most"), PATHS.items(), ids=PATHS)
def test_a_readers_path_is_short(heading: str, most: int) -> None:
    """Each step of docs/architecture.md names files that exist, and they are few together."""
    text = section(DOCS / "architecture.md", heading)
    steps = re.findall(r"^\d+\. (.+)$", text, re.MULTILINE)
    files = re.findall(r"`([\w/]+\.py)`", text)

    assert [step for step in steps if not re.match(r"`[\w/]+\.py`: \S+ \S+", step)] == []
    assert 1 < len(files) <= most
    assert [name for name in files if not (ROOT / "streamapp" / name).is_file()] == []


def test_every_draft_name_leads_to_a_file() -> None:
    """Each row of the page of the seeds' names names at least one file or folder of ours."""
    rows = re.findall(
        r"^\| (?!draft|---)(.+?) \| (.+?) \|", (DOCS / "seed-names.md").read_text(), re.M
    )
    unled = [
        draft
        for draft, here in rows
        if not any((ROOT / name).exists() for name in re.findall(r"`([\w/.-]+)`", here))
    ]

    assert len(rows) > 25
    assert unled == []


def test_decisions_are_numbered_and_listed() -> None:
    """Each page's title carries its number, and the index lists all, in their order."""
    pages = sorted(DECISIONS.glob("0*.md"))
    listed = re.findall(r"^\| \[(\d+)\]\(([\w.-]+)\)", (DECISIONS / "index.md").read_text(), re.M)

    assert listed == [(page.name[:4], page.name) for page in pages]
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        assert page.read_text().startswith(f"# {page.name[:4]}: ")
        assert all(f"**{part}.**" in page.read_text() for part in ("Context", "Decision"))


def test_the_glossary_is_in_order() -> None:
    """A reader finds a word where the alphabet puts it, once."""
    words = re.findall(r"^\| (?!word|---)(.+?) \|", (DOCS / "glossary.md").read_text(), re.M)

    assert len(words) > 40
    assert words == sorted(set(words))
