"""The record before a place, and what another one there says."""

from types import SimpleNamespace
from typing import Any

import pytest

from streamapp.streaming.log_place import LastRecords, LogPlace, mark_of

LAST = mark_of(b"k", b"v")


def record(offset: int, value: bytes | None = b"v", key: bytes | None = b"k") -> Any:
    return SimpleNamespace(partition=0, offset=offset, key=key, value=value)


@pytest.mark.parametrize(
    ("found", "is_other"),
    [
        (record(6), False),
        (record(6, b"w"), True),
        (record(6, key=b"l"), True),
        (record(6, None, None), True),
        (record(7, b"w"), False),
    ],
    ids=["the same", "another value", "another key", "no bytes", "gone, and the next one found"],
)
def test_another_record_before_the_start_is_known(found: Any, is_other: bool) -> None:
    """Where none is there any more, nothing is told."""
    lasts = LastRecords({0: LogPlace(7, b"id", LAST)})

    assert lasts.begin(0, 7, 0) == 6
    assert lasts.is_other(found) is is_other


@pytest.mark.parametrize(
    ("place", "start", "first"),
    [
        (LogPlace(7, b"id"), 7, 0),
        (LogPlace(7, b"id", LAST), 7, 7),
        (LogPlace(7, b"id", LAST), 9, 9),
        (LogPlace(0), 0, 0),
    ],
    ids=["no mark", "retention took it", "and more", "nothing read"],
)
def test_no_record_is_fetched_twice_for_nothing(place: LogPlace, start: int, first: int) -> None:
    """Where none is known or none can be there, the reading begins at its start."""
    lasts = LastRecords({0: place})

    assert lasts.begin(0, start, first) == start
    assert not lasts.unseen
    assert not lasts.is_other(record(start - 1, b"w"))


def test_record_that_no_fetch_tells_of_is_passed_over_once() -> None:
    """The reading goes on from the start then, and is not held by what it does not need."""
    lasts = LastRecords({0: LogPlace(7, b"id", LAST)})

    assert [lasts.pass_over(partition) for partition in (1, 0, 0)] == [False, True, False]
    assert lasts.begin(0, 7, 0) == 7
    assert not lasts.is_other(record(6, b"w"))


def test_mark_is_that_of_the_record_before_the_end() -> None:
    """What was read last is known the next time; a hole behind it leaves nothing to know."""
    lasts = LastRecords({0: LogPlace(7, b"id", LAST), 1: LogPlace(3)})
    assert lasts.before(0, 7) == LAST
    assert lasts.before(1, 3) == b""

    lasts.note(record(9, b"w"))

    assert lasts.before(0, 10) == mark_of(b"k", b"w")
    assert lasts.before(0, 11) == b""
    lasts.forget(0)
    assert lasts.before(0, 10) == b""


def test_mark_of_a_long_value_is_that_of_its_head() -> None:
    """An answer may have a megabyte: the hot path pays for none of it."""
    assert mark_of(b"k", b"v" * 300) == mark_of(b"k", b"v" * 300 + b"w")
    assert mark_of(b"k", b"v" * 200) != mark_of(b"k", b"v" * 200 + b"w")
