"""Dead letters as commands print them, and what was changed of one."""

from dataclasses import replace

import pytest

from streamapp.cli.dead_letter_edit import difference
from streamapp.cli.dead_letter_text import detail_lines, text_lines
from streamapp.streaming.dead_letters.stored import StoredDeadLetter
from tests.support.dead_letters import headers_of, record, request


def test_correction_of_one_line_is_shown_by_lines() -> None:
    """A file holds records of one line each: the field that differs is to be seen in it."""
    before = '{\n  "id": "r-1",\n  "stream": 1\n}'
    after = '{"id": "r-1", "stream": true}'

    lines = [
        line for line in difference(before, after) if not line.startswith(("---", "+++", "@@"))
    ]

    assert lines == [" {", '   "id": "r-1",', '-  "stream": 1', '+  "stream": true', " }"]


def test_text_and_numbers_that_indenting_would_change_stay() -> None:
    """What is no JSON, or has more digits than Python writes, is compared as it stands."""
    digits = '{"n": 1.00000000000000000001}'

    assert list(difference(digits, "{not JSON"))[-2:] == [f"-{digits}", "+{not JSON"]


def test_times_are_written_in_one_way() -> None:
    """The list and the whole say when it was written, in UTC, as the log does."""
    found = StoredDeadLetter.of(record(request("r-1"), headers_of("r-1")))
    assert found is not None

    whole = detail_lines(found, found.detail() | {"replayed": False}).splitlines()

    time = text_lines(found, is_replayed=False)[:20]
    assert time.endswith("Z")
    assert f"{'written':<15}{time}" in whole
    [first] = [line for line in whole if line.startswith("first failure")]
    assert first.endswith("Z")


def test_name_of_a_header_is_told_from_its_text() -> None:
    """However long it is."""
    found = StoredDeadLetter.of(record(request("r-1"), headers_of("r-1")))
    assert found is not None
    detail = found.detail() | {"replayed": False, "headers": {"a": "x", "correlation-id": "y"}}

    whole = detail_lines(found, detail).splitlines()

    assert {"header a       x", "header correlation-id y"} <= set(whole)


@pytest.mark.parametrize(
    ("key", "shown"), [(None, "(no key)"), (b"None", "None")], ids=["without", "text"]
)
def test_what_there_is_not_is_told_from_a_text(key: bytes | None, shown: str) -> None:
    """In plain words, and not in Python's."""
    stored = record(request("r-1"), headers_of("r-1"))
    found = StoredDeadLetter.of(replace(stored, key=key))
    assert found is not None

    whole = detail_lines(found, found.detail() | {"replayed": False}).splitlines()

    assert f"{'key':<15}{shown}" in whole
    assert f"{'sent again':<15}no" in whole
    assert [line for line in whole if line.endswith(("None", "False"))] == (
        [f"{'key':<15}None"] if key else []
    )
