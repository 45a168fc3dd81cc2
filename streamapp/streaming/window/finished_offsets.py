"""Finished offsets behind an unfinished one, as text in the metadata of a commit.

Kafka keeps one offset per partition, and a string beside it. The offset says where the lowest
unfinished record is; the string says what behind it is finished, so that after a crash none of
it is asked or written again. It is written in the shorter of two encodings, each with a version,
and names the offset that it belongs to: tools that move a group's offset may copy the string.

    1r:<offset>:<base64 of run lengths>   unfinished, finished, unfinished, ... as LEB128 varints
    1b:<offset>:<base64 of a bitmap>      the lowest bit of the first byte is the offset itself
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator

#: A broker takes 4,096 bytes of metadata (``offset.metadata.max.bytes``).
MAX_CHARACTERS = 4_000

#: A bitmap of so many offsets always fits: 2,732 characters of base64, and its head.
MAX_OFFSETS = 16_384

RUNS, BITMAP = "1r", "1b"


def encode(base: int, finished: Iterable[int], *, max_characters: int = MAX_CHARACTERS) -> str:
    """Return the text for a commit at ``base``; empty where nothing is finished.

    Args:
        base: The committed offset: the lowest unfinished one.
        finished: Offsets above it; those too far above it to fit are left out.
        max_characters: Upper bound of the text's length.
    """
    offsets = sorted({offset - base for offset in finished if offset > base})
    # Four characters carry three bytes.
    room = max(0, max_characters - len(f"{BITMAP}:{base}:")) // 4 * 3
    bits = _bits([offset for offset in offsets if offset < 8 * room])
    runs = _runs(offsets)
    is_whole = not offsets or offsets[-1] < 8 * room
    if len(runs) <= room and (not is_whole or len(runs) <= len(bits)):
        return f"{RUNS}:{base}:{b64encode(runs).decode()}" if runs else ""
    return f"{BITMAP}:{base}:{b64encode(bits).decode()}" if bits else ""


def decode(base: int, text: str) -> frozenset[int]:
    """Return the finished offsets above ``base``.

    What is not ours, of a version that is not known here, of another offset or damaged says
    nothing: its records are answered from the ledger, or asked again.
    """
    kind, _, rest = text.partition(":")
    offset, _, packed = rest.partition(":")
    if kind not in (RUNS, BITMAP) or offset != str(base):
        return frozenset()
    try:
        data = b64decode(packed, validate=True)
        found = _from_runs(data) if kind == RUNS else _from_bits(data)
        return frozenset(base + number for number in found)
    except (binascii.Error, ValueError):
        return frozenset()


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


def _from_runs(packed: bytes) -> Iterator[int]:
    at = finished = 0
    for index, length in enumerate(_varints(packed)):
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
