"""The steps of one record in the ledger."""

from dataclasses import replace

import pytest
from pydantic_core import from_json, to_json

from streamapp.llm.durable.steps import Steps
from streamapp.llm.durable.stored_step import StoredStep
from streamapp.streaming.delivery.ledger_entry import LedgerEntry
from streamapp.streaming.delivery.step_store import LedgerSteps
from streamapp.streaming.window.storing import Storing
from tests.unit.streaming.delivery.test_ledger import Fixture

#: A call, one of a task, one within a step of a task, and one that is three levels deep.
NUMBERS = ["1", "2:3", "4:1.1", "5.2.1"]


def steps_of(
    fixture: Fixture, id: str = "r", digest: str = "d", offset: int = 7, partition: int = 0
) -> LedgerSteps:
    """Return the steps of a record as a worker that has just taken it sees them."""
    return LedgerSteps(
        fixture.ledger,
        fixture.lease,
        id=id,
        digest=digest,
        partition=partition,
        offset=offset,
        storing=Storing(),
    )


def step(result: str, beyond: frozenset[str] | None = None) -> StoredStep:
    return StoredStep("f", "desk:2", f'"{result}"'.encode(), beyond=beyond)


async def filled() -> Fixture:
    """Return a ledger with steps of a record, of another one, and of an older one of its id."""
    fixture = Fixture(max_bytes=100_000)
    await steps_of(fixture, digest="older", offset=3).put("3", step("older"))
    await steps_of(fixture, id="other").put("1", step("other"))
    for number in NUMBERS:
        await steps_of(fixture).put(number, step(number, frozenset({"tenants"})))
    return fixture


async def test_all_steps_of_a_record_are_found_and_no_others() -> None:
    """Whatever their numbers are, as they were stored, also after a recovery."""
    fixture = await filled()
    expected = [step(number, frozenset({"tenants"})) for number in NUMBERS]
    assert list(steps_of(fixture).values()) == expected

    fixture.ledger.rebuild({0})

    assert list(steps_of(fixture).values()) == expected
    assert steps_of(fixture).get("9") is None
    assert list(steps_of(fixture, id="none").values()) == []


@pytest.mark.parametrize("is_dead", [False, True], ids=["answered", "dead"])
async def test_all_steps_of_a_finished_record_leave(is_dead: bool) -> None:
    """Those within a finished one too, which a redelivery does not ask for; others' stay."""
    fixture = await filled()
    redelivered = steps_of(fixture)
    redelivered.get("1")

    redelivered.forget(is_dead=is_dead)

    assert list(steps_of(fixture).values()) == []
    assert [one.result for one in steps_of(fixture, digest="older", offset=3).values()] == [
        b'"older"'
    ]
    assert [one.result for one in steps_of(fixture, id="other").values()] == [b'"other"']
    assert len(fixture.ledger) == 2


@pytest.mark.parametrize("is_dead", [False, True], ids=["answered", "dead"])
@pytest.mark.parametrize("partition", [0, 1], ids=["own partition", "other"])
async def test_steps_of_an_unfinished_record_outlive_a_duplicate_that_does_not_answer_it(
    is_dead: bool, partition: int
) -> None:
    """It was given them, and made one more; an answer of its partition is for both of them.

    That of another one leaves with its partition, and what it ended would be paid again.
    """
    fixture = await filled()
    duplicate = steps_of(fixture, partition=partition, offset=2)
    assert len([*duplicate.values()]) == len(NUMBERS)
    await duplicate.put("6", step("6"))

    duplicate.forget(is_dead=is_dead)

    left = [step(number, frozenset({"tenants"})) for number in NUMBERS]
    assert [*steps_of(fixture).values()] == (left if is_dead or partition else [])


