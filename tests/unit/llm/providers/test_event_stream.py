"""Events as vendors write them, in any pieces."""

import pytest

from streamapp.llm.providers.event_stream import EventReader, events_of, is_event_stream


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b'data: {"a":1}\n\ndata: [DONE]\n\n', [b'{"a":1}', b"[DONE]"]),
        (b'data:{"a":1}\r\n\r\n', [b'{"a":1}']),
        (b'data: {"a":1}\ndata: {"a":2}\n', [b'{"a":1}', b'{"a":2}']),
        (b'data: {"a":1}', [b'{"a":1}']),
        (b': ping\nevent: x\nid: 1\nretry: 5\ndata: {"a":1}\n\n', [b'{"a":1}']),
        (b'\xef\xbb\xbfdata: {"a":1}\n\n', [b'{"a":1}']),
        (b'data: {"a":\ndata: 1}\n\n', [b'{"a":\n1}']),
        (b'error: {"a":1}\n\n', [b'{"a":1}']),
        (b'data: {"a":1}\n\n{"error":"x"}\n', [b'{"a":1}', b'{"error":"x"}']),
        (b"data:\n\n", []),
        (b"<html>\n", []),
    ],
)
def test_events_are_found_in_any_pieces(body: bytes, events: list[bytes]) -> None:
    """The same events come out, also where the body comes byte by byte."""
    reader = EventReader()
    pieces = [body[at : at + 1] for at in range(len(body))]
    bytewise = [event for piece in pieces for event in reader.feed(piece)]

    assert events_of(body) == events
    if not body.startswith(b"\xef"):
        assert [*bytewise, *reader.end()] == events


@pytest.mark.parametrize(
    ("body", "is_stream"),
    [(b"\n: x\ndata: {}", True), (b"event: m\n", True), (b'{"data": 1}', False), (b"", False)],
)
def test_stream_is_known_by_its_beginning(body: bytes, is_stream: bool) -> None:
    """A body of events is told from JSON."""
    assert is_event_stream(body) is is_stream
