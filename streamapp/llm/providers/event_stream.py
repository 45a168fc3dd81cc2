"""Server-sent events as vendors write them, read from bytes that are split anywhere."""

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from streamapp.llm.chunks import CallDelta, Instead

_DATA = b"data:"
_ERROR = b"error:"
_BOM = b"\xef\xbb\xbf"
#: At the end of a text: the first half of a letter, as an escape that is no escaped backslash.
_FIRST = re.compile(rb'(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2})"')
#: At the beginning of one: the second half.
_SECOND = re.compile(rb'"(\\u[dD][c-fC-F][0-9a-fA-F]{2})')


class StreamReader(Protocol):
    """How a vendor's events are put together."""

    @property
    def has_begun(self) -> bool:
        """Whether anything was generated."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether the answer says that it is whole."""
        ...

    def feed(self, event: bytes) -> str | Instead:
        """Take the data of one event; return the text it adds."""
        ...

    def new_calls(self) -> Sequence[CallDelta]:
        """Return what was added to tool calls since it was last asked for."""
        ...

    def end(self) -> str | Instead:
        """Return the text that is left at the end; raises where the answer broke off."""
        ...


class EventReader:
    """Finds the data of events.

    Comments, pings and other fields are passed over. An event needs no blank line after it, and
    the last one no end of line; an ``error`` field (llama.cpp) and a line of bare JSON (Ollama)
    are events as well.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._is_first = True

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Return the data of the events that ``piece`` ends."""
        if self._is_first:
            self._is_first = False
            piece = piece.removeprefix(_BOM)
        *lines, self._rest = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            yield from self._take(line)

    def end(self) -> Iterator[bytes]:
        """Return the data of an event that the end of the stream ends."""
        rest, self._rest = self._rest, b""
        yield from self._take(rest)
        yield from self._take(b"")

    def _take(self, line: bytes) -> Iterator[bytes]:
        line = line.strip()
        if line.startswith((_DATA, _ERROR)):
            data = line.partition(b":")[2].strip()
        elif line.startswith((b"{", b"[")) and not self._lines:
            data = line
        elif line:
            return
        else:
            data = b""
        if data:
            self._lines.append(data)
        # One line is one event nearly always: only JSON that goes on is held for the next line.
        if self._lines and (not line or _is_whole(self._lines)):
            event, self._lines = b"\n".join(self._lines), []
            yield event


def _is_whole(lines: list[bytes]) -> bool:
    if len(lines) > 1:
        return False
    first, last = lines[0][:1], lines[0][-1:]
    return (first, last) in ((b"{", b"}"), (b"[", b"]")) or first not in (b"{", b"[")


def events_of(body: bytes) -> list[bytes]:
    """Return the data of all events of a whole body."""
    reader = EventReader()
    return [*reader.feed(body), *reader.end()]


def is_event_stream(body: bytes) -> bool:
    """Whether a body is a stream of events, by how it begins."""
    start = body[:64].removeprefix(_BOM).lstrip()
    return start.startswith((_DATA, b"event:", b":", _ERROR))


class Halves:
    """Keeps the first half of a letter back until the event with the second one comes.

    JSON writes such a letter as two escapes, which some vendors split between two events.
    """

    def __init__(self) -> None:
        self._first = b""

    def joined(self, event: bytes) -> bytes:
        """Return ``event`` with whole letters, as far as they have come."""
        if self._first:
            first, self._first = self._first, b""
            event = _SECOND.sub(lambda second: b'"' + first + second[1], event, count=1)
        if match := _FIRST.search(event):
            self._first = match[2]
            event = event[: match.start(2)] + event[match.end(2) :]
        return event
