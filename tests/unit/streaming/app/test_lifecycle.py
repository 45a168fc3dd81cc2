"""The transitions of the app's life: what opens the window, what closes it, what is committed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest
import structlog
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted
from faust.types import TP

from streamapp.streaming.app.lifecycle import STOP_MARGIN_S
from streamapp.streaming.consumer.partition_flow import held_lines
from streamapp.streaming.consumer.stalled_partitions import STALL_S
from streamapp.streaming.tables.recovery import Tables
from streamapp.streaming.window.finished_offsets import decode
from streamapp.streaming.window.partition_state import HELD_LONG_S
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.streaming.consumer.fake_member import T0, T1, Member

Scene = Callable[[Member], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Run a scene with a member of its own, in virtual time."""

    def run(scene: Scene, **settings: float) -> None:
        async def main() -> None:
            await scene(Member(tmp_path, **settings))

        run_virtually(main())

    return run


# -- assign


def test_window_opens_at_the_committed_offsets(play: Play) -> None:
    """At a rebalance's end each partition of the requests is expected from where it stands."""

    async def scene(member: Member) -> None:
        member.consumer._committed_offset = {T0: 7}

        await member.assign(T0, T1, TP("llm.answers-changelog", 0), generation=3)

        assert member.window.is_open
        expected = {tp: partition.expected for tp, partition in member.window.partitions.items()}
        assert expected == {T0: 7, T1: 0}
        assert await member.deliver(7, runs_s=1)
        assert member.leases[7].generation == 3

    play(scene)


@pytest.mark.parametrize("is_overtaken", [False, True])
def test_recovery_that_another_rebalance_overtook_opens_no_window(
    play: Play, is_overtaken: bool
) -> None:
    """Faust ends it all the same, when the ledgers of what is assigned by then are not read."""

    async def scene(member: Member) -> None:
        recovery = cast(Tables, member.app.tables).recovery
        member.app.on_rebalance_start()
        await recovery.on_rebalance(set(), set(), set(), member.app.consumer_generation_id)
        recovery.signal_recovery_start.clear()  # as the recovery does that begins then
        if is_overtaken:
            member.consumer.during_seek = member.app.on_rebalance_start
        member.consumer.assigned = {T0}

        await recovery.on_recovery_completed(member.app.consumer_generation_id)

        assert member.consumer.told("perform_seek") == [()]
        assert member.window.is_open != is_overtaken
        assert member.app.rebalancing == is_overtaken

    play(scene)


@pytest.mark.parametrize("end", ["draining", "stopped"])
def test_worker_at_its_end_opens_no_window(play: Play, end: str) -> None:
    """Partitions that a stopping worker still gets are not begun."""

    async def scene(member: Member) -> None:
        if end == "draining":
            member.app.is_draining = True
        else:
            member.app._stopped.set()

        await member.assign(T0)

        assert not member.window.is_open

    play(scene)


# -- revoke


def test_revoke_commits_what_finishes_in_time(play: Play) -> None:
    """The group waits for what runs, and its offset is committed before it goes on."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.deliver(0, runs_s=2)

        await member.app._on_partitions_revoked({T0})

        assert member.finished == [0]
        assert member.consumer.told("commit") == [({T0: 1},)]
        assert not member.window.is_open
        assert virtual_clock() < member.settings.revoke_drain_s

    play(scene)


def test_revoke_cuts_off_what_takes_too_long(play: Play) -> None:
    """Past the limit a record is cancelled, and neither it nor what follows it is committed."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        for offset, runs_s in enumerate((1, 60, 1)):
            await member.deliver(offset, runs_s=runs_s)

        await member.app._on_partitions_revoked({T0})

        assert member.finished == [0, 2]
        assert member.consumer.told("commit") == [({T0: 1},)]
        assert virtual_clock() == pytest.approx(member.settings.revoke_drain_s, abs=0.5)
        assert not member.leases[1].is_valid

    play(scene)


def test_revoke_without_anything_finished_commits_nothing(play: Play) -> None:
    """No offset is committed on which nothing ran."""

    async def scene(member: Member) -> None:
        await member.assign(T0)

        await member.app._on_partitions_revoked({T0})

        assert member.consumer.told("commit") == []

    play(scene)


