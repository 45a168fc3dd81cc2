"""Finished offsets survive the metadata of a commit, within its bound."""

import binascii
from base64 import b64decode
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamapp.streaming.window.finished_offsets import (
    BITMAP,
    MAX_CHARACTERS,
    MAX_OFFSETS,
    RUNS,
    Metadata,
    decode,
    encode,
)

BASES = st.integers(0, 2**62)
#: Any sets, and long runs of equal length.
SETS = st.one_of(
    st.sets(st.integers(1, MAX_OFFSETS - 1), max_size=200),
    st.builds(
        lambda start, length, step: set(range(start, MAX_OFFSETS, step)) - set(range(1, length)),
        st.integers(1, 100),
        st.integers(1, 10_000),
        st.integers(1, 7),
    ),
)


@settings(deadline=None, max_examples=25)
@given(base=BASES, numbers=SETS)
def test_every_set_within_the_span_comes_back(base: int, numbers: set[int]) -> None:
    """Whatever is finished within the bound of a span fits, and is read back exactly."""
    finished = {base + number for number in numbers}

    text = encode(base, finished)

    assert len(text.encode()) <= MAX_CHARACTERS
    assert decode(base, text).finished == finished


@settings(deadline=None, max_examples=25)
@given(base=BASES, numbers=SETS, room=st.integers(0, 300))
def test_too_little_room_forgets_the_highest(base: int, numbers: set[int], room: int) -> None:
    """What does not fit is left out; nothing is ever called finished that is not."""
    finished = {base + number for number in numbers}

    text = encode(base, finished, max_characters=room)

    assert len(text) <= room
    kept = decode(base, text).finished
    assert kept <= finished
    highest = max(kept, default=base)
    assert kept == {offset for offset in finished if offset <= highest}


@settings(deadline=None, max_examples=25)
@given(base=BASES, numbers=SETS, topic_id=st.binary(min_size=20, max_size=20))
def test_topic_id_comes_back_beside_every_set(
    base: int, numbers: set[int], topic_id: bytes
) -> None:
    """Where nothing is finished behind the offset, too; and it fits beside the longest bitmap."""
    finished = {base + number for number in numbers}

    text = encode(base, finished, topic_id=topic_id)

    assert len(text) <= MAX_CHARACTERS
    assert decode(base, text) == Metadata(frozenset(finished), topic_id)


@settings(deadline=None, max_examples=25)
@given(base=BASES, numbers=SETS, topic_id=st.binary(min_size=20, max_size=20))
def test_version_that_knows_no_ids_calls_nothing_finished_that_is_not(
    base: int, numbers: set[int], topic_id: bytes
) -> None:
    """It reads all of what is written as runs, and nothing of a bitmap."""
    finished = {base + number for number in numbers}

    text = encode(base, finished, topic_id=topic_id)

    assert decode_without_ids(base, text) == (finished if text.startswith(RUNS) else set())


def test_runs_are_written_beside_an_id_where_they_fit() -> None:
    """A version that knows no ids reads them, in a rolling update and after a step back."""
    topic_id, every_other = bytes(range(20)), range(2, 2_000, 2)

    assert encode(0, every_other, topic_id=topic_id).startswith(f"{RUNS}:")
    assert encode(0, range(2, MAX_OFFSETS, 2), topic_id=topic_id).startswith(f"{BITMAP}:")
    assert len(encode(1_000_000, (), topic_id=topic_id)) < 45


def decode_without_ids(base: int, text: str) -> set[int]:
    """Read as the versions did that wrote no ids: a last run of unfinished offsets is passed."""
    kind, offset, packed = text.split(":", 2)
    assert offset == str(base)
    try:
        data = b64decode(packed, validate=True)
    except binascii.Error:
        return set()
    assert kind == RUNS
    numbers, number, shift = list[int](), 0, 0
    for byte in data:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(number)
            number = shift = 0
    at, found = base, set[int]()
    for index, length in enumerate(numbers):
        if index % 2:
            found |= set(range(at, at + length))
        at += length
    return found


@given(base=st.integers(0, 1000), text=st.text(max_size=60))
def test_foreign_metadata_says_nothing(base: int, text: str) -> None:
    """Any string of another program is no reason to leave a record out."""
    if not text.startswith(("1r:", "1b:")):
        assert decode(base, text) == Metadata()


@pytest.mark.parametrize(
    "text",
    ["2r:5:AQE=", "1r:6:AQE=", "1r:5:not base64!", "1b:5", "1r:5:gA==", "1r:5:" + "/" * 400, ""],
    ids=["version", "offset", "damaged", "cut", "half a number", "huge", "empty"],
)
def test_what_cannot_be_trusted_says_nothing(text: str) -> None:
    """A newer version, a moved offset or damage: nothing is known to be finished."""
    assert decode(5, text) == Metadata()


def test_one_gap_takes_a_handful_of_characters() -> None:
    """The common case: one record is slow, and thousands behind it are finished."""
    assert len(encode(1_000_000, range(1_000_001, 1_016_000))) < 24


@pytest.mark.parametrize(
    ("finished", "kind"),
    [(range(1, 100), RUNS), (range(2, 2_000, 2), BITMAP), ([MAX_OFFSETS - 1], RUNS)],
    ids=["one gap", "every other one", "one far away"],
)
def test_shorter_encoding_is_written(finished: Sequence[int], kind: str) -> None:
    """The metadata of each commit travels to the broker and lies in its memory."""
    assert encode(0, finished).startswith(f"{kind}:")


def test_runs_reach_further_than_a_bitmap_that_would_be_cut() -> None:
    """What fits into runs is told in whole, also where a bitmap would leave out the end."""
    finished = {*range(2, 12, 2), 500}

    text = encode(0, finished, max_characters=28)

    assert decode(0, text).finished == finished
