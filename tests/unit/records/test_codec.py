"""Bytes that become requests, and bytes that do not."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from streamapp.errors import Failure, InvalidRecord, Undecodable
from streamapp.records.codec import parse, recover_id, validate
from streamapp.records.request import Request
from streamapp.records.response import Response

CANARY = "canary-4711"

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["\x00", "😀", "\u202eright to left", "é", "e\u0301", "\U0001d518"]),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


def _even(count: int) -> int:
    if count % 2:
        raise PydanticCustomError("even", "must be even")
    return count


def _short(note: str) -> str:
    if len(note) > 5:
        raise ValueError(f"{note} is too long")
    return note


class Note(Request, type="note"):
    text: str = Field(max_length=100)
    count: Annotated[int, AfterValidator(_even)] = 0
    note: Annotated[str, AfterValidator(_short)] = ""
    items: list[int] = Field(default_factory=list)


def record(**fields: Any) -> bytes:
    return json.dumps({"type": "note", "text": "t", **fields}).encode()


@given(metadata=st.dictionaries(st.text(), json_values, max_size=5))
def test_metadata_comes_back_unchanged(metadata: dict[str, Any]) -> None:
    """Whatever JSON the metadata holds is the same in the response, numbers and scripts too."""
    request = validate(Note, record(metadata=metadata))
    response = Response(
        id="r",
        type="note",
        output="",
        model="m",
        provider="p",
        metadata=request.metadata,
        created_at=datetime(2030, 1, 1, tzinfo=UTC),
    )

    returned = json.loads(response.encode())["metadata"]

    assert json.dumps(returned) == json.dumps(metadata)


@given(value=st.none() | st.binary() | json_values.map(lambda v: json.dumps(v).encode()))
def test_no_bytes_raise_anything_but_a_failure(value: bytes | None) -> None:
    """Any bytes at all are parsed or refused by name."""
    with suppress(Failure):
        parse(value)


@given(fields=st.dictionaries(st.sampled_from([*Note.model_fields, "other"]), json_values))
def test_no_fields_raise_anything_but_a_failure(fields: dict[str, Any]) -> None:
    """Any values in any fields are a request or refused by name."""
    with suppress(Failure):
        validate(Note, json.dumps(fields).encode())


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="null value"),
        pytest.param(b"", id="empty"),
        pytest.param(b"  ", id="blank"),
        pytest.param(b"not json", id="no json"),
        pytest.param(b"{} {}", id="two values"),
        pytest.param(b'{"a": 1,}', id="trailing comma"),
        pytest.param(b'{"a": "\xff"}', id="wrong utf-8"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', id="surrogate in utf-8"),
        pytest.param(rb'{"a": "\ud800"}', id="lone surrogate"),
        pytest.param(b'{"a": "\x00"}', id="raw control character"),
        pytest.param(b'{"a": 1, "a": 2}', id="same key twice"),
        pytest.param(b'{"m": {"a": 1, "a": 2}}', id="same key twice inside"),
        pytest.param(b'{"a": NaN}', id="not a number"),
        pytest.param(b'{"a": -Infinity}', id="infinity"),
        pytest.param(b'{"m": [{"a": 1e999}]}', id="number becomes infinity"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", id="5000 digits"),
        pytest.param(b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", id="10000 deep"),
        pytest.param(b"[" * 10_000, id="10000 open"),
    ],
)
def test_bytes_that_are_no_strict_json_are_undecodable(value: bytes | None) -> None:
    """What could not come back unchanged, or means two things, is refused."""
    with pytest.raises(Undecodable):
        parse(value)


@pytest.mark.parametrize("value", [b"[]", b"1", b'"text"', b"null", b"true"])
def test_json_that_is_no_object_is_invalid(value: bytes) -> None:
    """A list, number or text is JSON, but no record."""
    with pytest.raises(InvalidRecord, match="no object"):
        parse(value)


def test_an_undecodable_value_is_not_quoted() -> None:
    """The message gives reason and place, nothing of the bytes."""
    with pytest.raises(Undecodable) as caught:
        parse(f'{{"{CANARY}": 1, "{CANARY}": 2}}'.encode())

    assert "twice" in str(caught.value)
    assert "line 1 column" in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"colour": 1}, "field 'colour' is unknown: remove it", id="unknown"),
        pytest.param({"metdata": {}}, "'metdata' is unknown, did you mean 'metadata'?", id="near"),
        pytest.param({"text": 5}, "field 'text': Input should be a valid string", id="kind"),
        pytest.param({"count": "4"}, "field 'count': Input should be a valid integer", id="strict"),
        pytest.param({"count": 3}, "field 'count': must be even", id="own check"),
        pytest.param({"text": "x" * 101}, "at most 100 characters", id="length"),
        pytest.param({"items": [1, "2"]}, "field 'items.1': Input should be", id="item"),
        pytest.param({"deadline": "2030-01-01T00:00:00"}, "time with zone", id="no zone"),
        pytest.param({"deadline": 1893456000}, "time with zone", id="number as time"),
        pytest.param({"id": ""}, "field 'id'", id="empty id"),
        pytest.param({"id": "x" * 201}, "field 'id'", id="long id"),
        pytest.param({"stream": "yes"}, "field 'stream'", id="text as boolean"),
        pytest.param({"metadata": []}, "field 'metadata'", id="metadata"),
    ],
)
def test_a_wrong_field_is_named_with_what_to_do(fields: dict[str, Any], message: str) -> None:
    """The producer learns which field to change, and how."""
    with pytest.raises(InvalidRecord) as caught:
        validate(Note, record(**fields))

    assert message in str(caught.value)


def test_a_missing_field_is_named() -> None:
    """What is missing is said."""
    with pytest.raises(InvalidRecord, match="field 'text' is missing: add it"):
        validate(Note, b'{"type": "note"}')


@pytest.mark.parametrize(
    "fields",
    [
        {"note": CANARY},
        {"deadline": CANARY},
        {"count": CANARY},
        {"items": [CANARY]},
        {"text": {CANARY: CANARY}},
        {"id": CANARY * 100},
        {"stream": CANARY},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_value_never_appears_in_the_error(fields: dict[str, Any]) -> None:
    """Neither the message nor what hangs on it holds a value, a careless check's included."""
    with pytest.raises(InvalidRecord) as caught:
        validate(Note, record(**fields))

    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_an_unknown_field_is_cut_and_escaped() -> None:
    """A name of 64 characters at most, on one line, whatever the record calls it."""
    with pytest.raises(InvalidRecord) as caught:
        validate(Note, record(**{"a\nb\x00\u202e" + "c" * 100: 1}))

    assert "'a\\u000ab\\u0000\\u202e" + "c" * 44 + "'" in str(caught.value)