def test_pulse_does_not_reopen_what_a_revoke_closed(play: Play) -> None:
    """After a revoke only the rebalance's end opens the window, however late it comes."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.app._on_partitions_revoked({T0})

        await asyncio.sleep(10 * member.settings.session_timeout_s)

        assert not member.window.is_open

    play(scene)


# -- stop


def test_stop_drains_commits_and_closes(play: Play) -> None:
    """A stop finishes what runs, commits it, ends the HTTP calls, and closes the providers last."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.deliver(0, runs_s=10)

        await member.app.on_stop()

        assert member.consumer.calls[:2] == [("commit", {T0: 1}), ("leave",)]
        assert member.steps == ["HTTP calls within 20 s", "closed"]

    play(scene)


def test_stop_that_cuts_off_says_so_by_its_exit_code(play: Play) -> None:
    """A record still running at the limit makes the process end non-zero, after all was closed."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.deliver(0, runs_s=60)

        with pytest.raises(SystemExit) as ending:
            await member.app.on_stop()

        assert ending.value.code == 1
        assert member.steps[-1] == "closed"
        assert member.consumer.told("commit") == []

    play(scene)


@pytest.mark.parametrize("overdue", [[], ["record r: ..."]], ids=["none", "one"])
def test_drain_names_what_may_not_end_by_itself(play: Play, overdue: list[str]) -> None:
    """Whoever stops a worker sees at once what it waits for, perhaps until its limit."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.deliver(0, runs_s=10)
        member.overdue = overdue

        with structlog.testing.capture_logs() as lines:
            await member.app.on_stop()

        named = [line["records"] for line in lines if line["event"] == "window.drain_waits"]
        assert named == ([overdue] if overdue else [])

    play(scene)


def test_crashed_worker_waits_for_no_http_call(play: Play) -> None:
    """Who asked over HTTP is let go at once by a worker that failed."""

    async def scene(member: Member) -> None:
        member.app._crashed.set()

        await member.app.on_stop()

        assert member.steps[0] == "HTTP calls within 0 s"

    play(scene)


def test_stop_begins_before_its_drain(play: Play) -> None:
    """From the stop's first moment on, no rebalance opens the window again."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.deliver(0, runs_s=10)
        stopping = asyncio.ensure_future(member.app.on_stop())
        await asyncio.sleep(1)

        await member.assign(T0, generation=2)

        assert not member.window.is_open
        await stopping
        assert member.finished == [0]

    play(scene)


def test_stop_has_a_limit_of_its_own(play: Play) -> None:
    """From the stop on, the watchdog ends the process past the drain and its margin."""

    async def scene(member: Member) -> None:
        await member.app.on_stop()

        for wait_s, ended in ((19, []), (STOP_MARGIN_S + 2, [1])):
            await asyncio.sleep(wait_s)
            member.watchdog.look()
            assert member.ended == ended

    play(scene)


def test_rebalance_in_a_stop_waits_for_its_drain(play: Play) -> None:
    """A stopping worker keeps its partitions and its client until its records are committed."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.deliver(0, runs_s=4)
        member.app._stopped.set()
        stopping = asyncio.ensure_future(member.app.on_stop())
        await asyncio.sleep(1)

        await member.app._on_partitions_revoked({T0})

        assert member.consumer.told("commit") == [({T0: 1},)]
        await member.app._on_partitions_assigned(set())
        assert member.consumer.told("close") == []
        await stopping

    play(scene)


def test_rebalance_in_a_stop_shortens_its_drain(play: Play) -> None:
    """The group waits for as long as at any revoke, and not for the whole drain of a stop."""

    async def scene(member: Member) -> None:
        async def revoke_in_a_second() -> float:
            await asyncio.sleep(1)
            await member.app._on_partitions_revoked({T0})
            return virtual_clock()

        await member.assign(T0)
        await member.deliver(0, runs_s=2)
        await member.deliver(1, runs_s=18)
        member.app._stopped.set()
        revoking = asyncio.ensure_future(revoke_in_a_second())

        with structlog.testing.capture_logs() as lines, pytest.raises(SystemExit):
            await member.app.on_stop()

        assert await revoking == pytest.approx(1 + member.settings.revoke_drain_s, abs=0.5)
        [cut] = [line for line in lines if line["event"] == "window.drain_cut"]
        assert cut["limit_s"] == member.settings.revoke_drain_s
        assert member.consumer.told("commit") == [({T0: 1},)]

    play(scene)


