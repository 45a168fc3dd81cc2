"""Records in a JSON lines file: their bytes as they are, their keys, what is wrong with them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from streamapp.errors import Failure, InvalidRecord
from streamapp.records.framing import without_mark

#: Of a file, bytes that are read to see how it is written.
_LOOKED_AT = 10_000


@dataclass(frozen=True, slots=True)
class Line:
    """One record of the file; ``number`` counts from 1, empty lines included."""

    number: int
    value: bytes


def read_lines(file: IO[bytes]) -> Iterator[Line]:
    """Yield the lines that hold something, without a byte order mark before them."""
    for number, line in enumerate(file, 1):
        value = without_mark(line).strip()
        if value:
            yield Line(number, value)


def mend_of(file: IO[bytes]) -> str:
    """Return what to do with a file of wrong lines, which may be JSON over several of them."""
    file.seek(0)
    first, end, _ = without_mark(file.read(_LOOKED_AT)).strip().partition(b"\n")
    if end and first.strip() in (b"{", b"[", b"[{"):
        return "write each record on one line, as `jq -c . FILE` does"
    return "correct them"


def key_of(line: Line, field: str | None) -> bytes | None:
    """Return the key of a record: a field's text, or None where no field is wanted.

    Args:
        line: The record.
        field: Dotted path, e.g. ``metadata.customer``.

    Raises:
        InvalidRecord: The record has no text or number there.
    """
    if field is None:
        return None
    try:
        value: Any = json.loads(line.value)
        for name in field.split("."):
            value = value[name]
    except (ValueError, RecursionError, LookupError, TypeError):
        value = None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidRecord(f"no text or number at {field!r} for the key")
    return str(value).encode(errors="surrogatepass")


def id_key(line: Line) -> bytes | None:
    """Return the id of a request as its key, None without one.

    Equal ids come to one partition that way, and are known as one record there.
    """
    try:
        id = json.loads(line.value)["id"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    return id.encode(errors="surrogatepass") if isinstance(id, str) and id else None


def problem(line: Line, field: str | None, decode: Callable[[bytes], object]) -> str | None:
    """Return why a record would become a dead letter or cannot be sent; None for a good one."""
    try:
        decode(line.value)
        key_of(line, field)
    except Failure as failure:
        return f"line {line.number}: {failure.kind.value}: {failure}"
    return None
