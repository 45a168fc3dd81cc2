"""Mistakes in the syntax of the configuration file: line, table and key, and what to write."""

import re
import tomllib
from itertools import takewhile

from streamapp.settings.places import begins_something, paths_in, written

_AT = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")
_BARE = re.compile(r"[A-Za-z_]")
#: What to write, by how the parser's message begins; it names characters and never values.
_MENDS = {
    "Unterminated string": "a text ends in the quotes that it begins with",
    "Illegal character '\\n'": "a text ends in its own line, in the quotes that it begins with",
    "Unescaped": "write each backslash of a text twice, or the text in single quotes",
    "Unclosed array": "the list has no ] at its end, or no comma between two values",
    "Duplicate inline table key": "the key is there twice, remove one of them",
    "Unclosed inline table": "the { has no } at its end, or no comma between two keys",
    "Expected newline or end of document": "one key stands in a line, and all of a text in quotes",
    "Expected '='": "write NAME = VALUE; a name with other characters than letters, digits, _ and -"
    " stands in quotes",
    "Expected ']'": "a table is [NAME] in a line of its own; a part of the name with other"
    " characters than letters, digits, _ and - stands in quotes",
    "Invalid statement": "a line is NAME = VALUE, or [TABLE]",
    "Invalid initial character for a key part": "a line is NAME = VALUE, or [TABLE]",
}
#: What is wrong with a line of neither a key nor a table: the last of those has no part in it.
_OF_THEIR_OWN = ("Expected '='", "Expected ']'", "Invalid statement", "Invalid initial character")


def encoding_problem(file: str, error: UnicodeDecodeError) -> str:
    """Return where a file is no text, and what to change.

    Args:
        file: Its name.
        error: Of all its bytes, read as UTF-8.
    """
    line = error.object.count(b"\n", 0, error.start) + 1
    return f"{file}:{line}: not valid UTF-8: save it in that encoding"


def syntax_problem(file: str, text: str, error: tomllib.TOMLDecodeError) -> str:
    """Return where the file is no TOML and what to change, in one line; no value is quoted.

    Args:
        file: Its name.
        text: All of it.
        error: The parser's.
    """
    message = str(error)
    at = _AT.search(message)
    reason = message[: at.start()] if at else message
    lines = text.split("\n")
    number = int(at["line"]) if at and at["line"] else len(lines)
    before = list(takewhile(lambda found: found[0] <= number, paths_in(text)))
    begun, path = before[-1] if before else (number, ())
    if begun < number and reason.startswith(_OF_THEIR_OWN):
        path = ()
    place = f"{file}:{number}: {_named(path)}"
    if reason == "Cannot overwrite a value":
        first = next((line for line, other in before if other == path), begun)
        other = f", first in line {first}" if first < begun else ""
        return f"{place}the key is there twice{other}: remove one of them"
    if reason.startswith("Cannot declare"):
        first = next((line for line, other in before if other == path), begun)
        other = f", first in line {first}" if first < begun else ""
        return (
            f"{file}:{number}: the table [{_joined(path)}] is there twice{other}: write all its"
            " keys below one of them"
        )
    column = int(at["column"]) if at and at["column"] else len(lines[-1]) + 1
    rest = lines[number - 1][column - 1 :]
    if reason == "Invalid value":
        is_next = begun < number and begins_something(lines[number - 1])
        if is_next or (not rest and text.rstrip().endswith(("[", ","))):
            return f"{file}:{begun}: {_named(path)}{_MENDS['Unclosed array']}"
        return f"{place}{_of_value(rest, path)}"
    if rest.startswith("{") and lines[number - 1][: column - 1].rstrip().endswith("= {"):
        return f"{place}a template stands in quotes, as {_example(path, '{{ value }}')}"
    mend = next((mend for begin, mend in _MENDS.items() if reason.startswith(begin)), "")
    where = f" (column {at['column']})" if at and at["column"] else ""
    return f"{place}not valid TOML: {reason}{where}{mend and f': {mend}'}"


def _of_value(rest: str, path: tuple[str, ...]) -> str:
    """Say what is wrong with a value, from where it begins to the end of its line."""
    if re.match(r"(?i)(true|false)\b", rest):
        return "write true or false, in small letters"
    if re.match(r"(?i)(none|null|nil)\b", rest):
        return "there is no such value in TOML: leave the key out"
    if not rest.strip() or rest.startswith("#"):
        return "there is no value behind the ="
    if _BARE.match(rest):
        return f"a text stands in quotes, as {_example(path, '...')}"
    return 'it is no value: a text stands in quotes "...", a list in [...], numbers are bare'


def _example(path: tuple[str, ...], value: str) -> str:
    return f'{written(path[-1]) if path else "NAME"} = "{value}"'


def _named(path: tuple[str, ...]) -> str:
    if not path:
        return ""
    *parents, key = path
    return f"[{_joined(tuple(parents))}] {written(key)}: " if parents else f"{written(key)}: "


def _joined(path: tuple[str, ...]) -> str:
    return ".".join(map(written, path))