@pytest.mark.parametrize("error", [None, KafkaError(), ConsumerNotStarted()], ids=str)
def test_stop_leaves_the_group_while_http_calls_run(play: Play, error: Exception | None) -> None:
    """Its partitions are others' once its own records are committed; a failure ends nothing."""

    async def scene(member: Member) -> None:
        member.http_calls_s = 15
        await member.assign(T0)
        await member.deliver(0, runs_s=2)
        member.consumer.errors = [error] if error else []
        stopping = asyncio.ensure_future(member.app.on_stop())

        await asyncio.sleep(4)

        assert member.consumer.calls == [("commit", {T0: 1}), ("leave",)]
        assert not stopping.done()
        await stopping
        assert virtual_clock() == pytest.approx(15, abs=0.5)

    play(scene)


def test_stop_in_a_rebalance_waits_for_the_drain_that_runs(play: Play) -> None:
    """The stop cancels Faust's call of the revoke handler, and not its drain."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.deliver(0, runs_s=3)
        revoking = asyncio.ensure_future(member.app._on_partitions_revoked({T0}))
        await asyncio.sleep(1)

        revoking.cancel()
        member.app._stopped.set()
        await member.app.on_stop()

        assert member.finished == [0]
        assert member.consumer.told("commit") == [({T0: 1},)]

    play(scene)


def test_failure_writes_nothing_more_and_ends(play: Play) -> None:
    """An outcome that cannot be delivered ends the app: no other record writes or commits."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.deliver(0, runs_s=3)

        member.app.fail(RuntimeError("no delivery"))
        await asyncio.sleep(STOP_MARGIN_S + 1)
        member.watchdog.look()

        assert member.app.crashed
        assert not member.leases[0].is_valid
        assert member.finished == []
        assert member.ended == [1]

    play(scene)


# -- fence


def test_revoke_of_a_lost_member_drains_nothing(play: Play) -> None:
    """The group went on without this worker: what runs writes and commits nothing, at once."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.deliver(0, runs_s=0)
        await member.deliver(1, runs_s=3)
        before = virtual_clock()

        member.membership.lose()
        await member.app._on_partitions_revoked({T0})

        assert not member.window.is_open
        assert not member.leases[1].is_valid
        assert virtual_clock() == before
        await asyncio.sleep(5)
        assert member.finished == [0]
        assert member.consumer.told("commit") == []

    play(scene)


@pytest.mark.parametrize("hears_s", [0, 10], ids=["at once", "later"])
@pytest.mark.parametrize("drains_s", [None, 1], ids=["not closing", "closing"])
def test_fence_tells_the_records_that_ran_when_the_group_went_on(
    play: Play, hears_s: float, drains_s: float | None
) -> None:
    """Those count that ended for it before Faust heard of it, as do those that run yet."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        for offset, runs_s in enumerate((0, 3, 4, 60)):
            await member.deliver(offset, runs_s=runs_s)
        await asyncio.sleep(1)

        with structlog.testing.capture_logs() as lines:
            if drains_s is not None:
                closing = asyncio.ensure_future(member.app._on_partitions_revoked({T0}))
                await asyncio.sleep(drains_s)
            member.membership.lose()
            await asyncio.sleep(hears_s)
            await (member.app._on_partitions_revoked({T0}) if drains_s is None else closing)

        warned = [line for line in lines if line["log_level"] == "warning"]
        assert [(line["event"], line["in_flight"]) for line in warned] == [("window.fenced", 3)]
        assert member.finished == [0]

    play(scene)


def test_stop_of_a_lost_member_drains_nothing(play: Play) -> None:
    """Also a stop writes nothing more once the group has gone on."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.deliver(0, runs_s=3)

        member.membership.lose()
        await member.app.on_stop()

        assert (member.finished, member.consumer.told("commit")) == ([], [])

    play(scene)


def test_stop_that_loses_its_membership_is_no_failure(play: Play) -> None:
    """Another worker has the records by then: nothing ran past the limit, and it says why."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.deliver(0, runs_s=3)
        stopping = asyncio.ensure_future(member.app.on_stop())
        await asyncio.sleep(1)

        with structlog.testing.capture_logs() as lines:
            member.membership.lose()
            await stopping

        warned = [line for line in lines if line["log_level"] == "warning"]
        assert [(line["event"], line["in_flight"]) for line in warned] == [("window.fenced", 1)]
        assert (member.finished, member.consumer.told("commit")) == ([], [])

    play(scene)


