"""Dead letters, read and chosen."""

import pytest

from streamapp.records.dead_letter import REPLAYS
from streamapp.streaming.dead_letters.stored import Filter, StoredDeadLetter
from tests.support.dead_letters import FOREIGN, Pairs, headers_of, record, request


def letter_of(value: bytes | None, headers: Pairs) -> StoredDeadLetter:
    found = StoredDeadLetter.of(record(value, headers))
    assert found is not None
    return found


@pytest.mark.parametrize(("value", "headers"), FOREIGN.values(), ids=FOREIGN)
def test_records_of_others_are_no_dead_letters(value: bytes | None, headers: Pairs) -> None:
    """Whatever stands on the topic is told apart, and raises nothing."""
    assert StoredDeadLetter.of(record(value, headers)) is None


def test_summary_says_what_and_where() -> None:
    """Place, reason, counts and the beginning of the record."""
    headers = headers_of("r-1", earlier=[(REPLAYS, b"2"), ("streamapp.attempts", b"5")])

    summary = letter_of(request("r-1"), headers).summary()

    assert summary == {
        "partition": 3,
        "offset": 17,
        "at": 1_000.0,
        "id": "r-1",
        "type": "chat",
        "kind": "invalid",
        "stage": "decode",
        "message": "field 'x' is wrong",
        "attempts": 5,
        "replays": 2,
        "record": request("r-1").decode(),
    }


def test_detail_has_the_whole_record_and_its_own_headers() -> None:
    """Nothing is cut, and ours are not mixed with the producer's headers."""
    value = request("r-1", text="é" * 5_000)

    detail = letter_of(value, [("tag", b"a"), *headers_of("r-1", offset=9)]).detail()

    assert detail["record"] == value.decode()
    assert detail["headers"] == {"tag": "a"}
    assert detail["origin"] == {"topic": "llm.requests", "partition": 0, "offset": 9}


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"[1]", b'{"type": 3}', b"[" * 100_000])
def test_record_without_a_type_has_none(value: bytes | None) -> None:
    """Bytes that could not be decoded then cannot be decoded now."""
    assert letter_of(value, headers_of("r")).summary()["type"] is None


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Filter(), True),
        (Filter(kinds=["expired", "invalid"]), True),
        (Filter(kinds=["expired"]), False),
        (Filter(types=["chat"]), True),
        (Filter(types=["embed"]), False),
        (Filter(ids=["r-1"]), True),
        (Filter(ids=["r-2"]), False),
        (Filter(since=1_000, until=1_001), True),
        (Filter(since=1_000.5), False),
        (Filter(until=1_000), False),
        (Filter(text="FIELD 'X'"), True),
        (Filter(text="nowhere"), False),
        (Filter(kinds=["invalid"], ids=["r-2"]), False),
    ],
    ids=str,
)
def test_filter_is_all_of_its_conditions(wanted: Filter, fits: bool) -> None:
    """Of one condition any value does; all conditions must."""
    assert wanted.fits(letter_of(request("r-1"), headers_of("r-1"))) is fits