def test_many_problems_are_counted() -> None:
    """Three are listed; of a hundred thousand only the number."""
    with pytest.raises(InvalidRecord, match="and 2 more"):
        validate(Note, record(a=1, b=2, c=3, d=4, e=5))
    with pytest.raises(InvalidRecord, match="100000 fields or items are wrong") as caught:
        validate(Note, record(items=["x"] * 100_000))

    assert len(str(caught.value)) < 300


def test_numbers_keep_their_kind() -> None:
    """An integer beyond 64 bits stays one, a float stays a float."""
    request = validate(Note, record(metadata={"big": 10**40, "one": 1.0}))

    assert request.metadata == {"big": 10**40, "one": 1.0}
    assert isinstance(request.metadata["one"], float)


def test_a_deadline_is_compared_with_its_zone() -> None:
    """A deadline is a moment, not a wall clock's reading."""
    request = validate(Note, record(deadline="2030-01-01T01:00:00+01:00"))

    assert not request.is_expired(datetime(2029, 12, 31, 23, 59, tzinfo=UTC))
    assert request.is_expired(datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("value", "id"),
    [
        pytest.param(b'{"id": "r-1", "type": 5}', "r-1", id="readable"),
        pytest.param('{"id": "\U0001f600"}'.encode(), "\U0001f600", id="emoji"),
        pytest.param(b'{"id": ""}', None, id="empty"),
        pytest.param(b'{"id": 5}', None, id="number"),
        pytest.param(json.dumps({"id": "x" * 201}).encode(), None, id="too long"),
        pytest.param(b'{"type": "note"}', None, id="none"),
        pytest.param(b'{"id": "r-1"', None, id="no json"),
        pytest.param(b'["r-1"]', None, id="no object"),
        pytest.param(None, None, id="null value"),
    ],
)
def test_the_id_of_an_invalid_record_is_recovered(value: bytes | None, id: str | None) -> None:
    """A dead letter carries the record's own id where it can be read and is valid."""
    assert recover_id(value) == id