def test_sleep_longer_than_the_session_holds_every_write(play: Play) -> None:
    """A process that was stopped writes once the group took a heartbeat of it, and then all."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.deliver(0, runs_s=3)
        await asyncio.sleep(1)

        member.freeze(member.settings.session_timeout_s + 1)
        await asyncio.sleep(5)
        assert member.finished == []
        assert not member.leases[0].is_ended

        member.heartbeat()
        await asyncio.sleep(1)
        assert member.finished == [0]
        assert member.window.is_open

    play(scene)


def test_sleep_after_which_the_group_knows_no_member_is_fenced(play: Play) -> None:
    """What waited through the sleep is never written, and the window opens with the next join."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.deliver(0, runs_s=3)
        member.freeze(member.settings.session_timeout_s + 1)
        await asyncio.sleep(1)

        member.membership.lose()
        await member.app._on_partitions_revoked({T0})
        member.heartbeat()
        await member.assign(T0, generation=5)
        await asyncio.sleep(5)

        assert member.finished == []
        assert await member.deliver(0, runs_s=1)
        assert member.leases[0].generation == 5
        await asyncio.sleep(2)
        assert member.finished == [0]

    play(scene)


# -- hold


def test_partition_behind_a_held_record_is_paused_and_resumed(play: Play) -> None:
    """Past its bound it is fetched no more; it goes on from where it stood once it has room."""

    async def scene(member: Member) -> None:
        await member.assign(T0, T1)
        await member.deliver(0, runs_s=10)
        for offset in (1, 2, 3):
            await member.deliver(offset, runs_s=0)

        assert not await member.deliver(4, runs_s=0)
        assert member.consumer.told("pause") == [(T0,)]
        partitions, now = member.window.partitions, asyncio.get_running_loop().time()
        assert held_lines(partitions, now=now + HELD_LONG_S - 1) == []
        line = f"{T0.topic}-0 waits behind offset 0"
        assert held_lines(partitions, now=now + HELD_LONG_S) == [line]
        assert member.app.oldest_uncommitted_s == 0
        await asyncio.sleep(8)
        assert member.app.oldest_uncommitted_s == pytest.approx(8, abs=0.5)
        assert member.consumer.told("resume") == []

        await asyncio.sleep(3)
        assert member.consumer.told("seek") == [(T0, 4)]
        assert member.consumer.told("resume") == [(T0,)]
        assert held_lines(partitions, now=now + 2 * HELD_LONG_S) == []
        assert await member.deliver(4, runs_s=0)

    play(scene)


def test_what_the_commit_says_is_finished_is_not_run(play: Play) -> None:
    """The next owner takes it for done."""

    async def scene(member: Member) -> None:
        member.consumer.finished_behind = {T0: {1}}
        await member.assign(T0)

        for offset in range(3):
            await member.deliver(offset, runs_s=0)

        assert member.finished == [0, 2]

    play(scene)


def test_records_are_committed_as_places_of_the_topic_that_the_window_was_opened_for(
    play: Play,
) -> None:
    """Whatever the client learns while they run: they are of that one."""

    async def scene(member: Member) -> None:
        opened, later = bytes(20), bytes(range(20))
        member.consumer.read_of = {T0: opened}
        await member.assign(T0)
        await member.deliver(0, runs_s=0)
        member.consumer.read_of = {T0: later}

        progress = member.window.progress()[T0]

        assert decode(progress.offset, progress.metadata).topic_id == opened

    play(scene)


def test_partition_of_a_topic_made_anew_is_told_when_the_window_opens(play: Play) -> None:
    """Its last commit, of a topic that is no more, counted as none."""

    async def scene(member: Member) -> None:
        member.consumer.made_anew = {T1: bytes(range(20))}
        with structlog.testing.capture_logs() as logs:
            await member.assign(T0, T1)

        told = [line for line in logs if line["event"] == "log.made_anew"]
        assert [(line["topic"], line["partitions"]) for line in told] == [(T1.topic, [1])]

    play(scene)


# -- stall


def test_partition_whose_end_holds_no_record_is_not_sought_back(play: Play) -> None:
    """What the client found to be markers alone is passed at once, and not asked for again."""

    async def scene(member: Member) -> None:
        member.consumer.highwaters = {T0: 2}
        member.consumer.holes = {(T0, 0): 2}
        await member.assign(T0)

        await asyncio.sleep(STALL_S + 1)

        assert member.consumer.told("seek") == []
        assert member.window.partitions[T0].expected == 2

    play(scene)


