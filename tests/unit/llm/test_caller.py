"""The key that has written a record, as a header tells it."""

from streamapp.llm.caller import HEADER, written_by


def test_only_names_that_are_known_count() -> None:
    """Of several headers the first one with such a name."""
    headers = [("a", b"team"), (HEADER, b"nobody"), (HEADER, b"team")]

    assert written_by(headers, {"team"}) == "team"
    assert written_by(headers, {"other"}) == ""
    assert written_by(None, {"team"}) == ""


def test_header_without_a_value_names_nobody() -> None:
    """Kafka takes null there."""
    assert written_by([(HEADER, None), (HEADER, b"\xff")], {"team"}) == ""
