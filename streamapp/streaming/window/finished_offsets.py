"""Finished offsets behind an unfinished one, and the topic's id, as text in a commit's metadata.

Kafka keeps one offset per partition, and a string beside it. The offset says where the lowest
unfinished record is; the string says what behind it is finished, so that after a crash none of
it is asked or written again, and which topic of that name the offset is a place of. It is written
in one of two encodings, each with a version, and names the offset that it belongs to: tools that
move a group's offset may copy the string.

    1r:<offset>:<base64 of run lengths>     unfinished, finished, unfinished, ... as LEB128 varints
    1b:<offset>:<base64 of a bitmap>[:<id>] the lowest bit of the first byte is the offset itself

In runs the id is a last one, of unfinished offsets and longer than any: versions that know of no
ids read past it. They take nothing from a bitmap with an id, which is written only where runs do
not fit. Without an id, of a broker that tells none, the shorter encoding is written.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streamapp.streaming.protocol.topic_ids import MARKED_BYTES

#: A broker takes 4,096 bytes of metadata (``offset.metadata.max.bytes``).
MAX_CHARACTERS = 4_000

#: A bitmap of so many offsets always fits: 2,732 characters of base64, and its head.
MAX_OFFSETS = 16_384

RUNS, BITMAP = "1r", "1b"


class Metadata(NamedTuple):
    """What a commit's metadata says.

    Attributes:
        finished: Offsets above the committed one.
        topic_id: Of the topic that the offset is a place of; empty where it is not told.
    """

    finished: frozenset[int] = frozenset()
    topic_id: bytes = b""


def encode(
    base: int,
    finished: Iterable[int],
    *,
    topic_id: bytes = b"",
    max_characters: int = MAX_CHARACTERS,
) -> str:
    """Return the text for a commit at ``base``; empty where there is nothing to say.

    Args:
        base: The committed offset: the lowest unfinished one.
        finished: Offsets above it; those too far above it to fit are left out.
        topic_id: Of the topic that they are of; empty where it is not known.
        max_characters: Upper bound of the text's length.
    """
    offsets = sorted({offset - base for offset in finished if offset > base})
    room = max_characters - len(f"{BITMAP}:{base}:")
    runs = _runs(offsets) + (_varint(_as_run(topic_id)) if topic_id else b"")
    tail = f":{b64encode(topic_id).decode()}" if topic_id else ""
    most_bytes = _bytes_in(room - len(tail))
    bits = _bits([offset for offset in offsets if offset < 8 * most_bytes])
    is_whole = not offsets or offsets[-1] < 8 * most_bytes
    is_shorter = bool(topic_id) or not is_whole or len(runs) <= len(bits)
    if len(runs) <= _bytes_in(room) and is_shorter:
        return f"{RUNS}:{base}:{b64encode(runs).decode()}" if runs else ""
    return f"{BITMAP}:{base}:{b64encode(bits).decode()}{tail}" if bits else ""


def decode(base: int, text: str) -> Metadata:
    """Return what a commit at ``base`` says beside it.

    What is not ours, of a version that is not known here, of another offset or damaged says
    nothing: its records are answered from the ledger, or asked again.
    """
    kind, _, rest = text.partition(":")
    offset, _, packed = rest.partition(":")
    if kind not in (RUNS, BITMAP) or offset != str(base):
        return Metadata()
    packed, _, tail = packed.partition(":")
    try:
        data, topic_id = b64decode(packed, validate=True), b64decode(tail, validate=True)
        if kind == BITMAP:
            found = _from_bits(data)
        else:
            runs = list(_varints(data))
            topic_id = _as_id(runs.pop()) if len(runs) % 2 else b""
            found = _from_runs(runs)
        finished = frozenset(base + number for number in found)
    except (binascii.Error, ValueError):
        return Metadata()
    return Metadata(finished, topic_id if len(topic_id) == MARKED_BYTES else b"")


def _bytes_in(characters: int) -> int:
    """Return how many bytes go into them: four carry three."""
    return max(0, characters) // 4 * 3


def _as_run(topic_id: bytes) -> int:
    return int.from_bytes(b"\x01" + topic_id)


def _as_id(run: int) -> bytes:
    """Return the id; empty where the run is another's."""
    return run.to_bytes(MARKED_BYTES + 1)[1:] if run >> 8 * MARKED_BYTES == 1 else b""


def _bits(numbers: list[int]) -> bytes:
    packed = bytearray(numbers[-1] // 8 + 1 if numbers else 0)
    for number in numbers:
        packed[number // 8] |= 1 << number % 8
    return bytes(packed)


def _from_bits(packed: bytes) -> Iterator[int]:
    for index, byte in enumerate(packed):
        for bit in range(8):
            if byte >> bit & 1:
                yield 8 * index + bit


def _runs(numbers: list[int]) -> bytes:
    packed = bytearray()
    end = 0  # of the last run
    start = -1
    for number in [*numbers, -1]:
        if start >= 0 and number == end:
            end += 1
            continue
        if start >= 0:
            packed += _varint(end - start)
        if number >= 0:
            packed += _varint(number - end)
            start, end = number, number + 1
    return bytes(packed)


def _from_runs(runs: Iterable[int]) -> Iterator[int]:
    at = finished = 0
    for index, length in enumerate(runs):
        if index % 2:
            finished += length
            if finished > 8 * MAX_CHARACTERS:
                raise ValueError("no span of ours is so long")
            yield from range(at, at + length)
        at += length


def _varint(number: int) -> bytes:
    packed = bytearray()
    while number > 127:
        packed.append(number & 127 | 128)
        number >>= 7
    packed.append(number)
    return bytes(packed)


def _varints(packed: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in packed:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield number
            number = shift = 0
    if shift:
        raise ValueError("cut off")