def test_hole_at_the_end_behind_a_running_record_is_not_sought_back(play: Play) -> None:
    """Nothing is there to fetch again, however long the record takes; the hole is committed."""

    async def scene(member: Member) -> None:
        member.consumer.highwaters = {T0: 3}
        member.consumer.holes = {(T0, 1): 3}
        await member.assign(T0)
        await member.deliver(0, runs_s=STALL_S + 1)

        await asyncio.sleep(STALL_S + 3)

        assert member.consumer.told("seek") == []
        progress = member.window.progress()[T0]
        assert progress.offset == 3

    play(scene)


def test_partition_that_stands_still_is_sought_back(play: Play) -> None:
    """Records that Faust skipped at the end are fetched again, from the first one missed."""

    async def scene(member: Member) -> None:
        member.consumer.highwaters = {T0: 2, T1: 5}
        member.consumer._committed_offset = {T1: 5}
        await member.assign(T0, T1)

        await asyncio.sleep(STALL_S + 1)

        assert member.consumer.told("seek") == [(T0, 0)]

    play(scene)


def test_record_that_came_before_the_window_was_open_is_fetched_again_at_once(play: Play) -> None:
    """It was dropped; where no other one comes, nothing but the look of a moment later shows it."""

    async def scene(member: Member) -> None:
        member.consumer.highwaters = {T0: 2, T1: 2}
        member.consumer.came_early = {T0}
        await member.assign(T0, T1)

        await asyncio.sleep(1)

        assert member.consumer.told("seek") == [(T0, 0)]

    play(scene)


@pytest.mark.parametrize("state", ["draining", "rebalancing", "full"])
def test_nothing_is_sought_while_nothing_can_move(play: Play, state: str) -> None:
    """Without an open window with room, standing still is no sign of anything."""

    async def scene(member: Member) -> None:
        member.consumer.highwaters = {T0: 9, T1: 9}
        await member.assign(T0, T1)
        if state == "draining":
            await member.deliver(0, runs_s=100)
            draining = asyncio.ensure_future(member.window.close(100))
        elif state == "rebalancing":
            member.app.on_rebalance_start()
        else:
            for offset in range(4):
                await member.deliver(offset, runs_s=100)

        await asyncio.sleep(10 * STALL_S)

        assert member.consumer.told("seek") == []
        if state == "draining":
            assert not draining.done()

    play(scene)


def test_new_assignment_starts_the_wait_anew(play: Play) -> None:
    """What stood still in an older generation says nothing about this one."""

    async def scene(member: Member) -> None:
        member.consumer.highwaters = {T0: 2}
        await member.assign(T0)
        await asyncio.sleep(STALL_S - 0.5)

        await member.assign(T0, generation=2)
        await asyncio.sleep(1)

        assert member.consumer.told("seek") == []

    play(scene)


@pytest.mark.parametrize("error", [KafkaError(), ConsumerNotStarted()], ids=["Kafka", "Faust"])
def test_pulse_outlives_an_error_of_the_client(play: Play, error: Exception) -> None:
    """Partitions that go in the middle of a look cost that look only."""

    async def scene(member: Member) -> None:
        member.consumer.highwaters = {T0: 2}
        member.consumer.errors = [error]
        await member.assign(T0)

        await asyncio.sleep(STALL_S + 1)

        assert member.consumer.errors == []
        assert member.consumer.told("seek") == [(T0, 0)]

    play(scene)


def test_commit_age_grows_until_the_commit(play: Play) -> None:
    """What finished and is not committed shows by its age."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        await member.deliver(0, runs_s=0)
        await asyncio.sleep(8)
        assert member.app.commit_age_s == pytest.approx(8, abs=0.5)

        member.consumer._committed_offset = {T0: 1}
        await asyncio.sleep(1)

        assert member.app.commit_age_s == 0

    play(scene)


# -- logs that changed


def test_log_that_changed_while_no_broker_answers_is_begun_anew_later(play: Play) -> None:
    """The window that was closed for it opens again whatever happens, and the next beat tries."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        member.consumer._committed_offset = {T0: 50}
        member.consumer.fetched.out_of_range[T0] = 50
        errors = [KafkaError()]

        def fail_once() -> None:
            if errors:
                raise errors.pop()

        member.consumer.during_seek = fail_once
        pulse = asyncio.ensure_future(member.app._pulse())
        await asyncio.sleep(5)

        assert member.window.is_open
        assert member.window.partitions[T0].expected == 0
        assert member.consumer.told("go_on_at") == [(T0, 0)]
        assert await member.deliver(0, runs_s=0)
        pulse.cancel()

    play(scene)


