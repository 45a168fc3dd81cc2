"""What became of records that were sent, counted by their ids."""

from aiokafka.structs import RecordMetadata, TopicPartition

from streamapp.cli.outcomes import SKEW_S, Outcomes

PLACE = RecordMetadata("llm.requests", 3, TopicPartition("llm.requests", 3), 12, 0, 0, 0)
BEFORE, NOW = "1970-01-01T00:01:00Z", "1970-01-01T00:10:00.5Z"
BEGAN_AT = 600.0


def sent(*records: str) -> Outcomes:
    """Return outcomes that wait for these records."""
    outcomes = Outcomes(BEGAN_AT)
    for record in records:
        outcomes.sent(record.encode(), PLACE)
    return outcomes


def test_answer_that_was_there_before_is_told() -> None:
    """Who sends a file again learns that its records were not answered anew."""
    outcomes = sent('{"id": "a"}', '{"id": "b"}')

    assert outcomes.answered("a", BEFORE)
    assert outcomes.answered("b", NOW)

    assert (outcomes.kinds, outcomes.repeated) == ({"ok": 2}, 1)
    assert outcomes.told().splitlines() == [
        "2 outcomes: 2 ok",
        "1 repeated answer, at no cost: an equal record with the same id was answered before",
    ]


def test_record_that_stands_twice_in_the_file_has_one_answer_twice() -> None:
    """The second one is the first one again, and not a new one of that moment."""
    outcomes = sent('{"id": "a"}', '{"id": "a"}', '{"id": "b"}')

    for id in ("a", "a", "b"):
        outcomes.answered(id, NOW)

    assert (outcomes.kinds["ok"], outcomes.repeated, outcomes.left) == (3, 1, 0)


def test_clocks_that_differ_a_little_repeat_nothing() -> None:
    """A worker's clock may be behind that of who sends."""
    outcomes = Outcomes(600.0 + SKEW_S - 1)
    outcomes.sent(b"{}", PLACE)

    assert outcomes.answered("llm.requests-3-12", "1970-01-01T00:10:00Z")
    assert outcomes.told() == "1 outcome: 1 ok"


def test_answers_of_others_are_not_counted() -> None:
    """Nor is a second one of a record that has its outcome."""
    outcomes = sent('{"id": "a"}', '{"id": "c"}')

    assert not outcomes.answered("b", BEFORE)
    assert outcomes.ended("a", "rejected")
    assert not outcomes.answered("a", NOW)
    assert outcomes.told() == "1 outcome: 1 rejected; 1 record without an outcome yet"
