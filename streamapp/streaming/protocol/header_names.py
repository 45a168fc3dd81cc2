r"""Names of headers that are no UTF-8, read with escapes.

Kafka takes any bytes as a name, and the clients in C, PHP or Node write them as they are given.
aiokafka reads no record that has such a name, and so nothing behind it: the whole fetch is an
error. Here what is left of that fetch is read once more, by aiokafka's own parser in Python with
other names: ``Gr\xf6\xdf`` for Latin-1's "Größ". They are text that can be written again. Fetches
whose names are all UTF-8 take aiokafka's way.
"""

import struct
from collections import deque
from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

#: What stands before a batch's own bytes: its first offset, and their count.
_LENGTH_OF = struct.Struct(">qi")
#: Where each version of a batch has the number of that version.
_MAGIC_AT = 16


class KeptRecords(MemoryRecords):  # type: ignore[misc]  # aiokafka has no types
    """Fetched batches that are kept as they came, as long as they are read."""

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.data: bytes = data


class AnyNameRecords(PartitionRecords):  # type: ignore[misc]  # likewise
    """The records of one partition's fetch, whatever their headers are called."""

    _records: Any
    _records_iterator: Any

    def __next__(self) -> Any:
        try:
            return next(self._records_iterator)
        except StopIteration:
            self._records_iterator = None  # as aiokafka: a cycle
            raise
        except (UnicodeDecodeError, CorruptRecordException) as error:
            if not (_is_of_a_name(error) and type(self._records) is KeptRecords):
                raise
            self._records = _EscapedRecords(self._records.data, self.next_fetch_offset)
            self._records_iterator = self._unpack_records()
            return next(self._records_iterator)


def read_any_names() -> None:
    """Have every consumer of this process read them; once is enough."""
    fetcher.MemoryRecords = KeptRecords
    fetcher.PartitionRecords = AnyNameRecords


class _EscapedRecords:
    """The batches from an offset on, as aiokafka asks for them.

    Those before it are left out: aiokafka would go back behind them.
    """

    def __init__(self, data: bytes, offset: int) -> None:
        batches = (_batch(piece) for piece in _pieces(data))
        self._left = deque(batch for batch in batches if batch.next_offset > offset)

    def has_next(self) -> bool:
        """Whether there is one more."""
        return bool(self._left)

    def next_batch(self) -> Any:
        """Return it."""
        return self._left.popleft()


class _EscapedBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # likewise
    """A batch of the one version that has headers."""

    _pos: int

    def _read_msg(self, decode_varint: Any = decode_varint) -> _DefaultRecordPy:
        """Return the next record, as the method that this replaces but for the names.

        Source: https://kafka.apache.org/documentation/#record
        """
        buffer = self._buffer
        length, start = decode_varint(buffer, self._pos)
        _, at = decode_varint(buffer, start)  # its attributes: none is in use
        time_delta, at = decode_varint(buffer, at)
        offset_delta, at = decode_varint(buffer, at)
        key, at = _bytes(buffer, at)
        value, at = _bytes(buffer, at)
        count, at = decode_varint(buffer, at)
        headers = []
        for _ in range(count):
            name, at = _bytes(buffer, at)
            carried, at = _bytes(buffer, at)
            headers.append(((name or b"").decode(errors="backslashreplace"), carried))
        if at - start != length:
            raise CorruptRecordException(f"Invalid record size: {at - start}, not {length} bytes")
        self._pos = at
        is_log_time = self.timestamp_type == self.LOG_APPEND_TIME
        return _DefaultRecordPy(
            self.base_offset + offset_delta,
            self.max_timestamp if is_log_time else self.first_timestamp + time_delta,
            self.timestamp_type,
            key,
            value,
            headers,
        )


def _bytes(buffer: bytearray, at: int) -> tuple[bytes | None, int]:
    """Return what stands there, None where that is null, and the place behind it."""
    size, at = decode_varint(buffer, at)
    return (None, at) if size < 0 else (bytes(buffer[at : at + size]), at + size)


def _batch(piece: bytes) -> Any:
    magic = piece[_MAGIC_AT]
    return _EscapedBatch(piece) if magic >= 2 else LegacyRecordBatch(piece, magic)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Yield each whole batch; a fetch ends anywhere."""
    at = 0
    while at + _LENGTH_OF.size <= len(data):
        _, size = _LENGTH_OF.unpack_from(data, at)
        end = at + _LENGTH_OF.size + size
        if end > len(data):
            return
        yield data[at:end]
        at = end


def _is_of_a_name(error: Exception) -> bool:
    """Whether text was expected; where aiokafka has no compiled parser, that is the cause."""
    return isinstance(error.__cause__ or error, UnicodeDecodeError)
