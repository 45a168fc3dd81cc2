"""Records of one id that come again: each gets what it got before, and no call is made."""

from collections.abc import Callable, Iterable

import pytest
from faust.types import TP

from streamapp.errors import ProviderRejected
from streamapp.streaming.delivery.ledger_entry import LedgerEntry
from tests.unit.streaming.test_record_handler import Fixture, record

DEAD = ProviderRejected("no", provider="p", status=400)
SAME, CORRECTED = record(id="r-1"), record(id="r-1", cache=False)

Entries = list[tuple[bytes, bytes]]
Restart = Callable[[Entries], Iterable[tuple[bytes, bytes]]]


def entries_of(fixture: Fixture) -> Entries:
    """Return what stands in the changelog."""
    return [(each["key"], each["value"]) for topic, each in fixture.log if topic == "changelog"]


def outcomes(fixture: Fixture) -> list[tuple[str, bytes | None, dict[str, bytes]]]:
    """Return where each outcome went, its value and why it is dead."""
    return [
        (topic, each["value"], {n: v for n, v in each["headers"] or () if "failed-at" not in n})
        for topic, each in fixture.log
        if topic != "changelog"
    ]


def as_written(entries: Entries) -> Entries:
    return entries


def compacted(entries: Entries) -> Iterable[tuple[bytes, bytes]]:
    """What a topic keeps that an earlier version made."""
    return dict(entries).items()


RESTARTS = pytest.mark.parametrize("restart", [None, as_written, compacted])


def restarted(fixture: Fixture, restart: Restart | None) -> Fixture:
    """Return a worker that has read the changelog; the same one without a restart."""
    if restart is None:
        fixture.log.clear()
        return fixture
    other = Fixture()
    for key, value in restart(entries_of(fixture)):
        other.answering._ledger.absorb(key, value)
    return other


@RESTARTS
@pytest.mark.parametrize(
    ("records", "answers"),
    [
        ([SAME, SAME], [DEAD]),
        ([SAME, CORRECTED], [DEAD]),
        ([SAME, SAME], [DEAD, DEAD]),
        ([SAME, SAME, CORRECTED], [DEAD, DEAD]),
        ([SAME, CORRECTED, CORRECTED], [DEAD, DEAD]),
    ],
    ids=["answered", "corrected", "both dead", "two dead, corrected", "corrected twice"],
)
async def test_dead_letter_is_its_own_records_alone(
    restart: Restart | None, records: list[bytes], answers: list[Exception]
) -> None:
    """A later record of the id has its outcome, and the dead one that comes again keeps its own."""
    first = Fixture()
    first.router.answers = list(answers)
    for offset, value in enumerate(records):
        await first.run(value, offset=offset)
    expected, calls = outcomes(first), len(first.router.calls)

    second = restarted(first, restart)
    second.router.calls.clear()
    for _ in range(2):
        for offset, value in enumerate(records):
            await second.run(value, offset=offset)

    assert calls == len(records)
    assert outcomes(second) == expected * 2
    assert second.router.calls == []


@pytest.mark.parametrize("restart", [None, as_written, reversed])
async def test_records_of_one_id_in_two_partitions_keep_their_outcomes(
    restart: Restart | None,
) -> None:
    """Their entries stand in two logs, which are read in any order."""
    first = Fixture()
    first.router.answers = [DEAD]
    places = [TP("llm.requests", partition) for partition in (0, 1)]
    for tp in places:
        await first.run(CORRECTED if tp.partition else SAME, offset=3, tp=tp)
    expected = outcomes(first)

    second = restarted(first, restart)
    second.router.calls.clear()
    for tp in places:
        await second.run(CORRECTED if tp.partition else SAME, offset=3, tp=tp)

    assert outcomes(second) == expected
    assert second.router.calls == []


async def test_other_content_at_a_dead_letters_place_is_run() -> None:
    """The topic was made anew: it holds a corrected record of the id where the dead one stood."""
    fixture = Fixture()
    fixture.router.answers = [DEAD]
    await fixture.run(SAME, offset=7)

    await fixture.run(CORRECTED, offset=7)
    await fixture.run(CORRECTED, offset=7)

    assert fixture.outcomes.seen[1:] == ["answered", "replayed"]
    assert len(fixture.router.calls) == 2


async def test_one_outcome_an_id_is_one_entry() -> None:
    """Only where two records of an id have outcomes does the dead one's stand beside it."""
    fixture = Fixture()
    fixture.router.answers = [DEAD]
    for offset in range(3):
        await fixture.run(SAME, offset=offset)

    keys = [key for key, _ in entries_of(fixture)]
    assert keys == [b"r-1", LedgerEntry.place_key(b"r-1", 2, 0), b"r-1"]
    ledger = fixture.answering._ledger
    assert len(ledger) == 2
    known = ledger.lookup("r-1")
    assert known is not None
    assert known.answer is not None, "what a look-up of the id tells"
