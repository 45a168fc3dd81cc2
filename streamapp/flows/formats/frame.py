"""The frame of a schema registry round a value: a zero byte, the schema's id, the value.

Source: Confluent Schema Registry, "Wire format".
"""

from collections.abc import Sequence

from streamapp.errors import Undecodable

_MAGIC = 0
_HEAD = 5
#: Most numbers in the path of a Protobuf message: deeper nesting is no schema's.
_PATH_LIMIT = 64


def schema_id(value: bytes) -> int:
    """Return the id of the schema that a framed value names.

    Raises:
        Undecodable: It has no frame.
    """
    if len(value) < _HEAD or value[0] != _MAGIC:
        raise Undecodable(
            "it is not framed by a schema registry (a 0 byte and a schema's number):"
            " set the format that it is written in"
        )
    return int.from_bytes(value[1:_HEAD], "big")


def body(value: bytes) -> bytes:
    """Return what stands in the frame."""
    return value[_HEAD:]


def framed(id: int, value: bytes) -> bytes:
    """Return ``value`` in the frame of the schema ``id``."""
    return bytes([_MAGIC]) + id.to_bytes(_HEAD - 1, "big") + value


def message_path(value: bytes) -> tuple[tuple[int, ...], bytes]:
    """Return which message of its file a framed Protobuf value is, and the message itself.

    Args:
        value: The body of the frame.

    Raises:
        Undecodable: It does not begin with the message's place.
    """
    try:
        count, at = _varint(value, 0)
        if count == 0:
            return (0,), value[at:]
        if not 0 < count <= _PATH_LIMIT:
            raise IndexError
        path = []
        for _ in range(count):
            index, at = _varint(value, at)
            path.append(index)
    except IndexError:
        problem = "it does not say which Protobuf message it is"
    else:
        return tuple(path), value[at:]
    raise Undecodable(problem)


def with_path(path: Sequence[int], value: bytes) -> bytes:
    """Return a Protobuf message behind its place in its file."""
    if tuple(path) == (0,):
        return b"\x00" + value
    return b"".join(_zigzag(number) for number in (len(path), *path)) + value


def _varint(value: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = value[at]
        at += 1
        found |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return (found >> 1) ^ -(found & 1), at
        if shift > 35:
            raise IndexError


def _zigzag(number: int) -> bytes:
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
