"""What `streamapp tail` prints of a message."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from streamapp.cli.message_lines import JSON, TEXT
from streamapp.errors import InvalidRecord
from streamapp.flows.formats.frame import framed
from streamapp.records.dead_letter import DeadLetter
from streamapp.records.usage import UsageRecord
from tests.support.dead_letters import FOREIGN, Pairs


def message(
    value: bytes | None, *, key: bytes | None = None, headers: object = ()
) -> ConsumerRecord:
    return ConsumerRecord("t", 3, 41, 1_000, 0, key, value, None, 0, 0, headers)


def dead_letter(value: bytes | None) -> ConsumerRecord:
    found = DeadLetter.of(
        InvalidRecord("field 'text' is missing"),
        stage="decode",
        topic="llm.requests",
        partition=2,
        offset=7,
        request_id="r-1",
        now=datetime(2030, 1, 1, tzinfo=UTC),
    )
    headers = [(name, text.encode()) for name, text in found.headers().items()]
    return message(value, key=b"\xff", headers=headers)


RESPONSE = {
    "id": "r-1",
    "type": "chat",
    "provider": "p",
    "model": "m",
    "duration_s": 0.5,
    "usage": {"input_tokens": 1, "output_tokens": 2},
    "output": "hello",
}


def test_response_is_one_readable_line() -> None:
    """Time, id, type, who answered, how long, tokens and the answer."""
    line = TEXT["responses"](message(json.dumps(RESPONSE).encode()))

    assert line == '1970-01-01 00:00:01Z  r-1  chat  p/m  0.50 s  1+2 tokens  "hello"'


@pytest.mark.parametrize(
    ("headers", "line", "rest"),
    [
        ([("stream-index", b"3"), ("stream-last-message", b"false")], "#3", (3, False, None)),
        ([("stream-index", b"4"), ("stream-last-message", b"true")], "#4  last", (4, True, None)),
        (
            [
                ("stream-index", b"5"),
                ("stream-last-message", b"true"),
                ("streamapp.error.kind", b"rejected"),
            ],
            "#5  failed: rejected",
            (5, True, "rejected"),
        ),
    ],
    ids=["chunk", "last", "failed"],
)
def test_chunk_is_shown_with_its_stream_and_place(
    headers: Pairs, line: str, rest: tuple[int, bool, str | None]
) -> None:
    """What its headers say stands before the text: whose it is, the how many-th, the last one."""
    one = message(b"half", key=b"k", headers=[("stream-id", b"r-1"), *headers])

    assert TEXT["chunks"](one) == f'1970-01-01 00:00:01Z  r-1  {line}  "half"'
    found = json.loads(JSON["chunks"](one))
    assert (found["id"], found["key"], found["text"]) == ("r-1", "k", "half")
    assert (found["index"], found["last"], found["kind"]) == rest


def test_terminal_obeys_no_character_of_an_answer() -> None:
    """Escape sequences and line breaks in a record are shown, not obeyed."""
    value = {**RESPONSE, "id": "a\x1b[2Jb\nc\x9bd", "output": "x\x1b]0;title\x07\ny"}

    line = TEXT["responses"](message(json.dumps(value).encode()))

    assert line.isprintable()


def test_long_answer_is_whole() -> None:
    """It can be copied from there, and is JSON."""
    output = {"text": "x" * 9999}

    line = TEXT["responses"](message(json.dumps({**RESPONSE, "output": output}).encode()))

    assert json.loads(line.split("  ")[-1]) == output


def test_foreign_messages_do_not_end_the_command() -> None:
    """A tombstone and bytes of somebody else are shown as far as they can be."""
    for value in (None, b"\xff", b"[1]"):
        for show in (*TEXT.values(), *JSON.values()):
            assert show(message(value))


@pytest.mark.parametrize(("value", "headers"), FOREIGN.values(), ids=FOREIGN)
def test_dead_letters_of_others_do_not_end_the_command(value: bytes | None, headers: Pairs) -> None:
    """Headers that are missing, empty or no numbers are shown as far as they can be."""
    for show in (TEXT["dead-letters"], JSON["dead-letters"]):
        assert show(message(value, headers=headers))


def test_response_for_machines_is_the_record_itself() -> None:
    """What is on the topic comes out unchanged."""
    value = json.dumps(RESPONSE).encode()

    assert JSON["responses"](message(value)).encode() == value


def test_dead_letter_says_what_and_where() -> None:
    """Kind, place and reason on one line."""
    line = TEXT["dead-letters"](dead_letter(b"nope"))

    assert line == (
        "1970-01-01 00:00:01Z  r-1  invalid  decode  llm.requests-2@7  field 'text' is missing"
    )


def test_dead_letter_for_machines_has_headers_and_original() -> None:
    """One object: the headers by short names, key and record as text."""
    found = json.loads(JSON["dead-letters"](dead_letter(b"nope\xff")))

    assert found == {
        "id": "r-1",
        "kind": "invalid",
        "stage": "decode",
        "attempts": 0,
        "first_failure": "2030-01-01T00:00:00+00:00",
        "exception": "InvalidRecord",
        "message": "field 'text' is missing",
        "topic": "llm.requests",
        "partition": 2,
        "offset": 7,
        "key": "\ufffd",
        "record": "nope\ufffd",
    }


def test_usage_is_one_readable_line() -> None:
    """Who answered, how many calls, tokens, price, and whose; no JSON, as of responses."""
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    common: dict[str, Any] = {"at": moment, "provider": "p", "model": "m", "calls": 1}
    known = UsageRecord(**common, input_tokens=3, output_tokens=4, cost_usd=Decimal("0.01"))
    guessed = UsageRecord(
        **common | {"calls": 2},
        input_tokens=3,
        output_tokens=0,
        cost_usd=None,
        estimated=True,
        tenant="acme",
    )

    lines = [TEXT["usage"](message(one.encode(), key=one.key())) for one in (known, guessed)]

    assert [line.partition("  ")[2] for line in lines] == [
        "p/m  1 call  3+4 tokens  $0.01",
        "p/m  2 calls  3+0 tokens, estimated  price unknown  tenant acme",
    ]
    assert {line.partition("  ")[0] for line in lines} == {"2030-01-01 00:00:00Z"}


@pytest.mark.parametrize("at", ["", ', "at": 7', ', "at": "soon"'])
def test_usage_without_a_time_is_shown_with_that_of_its_writing(at: str) -> None:
    """Anybody may write on the topic."""
    line = TEXT["usage"](message(f'{{"calls": 1{at}}}'.encode()))

    assert line.startswith("1970-01-01 00:00:01Z  ")


def test_value_without_a_key_is_shown_alone() -> None:
    """Where a topic's records have none, no word stands for it."""
    assert TEXT["values"](message(b"text")).split("  ")[1:] == ["text"]
    assert TEXT["values"](message(b"text", key=b"k")).split("  ")[1:] == ["k", "text"]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (
            b'{"id": 1.10, "\xc3\xa9": 12345678901234567890}',
            '{"id": 1.10, "é": 12345678901234567890}',
        ),
        (framed(7, b'{"t":"x"}'), '{"t":"x"}'),
        (b'\xef\xbb\xbf{"t":"x"}', '{"t":"x"}'),
        (b'{\r\n  "a": "\\n"\n}', '{    "a": "\\n" }'),
        (b"plain text", '"plain text"'),
        (b'{"half": ', '"{\\"half\\": "'),
        (b"NaN", '"NaN"'),
        (framed(7, b"\x02\xff"), '"\\u0000\\u0000\\u0000\\u0000\\u0007\\u0002\ufffd"'),
        (b"[" * 100_000, json.dumps("[" * 100_000)),
        (b"", '""'),
        (None, "null"),
    ],
    ids=[
        "JSON",
        "framed",
        "mark",
        "lines",
        "text",
        "half",
        "NaN",
        "Avro",
        "deep",
        "empty",
        "tombstone",
    ],
)
@pytest.mark.parametrize("what", ["values", "responses", "usage"])
def test_each_message_is_one_line_of_json(what: str, value: bytes | None, line: str) -> None:
    """Whoever wrote it: JSON keeps each digit, and what is none is a string that a parser takes."""
    shown = JSON[what](message(value))

    assert shown == line
    json.loads(shown)


def test_framed_json_is_shown_without_its_frame() -> None:
    """Five bytes of a schema registry are nothing to read."""
    line = TEXT["values"](message(framed(7, b'{"t":"x"}'), key=b"k"))

    assert line.split("  ")[1:] == ["k", '{"t":"x"}']