@pytest.mark.parametrize("is_living_first", [True, False], ids=["living first", "dead first"])
@pytest.mark.parametrize("is_own_partition", [True, False], ids=["own partition", "other"])
async def test_steps_that_are_read_again_outlive_those_of_a_dead_duplicate(
    is_living_first: bool, is_own_partition: bool
) -> None:
    """Both were written, and are read from logs that have no order among each other."""
    written, again = Fixture(max_bytes=100_000), Fixture(max_bytes=100_000)
    place = (0, 3) if is_own_partition else (1, 3)
    dead = steps_of(written, partition=place[0], offset=place[1])
    await dead.put("1", step("dead"))
    dead.forget(is_dead=True)
    outcome = LedgerEntry("d", *place, written.ledger.expires_at(), dead_letter={"kind": "v"})
    await written.ledger.write("r", outcome, written.lease)
    await steps_of(written).put("1", step("living"))
    first, *rest = written.changelog.records
    logged = [*rest, first] if is_living_first else [first, *rest]

    for key, value, _ in logged:
        again.ledger.absorb(key, value)
    assert steps_of(again).get("1") == step("living")
    again.ledger.forget_finished_steps()

    assert [*steps_of(again).values()] == [step("living")]
    assert len(again.ledger) == 2


async def test_own_step_comes_before_that_of_a_duplicate() -> None:
    """Each stored one, on a worker of its own; a third one is given either of them."""
    fixture = Fixture(max_bytes=100_000)
    for partition in (0, 1):
        await steps_of(fixture, partition=partition).put("1", step(f"of {partition}"))

    given = [steps_of(fixture, partition=partition).get("1") for partition in range(3)]

    assert given == [step("of 0"), step("of 1"), step("of 1")]
    steps_of(fixture, partition=1).forget(is_dead=True)
    assert steps_of(fixture, partition=2).get("1") == step("of 0")


async def test_record_goes_on_with_its_own_prompt() -> None:
    """An equal record's may be another version, whichever step of them was stored first."""
    fixture = Fixture(max_bytes=100_000)
    theirs = replace(step("theirs", frozenset({"theirs"})), prompt="desk:3")
    await steps_of(fixture, partition=1).put("2:1", theirs)
    await steps_of(fixture).put("3", step("own", frozenset({"own"})))

    own, other, third = (Steps(steps_of(fixture, partition=partition)) for partition in range(3))

    assert (own.prompt, own.place.beyond) == ("desk:2", frozenset({"own"}))
    assert (other.prompt, other.place.beyond) == ("desk:3", frozenset({"theirs"}))
    assert third.prompt == "desk:3"


async def test_what_an_equal_record_gave_outlives_it() -> None:
    """What came of it was stored as the record's own: it would be asked for in vain."""
    fixture = Fixture(max_bytes=100_000)
    made: list[str] = []

    async def deliver(partition: int, *names: str) -> None:
        steps = Steps(steps_of(fixture, partition=partition))
        for name in names:

            async def make(name: str = name) -> str:
                made.append(name)
                return name

            await steps.run("step", name.encode().hex, make, encode=to_json, decode=from_json)

    await deliver(1, "one")
    await deliver(0, "one", "two")
    written = len(fixture.changelog.records)
    steps_of(fixture, partition=1).forget(is_dead=True)
    await deliver(0, "one", "two")

    assert made == ["one", "two"]
    assert len(fixture.changelog.records) == written == 3


async def test_records_of_one_id_and_other_content_keep_their_steps_side_by_side() -> None:
    """From whatever partition the later one comes, and whatever becomes of it."""
    fixture = await filled()
    other = steps_of(fixture, digest="other", partition=1)

    for number in NUMBERS:
        await other.put(number, step("other"))

    expected = [step(number, frozenset({"tenants"})) for number in NUMBERS]
    assert [*steps_of(fixture).values()] == expected
    assert [*other.values()] == [step("other")] * len(NUMBERS)
    other.forget(is_dead=True)
    assert [*steps_of(fixture).values()] == expected


@pytest.mark.parametrize("is_dead", [False, True], ids=["answered", "dead"])
async def test_finished_record_takes_no_step_that_stands_in_the_place_of_its_own(
    is_dead: bool,
) -> None:
    """Another content's of its id, which was stored after it."""
    fixture = await filled()
    finished = steps_of(fixture)
    finished.get("1")
    await steps_of(fixture, digest="other", partition=1).put("1", step("other"))

    finished.forget(is_dead=is_dead)

    kept = steps_of(fixture, digest="other", partition=1).get("1")
    assert kept == step("other")


async def test_a_step_of_an_older_version_has_no_place() -> None:
    """It is read as it is."""
    assert StoredStep.decode(b'{"fingerprint":"f","prompt":"","result":1}').beyond is None
