"""What a worker says while its group gives it no partitions."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import faust
import pytest
import structlog
from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from streamapp.streaming.app.assignment_watch import (
    AGAIN_S,
    FIRST_S,
    POLL_INTERVAL_S,
    AssignmentWatch,
    begins,
)
from streamapp.streaming.broker.group_state import GroupState, shown_member
from streamapp.streaming.consumer.consumer import tell_behind
from streamapp.streaming.window.membership import Membership
from streamapp.streaming.window.window import Window
from tests.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves by hand."""
    return FakeClock()


STATE = GroupState("PreparingRebalance", ["worker-1 /10.0.0.1"])


def watched(
    clock: FakeClock, found: GroupState | Exception = STATE, **options: Any
) -> AssignmentWatch:
    async def describe() -> GroupState:
        if isinstance(found, Exception):
            raise found
        return found

    return AssignmentWatch(describe, clock, **options)


async def test_wait_is_told_with_the_groups_state_and_members(clock: FakeClock) -> None:
    """An operator learns for what the group waits, without a tool of Kafka's."""
    watch = watched(clock)
    watch.is_due(is_ready=False)
    clock.advance(FIRST_S)

    with structlog.testing.capture_logs() as lines:
        assert watch.is_due(is_ready=False)
        await watch.tell(is_assigned=False, is_recovered=False)

    [line] = lines
    assert line["event"] == "group.not_assigned"
    assert (line["waited_s"], line["state"]) == (FIRST_S, "PreparingRebalance")
    assert line["members"] == ["worker-1 /10.0.0.1"]
    assert "given up after its session" in line["meaning"]


def test_wait_is_told_after_a_while_and_then_seldom(clock: FakeClock) -> None:
    """A join that takes its time is nothing to tell; one that lasts is told again."""
    watch = watched(clock)
    told = []
    for second in range(int(FIRST_S + 2 * AGAIN_S) + 1):
        if watch.is_due(is_ready=False):
            told.append(second)
        clock.advance(1)

    assert told == [FIRST_S, FIRST_S + AGAIN_S, FIRST_S + 2 * AGAIN_S]


def test_end_of_a_wait_that_was_told_is_told(clock: FakeClock) -> None:
    """And the next wait counts from its own beginning."""
    watch = watched(clock)
    watch.is_due(is_ready=False)
    clock.advance(FIRST_S)
    watch.is_due(is_ready=False)

    with structlog.testing.capture_logs() as lines:
        watch.is_due(is_ready=True)
        watch.is_due(is_ready=True)
        watch.is_due(is_ready=False)
        clock.advance(FIRST_S - 1)

    assert [line["event"] for line in lines] == ["group.ready"]
    assert not watch.is_due(is_ready=False)


@pytest.mark.parametrize("error", [KafkaConnectionError(), TimeoutError()], ids=lambda e: str(e))
async def test_wait_is_told_also_where_no_broker_answers(clock: FakeClock, error: Any) -> None:
    """The state is unknown then, and says so, with why the group is waited for if that is known."""
    watch = watched(clock, error)

    with structlog.testing.capture_logs() as lines:
        await watch.tell(is_assigned=False, is_recovered=False)
        await watch.tell(is_assigned=False, is_recovered=False, refusal="lower it")

    assert [line["state"] for line in lines] == ["unknown", "unknown"]
    assert [line.get("refusal") for line in lines] == [None, "lower it"]


@pytest.mark.parametrize(("age_s", "told"), [(4.0, []), (600.0, ["partition.behind"])])
def test_partition_taken_over_late_says_from_when(age_s: float, told: list[str]) -> None:
    """What waited for its next worker is visible in that worker's log, and nothing else is."""
    with structlog.testing.capture_logs() as lines:
        tell_behind(TP("llm.requests", 3), 41, 1_000_000.0, now=1_000_000.0 + age_s)

    assert [line["event"] for line in lines] == told
    for line in lines:
        assert (line["partition"], line["offset"], line["age_s"]) == (3, 41, 600.0)
        assert line["written_at"] == "1970-01-12T13:46:40+00:00"


