"""What became of records that were sent, counted by their ids."""

import asyncio
import time

import pytest
from aiokafka import ConsumerRecord
from aiokafka.structs import RecordMetadata, TopicPartition

from streamapp.cli.outcomes import Outcomes, next_of, noted

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


@pytest.mark.parametrize(("seconds", "repeated"), [("10:00.2", 0), ("09:59.9", 1)])
def test_clocks_that_differ_are_told_from_answers_that_were_there(
    seconds: str, repeated: int
) -> None:
    """A worker's clock may be behind that of who sends, by an hour too."""
    outcomes = Outcomes(4_200.0)  # 00:10:00 by the worker's
    outcomes.sent(b"{}", PLACE)

    id = "llm.requests-3-12"
    assert outcomes.answered(id, f"1970-01-01T00:{seconds}Z", ahead_s=3_600.0)
    assert outcomes.repeated == repeated


def test_what_is_left_is_counted_at_no_cost() -> None:
    """It is asked for with each outcome: of 100,000 records a wait of minutes came of it."""
    outcomes, count = Outcomes(0.0), 100_000
    for number in range(count):
        outcomes.sent(b'{"id":"r-%d"}' % number, PLACE)
    before = time.process_time()

    left = [outcomes.left for number in range(count) if outcomes.ended(f"r-{number}", "ok")]

    assert left == list(range(count - 1, -1, -1))
    assert not outcomes.ended("r-1", "ok")
    assert time.process_time() - before < 10


def test_answers_of_others_are_not_counted() -> None:
    """Nor is a second one of a record that has its outcome."""
    outcomes = sent('{"id": "a"}', '{"id": "c"}')

    assert not outcomes.answered("b", BEFORE)
    assert outcomes.ended("a", "rejected")
    assert not outcomes.answered("a", NOW)
    assert outcomes.told() == "1 outcome: 1 rejected; 1 record without an outcome yet"


@pytest.mark.parametrize(
    "value", [None, b"", b"\xff", b"no JSON", b"[]", b"7", b'"a"', b"{}", b'{"id": "z"}']
)
def test_what_is_no_answer_is_passed_over(value: bytes | None) -> None:
    """Another program may write to the topic, or delete from it; the rest is still counted."""
    outcomes = sent('{"id": "a"}')

    assert not noted(outcomes, message(value), is_dead=False)
    assert noted(outcomes, message(b'{"id": "a", "created_at": null}'), is_dead=False)
    assert (outcomes.kinds, outcomes.repeated) == ({"ok": 1}, 0)


class LateStream:
    """A topic on which nothing comes until it was asked for a while."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    async def getone(self) -> ConsumerRecord:
        await self.came.wait()
        return message(b"{}")


async def test_silence_is_told_with_all_that_it_may_come_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Who sends cannot see which it is: a worker names it, and not every wait is a provider's."""
    stream = LateStream()
    coming = asyncio.create_task(next_of(stream, is_first=True, silence_s=0.01))
    told = ""
    while not told:
        await asyncio.sleep(0)
        told = capsys.readouterr().err
    stream.came.set()

    assert (await coming).value == b"{}"
    assert "'streamapp worker'" in told
    assert "/readyz names under 'degraded'" in told
    assert {one for one in ("a provider", "a budget", "an MCP server") if one not in told} == set()


def message(value: bytes | None) -> ConsumerRecord:
    """Return what stands on the topic of answers."""
    return ConsumerRecord("llm.responses", 0, 0, 0, 0, None, value, 0, 0, 0, ())
