"""The progress of records, as views show it."""

from contextlib import ExitStack

import pytest
from pydantic_core import from_json, to_json

from streamapp.llm.deadline import Deadline
from streamapp.llm.durable.fingerprint import fingerprint_of
from streamapp.llm.durable.progress import SHOWN, RecordsInProgress
from streamapp.llm.durable.steps import Steps
from tests.fakes import FakeClock
from tests.unit.llm.durable.test_steps import MemoryStore


@pytest.fixture
def clock() -> FakeClock:
    """A clock that a test moves."""
    return FakeClock()


async def step(steps: Steps, name: str, clock: FakeClock, *, fails: bool = False) -> None:
    """Make a step that takes two seconds."""

    async def make() -> str:
        clock.now += 2
        if fails:
            raise ValueError("secret")
        return "secret"

    await steps.run(
        "step", lambda: fingerprint_of(name), make, encode=to_json, decode=from_json, name=name
    )


async def test_steps_of_a_running_record_are_shown(clock: FakeClock) -> None:
    """By number, kind, name and end, with their time; never what was asked or given."""
    records, store = RecordsInProgress(clock), MemoryStore()
    with records.running("r", "chain") as progress:
        await step(Steps(store, progress=progress), "a", clock)
    with records.running("r", "chain") as progress:
        steps = Steps(store, progress=progress)
        await step(steps, "a", clock)
        with pytest.raises(ValueError, match="secret"):
            await step(steps, "b", clock, fails=True)
        progress.begin("3", "model", "default")
        clock.now += 1

        shown = records.steps_of("r")

    assert [tuple(one.values()) for one in shown] == [
        ("1", "step", "a", "replayed", 0),
        ("2", "step", "b", "failed", 2),
        ("3", "model", "default", "running", 1),
    ]
    assert list(shown[0]) == ["number", "kind", "name", "outcome", "duration_s"]


def test_a_call_that_is_not_made_yet_waits(clock: FakeClock) -> None:
    """For a budget, a limit or a provider; of several side by side only where all of them do."""
    records, deadline = RecordsInProgress(clock), Deadline(90, clock)

    def outcomes() -> list[str]:
        return [one["outcome"] for one in records.steps_of("r")]

    with records.running("r", "chain") as progress:
        progress.deadline = deadline
        progress.begin("1", "step", "charge")
        progress.begin("2", "model", "default")
        running = outcomes()
        with deadline.suspended():
            waiting = outcomes()
            progress.begin("3", "model", "default")
            one_of_two = outcomes()

    assert running == ["running", "running"]
    assert waiting == ["running", "waiting"]
    assert one_of_two == ["running", "running", "running"]


def test_a_record_that_ended_is_forgotten(clock: FakeClock) -> None:
    """However it ended; one that began meanwhile under its id stays."""
    records = RecordsInProgress(clock)
    with records.running("r", "chain") as progress:
        progress.begin("1", "model", "m")
    gone = records.steps_of("r")

    first, second = records.running("r", "chain"), records.running("r", "chain")
    first.__enter__()
    second.__enter__().begin("1", "model", "m")
    first.__exit__(None, None, None)

    assert gone == []
    assert len(records.steps_of("r")) == 1
    second.__exit__(None, None, None)
    assert records.steps_of("r") == []


def test_only_records_of_several_steps_are_listed(clock: FakeClock) -> None:
    """The oldest first, as many as are asked for, each with the step it is in."""
    records = RecordsInProgress(clock)
    with ExitStack() as running:
        for number in range(4):
            progress = running.enter_context(records.running(f"r{number}", "chain"))
            for step_number in range(number):
                progress.begin(str(step_number + 1), "tool", "order")
            clock.now += 1

        listed, all_of_them = records.of_several_steps(1), records.of_several_steps(9)

    assert [(one["id"], one["begun"], one["age_s"]) for one in listed] == [("r2", 2, 2)]
    assert listed[0]["last"]["number"] == "2"
    assert len(all_of_them) == 2


def test_steps_shown_are_bounded(clock: FakeClock) -> None:
    """A record of thousands of steps shows its last ones."""
    with RecordsInProgress(clock).running("r", "chain") as progress:
        for number in range(SHOWN + 7):
            progress.begin(str(number), "model", "m")

        assert (len(progress.steps()), progress.begun) == (SHOWN, SHOWN + 7)
        assert progress.steps()[-1]["number"] == str(SHOWN + 6)