def test_log_is_not_gone_on_with_before_the_group_took_its_start(play: Play) -> None:
    """The window would begin at what is committed, and take all records below for known ones."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        member.consumer._committed_offset = {T0: 50}
        member.consumer.fetched.out_of_range[T0] = 50
        member.consumer.refusals = 2  # as of a broker that does not know the new topic yet
        expected: list[int] = []
        member.consumer.during_go_on = lambda: expected.append(member.app.committed(T0) or 0)
        pulse = asyncio.ensure_future(member.app._pulse())
        await asyncio.sleep(5)

        assert expected == [0]
        assert member.window.partitions[T0].expected == 0
        pulse.cancel()

    play(scene)


def test_log_that_is_begun_anew_opens_no_window_in_a_rebalance(play: Play) -> None:
    """The partitions may be others' at its end, which alone opens the window."""

    async def scene(member: Member) -> None:
        await member.assign(T0)
        member.consumer._committed_offset = {T0: 50}
        member.consumer.fetched.out_of_range[T0] = 50
        member.consumer.during_go_on = member.app.on_rebalance_start
        pulse = asyncio.ensure_future(member.app._pulse())
        await asyncio.sleep(5)

        assert member.consumer.told("go_on_at") == [(T0, 0)]
        assert not member.window.is_open
        pulse.cancel()

    play(scene)


def test_log_that_is_begun_anew_leaves_the_window_of_a_later_generation(play: Play) -> None:
    """What that has taken meanwhile would be cancelled."""

    async def scene(member: Member) -> None:
        opened: list[object] = []

        def rebalance() -> None:
            member.app.on_rebalance_start()
            member.app.consumer_generation_id = 2
            member.app.on_rebalance_end()
            opened.append(member.window.partitions[T0])

        await member.assign(T0)
        member.consumer._committed_offset = {T0: 50}
        member.consumer.fetched.out_of_range[T0] = 50
        member.consumer.during_go_on = rebalance
        pulse = asyncio.ensure_future(member.app._pulse())
        await asyncio.sleep(5)

        assert [member.window.partitions[T0]] == opened
        pulse.cancel()

    play(scene)


def test_partition_that_was_held_goes_on_in_a_window_opened_anew(play: Play) -> None:
    """Nothing else would resume what the closed window had paused."""

    async def scene(member: Member) -> None:
        await member.assign(T0, T1)
        for offset in range(5):  # more than the span of four
            await member.deliver(offset, runs_s=30 if offset == 0 else 0)
        assert member.window.partitions[T0].is_held
        member.consumer.fetched.out_of_range[T1] = 50
        pulse = asyncio.ensure_future(member.app._pulse())
        await asyncio.sleep(10)

        assert not member.window.partitions[T0].is_held
        assert {tp for call in member.consumer.told("resume") for tp in call} == {T0, T1}
        pulse.cancel()

    play(scene)


def test_partition_without_its_ledger_takes_nothing_until_that_is_read(play: Play) -> None:
    """The others go on meanwhile, also in a window that is opened anew; then it begins."""

    async def scene(member: Member) -> None:
        member.app.held.unread = {T0.topic: {T0.partition}}
        await member.assign(T0, T1)
        member.app.on_rebalance_end()
        assert not member.window.partitions[T0].has_ledger, "before the first beat"
        assert not await member.deliver(0, runs_s=1)
        pulse = asyncio.ensure_future(member.app._pulse())
        assert member.window.partitions[T1].has_room(0, 0)
        member.consumer.fetched.out_of_range[T1] = 50
        await asyncio.sleep(5)
        assert not await member.deliver(0, runs_s=1)
        assert member.consumer.told("pause") == [(T0,), (T0,)]
        member.consumer.calls.clear()

        member.app.held.unread = {}
        await asyncio.sleep(1)

        assert member.consumer.told("seek") == [(T0, 0)]
        assert member.consumer.told("resume") == [(T0,)]
        assert await member.deliver(0, runs_s=1)
        pulse.cancel()

    play(scene)


def test_table_whose_log_changed_is_followed_before_a_window_opens(play: Play) -> None:
    """Its recovery would wait for good for what is no longer there."""

    async def scene(member: Member) -> None:
        table = TP("llm.spend", 0)
        await member.assign(T0)
        member.app.on_rebalance_start()
        member.consumer.starts[table] = 7
        member.consumer.fetched.out_of_range.update({T0: 9, table: 3})
        pulse = asyncio.ensure_future(member.app._pulse())
        await asyncio.sleep(1)

        assert member.consumer.told("go_on_at") == [(table, 7)]
        pulse.cancel()

    play(scene)
