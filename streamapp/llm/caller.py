"""The name of the HTTP key behind the calls of the current task, for the usage."""

from collections.abc import Container, Mapping, Sequence
from contextvars import ContextVar

#: Of a record that a named key has written: who it was. No header of ours by its start, which
#: dead letters would not give back: sent again, it is still that key's.
HEADER = "streamapp-api-key"

#: Empty where there is none: a record of other producers, a key without a name.
CALLER: ContextVar[str] = ContextVar("streamapp_caller", default="")


def written_by(
    headers: Mapping[str, bytes | None] | Sequence[tuple[str, bytes | None]] | None,
    known: Container[str],
) -> str:
    """Return the name of the key that has written a record; empty where it is none of ``known``.

    Whoever may write to the topic may write any header: names that nobody configured would make
    a series of the metrics each.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    for name, value in pairs:
        if name == HEADER and (caller := (value or b"").decode(errors="replace")) in known:
            return caller
    return ""
