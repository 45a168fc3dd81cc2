"""Fetches are read whatever their headers are called, and otherwise as aiokafka reads them."""

import struct
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streamapp.streaming.protocol.header_names import AnyNameRecords, KeptRecords, read_any_names

T0 = TopicPartition("llm.requests", 0)
NONE, GZIP = 0, 1
#: Placeholder of the builder, which takes text alone, and what stands there in the end.
STAND_IN, LATIN1, ESCAPED = "xxxx", b"Gr\xf6\xdf", "Gr\\xf6\\xdf"

Headers = list[tuple[str, bytes | None]]
HEADERS: st.SearchStrategy[Headers] = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=4), st.none() | st.binary()
    ),
    max_size=4,
)
RECORDS = st.lists(
    st.tuples(st.none() | st.binary(), st.binary(), HEADERS, st.integers(0, 2**40)),
    min_size=1,
    max_size=4,
)


def batch(
    base: int, *headers: Headers, codec: int = NONE, producer: int = -1, latin1: bool = True
) -> bytes:
    """Return a batch from offset ``base`` on, with a record for each headers."""
    records = [(b"k", b"v", each, 5) for each in headers]
    return built(base, records, codec=codec, producer=producer, latin1=latin1)


def built(
    base: int,
    records: Sequence[tuple[bytes | None, bytes, Headers, int]],
    *,
    codec: int = NONE,
    producer: int = -1,
    latin1: bool = True,
) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, producer >= 0, producer, 0, 0, 1_000_000)
    for number, (key, value, headers, time_ms) in enumerate(records):
        builder.append(number, timestamp=time_ms, key=key, value=value, headers=headers)
    data = bytearray(builder.build())
    if latin1:
        data = data.replace(STAND_IN.encode(), LATIN1)
    struct.pack_into(">q", data, 0, base)
    struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[21:])))
    return bytes(data)


def old_batch(base: int) -> bytes:
    """Return a record as producers before headers wrote it."""
    builder = LegacyRecordBatchBuilder(1, NONE, 1_000_000)
    builder.append(0, timestamp=5, key=b"k", value=b"v")
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, base)
    return bytes(data)


def fetched(
    data: bytes, *, start: int = 0, aborted: Sequence[tuple[int, int]] = (), kind: Any = None
) -> Any:
    isolation = READ_COMMITTED if aborted else READ_UNCOMMITTED
    records = (MemoryRecords if kind is PartitionRecords else KeptRecords)(data)
    return (kind or AnyNameRecords)(T0, records, aborted, start, None, None, True, isolation)


def test_name_that_is_no_utf8_is_read_with_escapes() -> None:
    """Names that come twice and values that are null stay as they are."""
    odd: Headers = [(STAND_IN, b"1"), ("a", None), (STAND_IN, None), ("", b"")]

    [record] = fetched(batch(7, odd), start=7)

    assert record.headers == ((ESCAPED, b"1"), ("a", None), (ESCAPED, None), ("", b""))
    assert (record.offset, record.key, record.value, record.timestamp) == (7, b"k", b"v", 5)
    assert [name.encode().decode() for name, _ in record.headers]  # can be written again


@pytest.mark.parametrize("codec", [NONE, GZIP])
def test_what_is_before_and_behind_it_is_read_once(codec: int) -> None:
    """Batches of one fetch, also of other versions; the position is behind each record taken."""
    plain: Headers = [("a", b"1")]
    data = (
        batch(0, plain, plain)
        + batch(2, plain, [(STAND_IN, b"1")], plain)
        + batch(5, plain, codec=codec)
        + old_batch(6)
        + batch(7, [(STAND_IN, b"2")])
        + b"the beginning of another"
    )
    records, seen = fetched(data, start=1), []
    for record in records:
        seen.append(record.offset)
        assert records.next_fetch_offset == record.offset + 1

    assert seen == [1, 2, 3, 4, 5, 6, 7]
    assert records.next_fetch_offset == 8


def test_aborted_records_stay_left_out() -> None:
    """What the broker says of transactions holds for what is read again, too."""
    odd: Headers = [(STAND_IN, b"1")]
    data = batch(0, odd, producer=7) + batch(1, odd, producer=8) + batch(2, odd, producer=7)

    records = list(fetched(data, aborted=[(8, 1)]))

    assert [record.offset for record in records] == [0, 2]


def test_what_is_broken_stays_an_error() -> None:
    """A wrong checksum behind such a name is told, with what is before it handed out."""
    broken = bytearray(batch(1, []))
    broken[-1] ^= 1
    records = fetched(batch(0, [(STAND_IN, b"1")]) + bytes(broken))

    assert next(records).offset == 0
    with pytest.raises(CorruptRecordException):
        next(records)
    assert records.next_fetch_offset == 1


def test_every_consumer_of_the_process_reads_that_way() -> None:
    """The client still makes its records of the two classes that are replaced."""
    read_any_names()

    made_of = set(fetcher.Fetcher._proc_fetch_request.__code__.co_names)
    assert {"MemoryRecords", "PartitionRecords"} <= made_of
    assert fetcher.MemoryRecords is KeptRecords
    assert fetcher.PartitionRecords is AnyNameRecords


@given(records=RECORDS)
def test_all_else_is_read_as_aiokafka_does(records: list[tuple[Any, ...]]) -> None:
    """Behind a name that is no UTF-8, too: keys, values, times and headers are the same."""
    data = built(1, records, latin1=False)
    theirs = list(fetched(data, start=1, kind=PartitionRecords))

    ours = list(fetched(data, start=1))
    _, *behind = fetched(batch(0, [(STAND_IN, b"1")]) + data)

    assert ours == theirs
    assert behind == theirs
