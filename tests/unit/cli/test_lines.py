"""Records in a JSON lines file."""

import io

import pytest

from streamapp.cli.lines import Line, id_key, key_of, mend_of, problem, read_lines
from streamapp.errors import InvalidRecord
from streamapp.processors.registry import Registry


def test_lines_keep_their_bytes_and_numbers() -> None:
    """Empty lines are skipped but counted; what is sent is the line's own bytes."""
    file = io.BytesIO(b'{"a": 1}\r\n\n  \n\t{"b":\xff}\n{"c"')

    assert list(read_lines(file)) == [
        Line(1, b'{"a": 1}'),
        Line(4, b'{"b":\xff}'),
        Line(5, b'{"c"'),
    ]


@pytest.mark.parametrize(
    ("field", "key"),
    [
        (None, None),
        ("id", b"r-1"),
        ("metadata.customer", "Zoë".encode()),
        ("metadata.number", b"7"),
    ],
)
def test_key_is_the_text_of_a_field(field: str | None, key: bytes | None) -> None:
    """A dotted path finds text and numbers; without one there is no key."""
    line = Line(1, '{"id":"r-1","metadata":{"customer":"Zoë","number":7}}'.encode())

    assert key_of(line, field) == key


@pytest.mark.parametrize(
    "value", [b'{"a":{}}', b'{"a":null}', b'{"a":true}', b"{}", b"[1]", b"nope", b'"text"']
)
def test_key_needs_text_or_a_number(value: bytes) -> None:
    """Anything else has no order, which who asks for one must know."""
    with pytest.raises(InvalidRecord, match=r"'a\.b'|'a'"):
        key_of(Line(1, value), "a")


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b'{"id":"r-1"}', b"r-1"),
        (b'{"id":null}', None),
        (b'{"id":""}', None),
        (b'{"id":7}', None),
        (b"{}", None),
        (b"[1]", None),
        (b"nope", None),
    ],
)
def test_key_of_a_request_is_its_id(value: bytes, key: bytes | None) -> None:
    """A text that names the record; what is no id is no key either."""
    assert id_key(Line(1, value)) == key


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b'{"type":"embed","input":"x","id":"1"}', None),
        (b"nope", "line 3: undecodable: "),
        (b'{"type":"other"}', "line 3: unknown_type: "),
        (b'{"type":"embed","input":"x"}', "line 3: invalid: no text or number at 'id'"),
    ],
    ids=["good", "no JSON", "type", "key"],
)
def test_problem_names_line_and_kind(value: bytes, says: str | None) -> None:
    """What would become a dead letter is found before it is sent."""
    found = problem(Line(3, value), "id", Registry.load().decode)

    assert (found is None) if says is None else (found or "").startswith(says)


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        (b'{\n  "type": "embed"\n}\n', "write each record on one line"),
        (b'\xef\xbb\xbf[\r\n{"type": "embed"},\r\n', "write each record on one line"),
        (b'{"type": "embed"}\n{"type"\n', "correct them"),
        (b"{", "correct them"),
        (b"", "correct them"),
    ],
)
def test_json_over_several_lines_is_told_as_such(text: bytes, mend: str) -> None:
    """Each of its lines is wrong by itself, and says nothing of that."""
    assert mend_of(io.BytesIO(text)).startswith(mend)
