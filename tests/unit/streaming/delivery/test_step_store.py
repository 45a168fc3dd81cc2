"""The steps of one record in the ledger."""

from streamapp.llm.durable.stored_step import StoredStep
from streamapp.streaming.delivery.step_store import LedgerSteps
from streamapp.streaming.window.storing import Storing
from tests.unit.streaming.delivery.test_ledger import Fixture

#: A call, one of a task, one within a step of a task, and one that is three levels deep.
NUMBERS = ["1", "2:3", "4:1.1", "5.2.1"]


def steps_of(fixture: Fixture, id: str = "r", digest: str = "d", offset: int = 7) -> LedgerSteps:
    """Return the steps of a record as a worker that has just taken it sees them."""
    return LedgerSteps(
        fixture.ledger,
        fixture.lease,
        id=id,
        digest=digest,
        partition=0,
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


async def test_all_steps_of_a_finished_record_leave() -> None:
    """Those within a finished one too, which a redelivery does not ask for; others' stay."""
    fixture = await filled()
    redelivered = steps_of(fixture)
    redelivered.get("1")

    redelivered.forget()

    assert list(steps_of(fixture).values()) == []
    assert [one.result for one in steps_of(fixture, digest="older", offset=3).values()] == [
        b'"older"'
    ]
    assert [one.result for one in steps_of(fixture, id="other").values()] == [b'"other"']
    assert len(fixture.ledger) == 2


async def test_a_step_of_an_older_version_has_no_place() -> None:
    """It is read as it is."""
    assert StoredStep.decode(b'{"fingerprint":"f","prompt":"","result":1}').beyond is None