@pytest.mark.parametrize(
    ("age_s", "told"), [(59.0, ("info", None)), (60.0, ("warning", "is it meant?"))]
)
def test_old_records_of_which_nothing_is_committed_are_a_warning(
    age_s: float, told: tuple[str, str | None]
) -> None:
    """A group by another name answers all that the first one has; what was just sent is no sign."""
    with structlog.testing.capture_logs() as lines:
        tell_behind(
            TP("llm.requests", 3), 0, 1_000_000.0, now=1_000_000.0 + age_s, hint=told[1] or "x"
        )

    assert [(line["log_level"], line.get("hint")) for line in lines] == [told]


def test_places_of_a_generation_are_told_by_topic() -> None:
    """Which partitions a worker took over, and where each goes on."""
    positions = {TP("b", 1): 7, TP("a", 2): 0, TP("a", 0): 5}

    assert begins(positions) == {"a": "0@5 2@0", "b": "1@7"}


def test_no_wait_of_half_a_minute_goes_untold(clock: FakeClock) -> None:
    """Also one that begins just behind a look, and is told at a look alone."""
    watch = watched(clock)
    watch.is_due(is_ready=True)
    waited_s = POLL_INTERVAL_S
    clock.advance(POLL_INTERVAL_S)
    while not watch.is_due(is_ready=False):
        clock.advance(POLL_INTERVAL_S)
        waited_s += POLL_INTERVAL_S

    assert waited_s <= 30


class FakeApp:
    """What the watch asks of an app."""

    should_stop = in_recovery = False

    def __init__(self) -> None:
        self.rebalancing_count = 0
        self.rebalancing = True
        self.window = SimpleNamespace(is_open=False, membership=Membership())
        completed = SimpleNamespace(is_set=lambda: True)
        self.tables = SimpleNamespace(recovery=SimpleNamespace(completed=completed))


async def test_assignment_that_comes_and_goes_ends_no_wait(clock: FakeClock) -> None:
    """A group that begins anew every few seconds gives partitions; nor does a stop end the wait."""
    app, seconds = FakeApp(), 0

    async def sleep(pause_s: float) -> None:
        nonlocal seconds
        seconds += 1
        clock.advance(pause_s)
        app.rebalancing_count, app.rebalancing = 1, seconds % 10 > 2  # assigned for 3 s of 10
        app.should_stop = seconds > 30
        if seconds > 40:
            raise asyncio.CancelledError  # it would go on for ever

    watch = watched(clock, sleep=sleep)
    with structlog.testing.capture_logs() as lines:
        await watch.watch(cast(faust.App, app), cast(Window, app.window))

    assert [line["event"] for line in lines] == ["group.not_assigned"]
    assert lines[0]["waited_s"] == FIRST_S
    assert lines[0]["members"] == ["worker-1 /10.0.0.1"]


@pytest.mark.parametrize(
    ("is_recovered", "reason"),
    [(False, "reads their tables"), (True, "reads their ledgers"), (True, "came and went")],
)
async def test_worker_with_partitions_says_why_it_takes_no_records(
    clock: FakeClock, is_recovered: bool, reason: str
) -> None:
    """It is not said to be without partitions where it has some."""
    with structlog.testing.capture_logs() as lines:
        await watched(clock).tell(is_assigned=True, is_recovered=is_recovered)

    assert [line["event"] for line in lines] == ["group.not_ready"]
    assert reason in lines[0]["reason"]


def test_wait_counts_from_when_records_were_last_taken(clock: FakeClock) -> None:
    """The wait of a worker that was ready before begins with the rebalance."""
    watch = watched(clock)
    watch.is_due(is_ready=False)
    clock.advance(FIRST_S - 1)
    watch.is_due(is_ready=True)
    clock.advance(100)
    watch.is_due(is_ready=False)
    clock.advance(FIRST_S - 1)

    assert not watch.is_due(is_ready=False)
    assert watch.waited_s == FIRST_S - 1


@pytest.mark.parametrize(
    ("client", "host", "shown"),
    [("worker-1", "/10.0.0.1", "worker-1 /10.0.0.1"), ("", "", "aiokafka-0-1f"), ("w", "", "w")],
)
def test_member_is_named_by_what_the_broker_tells(client: str, host: str, shown: str) -> None:
    """The embedded broker tells neither client nor host, but the member's id."""
    assert shown_member("aiokafka-0-1f", client, host) == shown
