"""Places in the configuration file: its name, the line, the table and the key."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_HEADER = re.compile(r"\s*\[{1,2}(?P<name>.+?)\]{1,2}\s*(#.*)?$")
_KEY = re.compile(r"""\s*(?P<name>("(?:\\.|[^"\\])*"|'[^']*'|[A-Za-z0-9_-]|\s*\.\s*)+?)\s*=""")
#: What a text of several lines begins with, a whole text, a comment, a bracket.
_TOKEN = re.compile(r"""\"{3}|'{3}|"(?:\\.|[^"\\])*"|'[^']*'|\#.*|[\[\]{}]""")
#: The rest of a text of several lines; a quotation mark or two may stand before its end.
_REST = {'"""': re.compile(r'(?:\\.|[^\\])*?"{3,5}'), "'''": re.compile(r".*?'{3,5}")}


class FilePlaces:
    """Says where in a file of settings something stands.

    Args:
        name: Of the file.
        text: What is in it; what is no TOML holds nothing.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        try:
            self.data: Mapping[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            self.data, text = {}, ""
        #: The first line that names a path, or leads to it.
        self._lines: dict[tuple[str, ...], int] = {}
        for number, path in paths_in(text):
            for depth in range(1, len(path) + 1):
                self._lines.setdefault(path[:depth], number)

    @classmethod
    def of(cls, file: Path) -> "FilePlaces":
        """Read ``file``; one that is missing, or cannot be read, holds nothing."""
        try:
            return cls(str(file), file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError):
            return cls(str(file), "")

    def place(self, path: Sequence[str]) -> str | None:
        """Return where ``path`` stands, as ``streamapp.toml:3: [providers.a] timeout_s``.

        A key that is missing stands in its table, whose line is given. None where the file does
        not hold the table either.
        """
        tables: list[str] = []
        found: Any = self.data
        for part in path:
            if not isinstance(found, Mapping):
                break
            tables.append(part)
            found = found.get(part)
        if not tables or tables[0] not in self.data:
            return None
        lines = (self._lines.get(tuple(tables[:n])) for n in range(len(tables), 0, -1))
        line = next((line for line in lines if line), None)
        where = f"{self._name}:{line}" if line else self._name
        *parents, key = tables
        table = f"[{'.'.join(map(written, parents))}] " if parents else ""
        return f"{where}: {table}{written(key)}"


def paths_in(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Give line and path of each table and key, from the top."""
    table: tuple[str, ...] = ()
    depth, quotes = 0, ""
    for number, line in enumerate(text.split("\n"), start=1):
        if depth or quotes:
            pass
        elif header := _HEADER.match(line):
            table = _parts(header["name"])
            yield number, table
        elif key := _KEY.match(line):
            yield number, (*table, *_parts(key["name"]))
        depth, quotes = _left_open(line, depth, quotes)


def begins_something(line: str) -> bool:
    """Whether a line has the form of a table's head, or of a key and its value."""
    return bool(_HEADER.match(line) or _KEY.match(line))


def _left_open(line: str, depth: int, quotes: str) -> tuple[int, str]:
    """Return how many brackets are open behind a line, and the quotes of a text that goes on.

    Args:
        line: Of the file.
        depth: Brackets that are open before it.
        quotes: Those of a text of several lines that it begins in; empty for none.
    """
    at = 0
    while True:
        if quotes:
            rest = _REST[quotes].match(line, at)
            if rest is None:
                return depth, quotes
            at, quotes = rest.end(), ""
        token = _TOKEN.search(line, at)
        if token is None:
            return depth, ""
        at = token.end()
        if token[0] in _REST:
            quotes = token[0]
        else:
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)


def _parts(name: str) -> tuple[str, ...]:
    """Return the parts of a dotted key; none where it is no key, as within a long text."""
    try:
        found: Any = tomllib.loads(f"{name} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    parts = []
    while isinstance(found, dict):
        if len(found) != 1:  # as of "[# a]"
            return ()
        [(part, found)] = found.items()
        parts.append(part)
    return tuple(parts)


def written(part: str) -> str:
    """Return a part of a key as TOML wants it, in quotes where it needs them."""
    return part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"'
