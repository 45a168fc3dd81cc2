"""The size limit of a record, and a dead letter that always fits."""

from collections.abc import Mapping, Sequence

from streamapp.streaming.broker.topics import RECORD_LIMIT

#: Room for headers and framing beside key and value, bytes.
HEADER_ROOM = 4_096


def size_of(headers: Sequence[tuple[str, bytes]]) -> int:
    """Return the bytes of the headers, framing included."""
    return sum(len(name.encode()) + len(value or b"") + 10 for name, value in headers)


def is_oversize(key: bytes | None, size: int) -> bool:
    """Whether key and ``size`` bytes beside it are more than a record of ours can carry."""
    return len(key or b"") + size + HEADER_ROOM > RECORD_LIMIT


def fitted_dead_letter(
    key: bytes | None,
    value: bytes | None,
    *,
    own: Sequence[tuple[str, bytes]],
    headers: Mapping[str, str],
) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
    """Return key, value and headers of a dead letter that the topic takes.

    A broker takes more than we send, and with a raised limit much more. What is too large is
    left out, first the producer's own headers, then the value, then the key; a header names each
    omission, and the other ones name the place of the original.

    Args:
        key: Of the record that failed.
        value: Likewise.
        own: The headers of its producer.
        headers: Why it failed.
    """
    kept, marks = list(own), dict(headers)
    if kept and is_oversize(key, len(value or b"") + size_of(kept)):
        kept, marks["streamapp.headers"] = [], "omitted"
    if is_oversize(key, len(value or b"")):
        value, marks["streamapp.value"] = None, "omitted"
    if is_oversize(key, 0):
        key, marks["streamapp.key"] = None, "omitted"
    # The client refuses a record with neither key nor value.
    value = b"" if value is None and key is None else value
    return key, value, [*kept, *((name, text.encode()) for name, text in marks.items())]
