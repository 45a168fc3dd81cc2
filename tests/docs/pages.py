"""What the tests read of a Markdown page: its code blocks and its links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
#: Of the root and of `prompts/`; they are not part of the site.
OUTSIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "prompts/README.md")
#: Every page that is for readers.
PAGES = sorted([*(ROOT / name for name in OUTSIDE), *DOCS.rglob("*.md")])

_BLOCK = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Attributes:
        language: What follows the fence.
        title: A file's name, or words.
        line: Where its text begins in the page, from 1.
    """

    language: str
    title: str
    text: str
    page: Path
    line: int

    @property
    def is_file(self) -> bool:
        """Whether the title is the name of a file to write the text into."""
        return "." in self.title and " " not in self.title

    @property
    def place(self) -> str:
        """Page and line, for messages; a page may be of a copy of the repository."""
        inside = self.page.is_relative_to(ROOT)
        return f"{self.page.relative_to(ROOT) if inside else self.page.name}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the page's blocks of these languages, or all."""
    text = page.read_text()
    found = [
        Block(match[1], match[2] or "", match[3], page, text.count("\n", 0, match.start(3)) + 1)
        for match in _BLOCK.finditer(text)
    ]
    return [block for block in found if not languages or block.language in languages]


def links(page: Path) -> Iterator[str]:
    """Yield where the page's links and pictures lead."""
    yield from _LINK.findall(_prose(page))


def anchors(page: Path) -> set[str]:
    """Return the names of the page's headings, as GitHub and mkdocs make them."""
    return {slug(heading) for heading in _HEADING.findall(_prose(page))}


def slug(heading: str) -> str:
    """Return the anchor of a heading."""
    words = re.sub(r"[^\w\s-]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading))
    return re.sub(r"[\s]+", "-", words.strip().lower())


def _prose(page: Path) -> str:
    return re.sub(
        r"`[^`\n]+`", lambda code: code[0].replace("](", ""), _BLOCK.sub("", page.read_text())
    )
