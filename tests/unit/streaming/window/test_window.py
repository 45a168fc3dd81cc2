import asyncio
import gc
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from faust.types import TP
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streamapp.errors import LeaseLost
from streamapp.llm.deadline import DEADLINE, Deadline, only_waits
from streamapp.streaming.window.drain import CANCEL_S
from streamapp.streaming.window.finished_offsets import encode
from streamapp.streaming.window.lease import Lease
from streamapp.streaming.window.membership import Membership
from streamapp.streaming.window.partition_state import SpanBounds
from streamapp.streaming.window.shares import InputBounds
from streamapp.streaming.window.storing import STORING, Storing
from streamapp.streaming.window.taken_record import Event
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.streaming.fake_broker import FakeBroker, FakeEvent, FakeMessage, settle

T0, T1 = TP("llm.requests", 0), TP("llm.requests", 1)


def log(*keys: str, start: int = 0) -> dict[int, bytes | None]:
    return {start + n: key.encode() or None for n, key in enumerate(keys)}


@pytest.fixture
async def broker() -> FakeBroker:
    """A partition of eight records of two keys, assigned."""
    broker = FakeBroker({T0: log(*"abababab")}, max_in_flight=4, max_pending=8)
    broker.assign()
    return broker


def running(broker: FakeBroker) -> list[int]:
    return [run.event.message.offset for run in broker.running]


async def test_one_key_runs_one_record_at_a_time(broker: FakeBroker) -> None:
    """Two keys run two records, however many slots are free."""
    for _ in range(8):
        await broker.deliver(T0)
    await settle()

    assert running(broker) == [0, 1]
    assert (broker.window.in_flight, broker.window.pending) == (2, 6)


async def test_record_behind_its_key_takes_no_slot() -> None:
    """A slow key's followers leave every other slot to the other keys."""
    broker = FakeBroker({T0: log(*"aaaabcde")}, max_in_flight=3, max_pending=8)
    broker.assign()

    for _ in range(8):
        await broker.deliver(T0)
    await settle()

    assert running(broker) == [0, 4, 5]


@pytest.mark.parametrize(
    ("ordering", "keys", "expected"),
    [("key", "aab", [0, 2]), ("partition", "abc", [0]), ("none", "aaa", [0, 1, 2])],
    ids=["key", "partition", "none"],
)
async def test_ordering_decides_what_runs_together(
    ordering: str, keys: str, expected: list[int]
) -> None:
    """Each mode runs together exactly the records that it leaves unordered."""
    broker = FakeBroker({T0: log(*keys)}, ordering=ordering)
    broker.assign()

    for _ in keys:
        await broker.deliver(T0)
    await settle()

    assert running(broker) == expected


async def test_record_without_key_runs_at_once() -> None:
    """Null keys have no order, also in key mode."""
    broker = FakeBroker({T0: log("", "", "")})
    broker.assign()

    for _ in range(3):
        await broker.deliver(T0)
    await settle()

    assert running(broker) == [0, 1, 2]


async def test_commit_waits_for_the_lowest_unfinished(broker: FakeBroker) -> None:
    """The offset passes no unfinished record; what is finished behind one stands beside it."""
    for _ in range(2):
        await broker.deliver(T0)
    await settle()

    await broker.finish(1)
    broker.commit()
    assert (broker.committed, broker.finished_behind(T0)) == ({T0: 0}, frozenset({1}))

    await broker.finish(0)
    broker.commit()
    assert (broker.committed, broker.metadata) == ({T0: 2}, {T0: ""})


async def test_take_waits_when_full(broker: FakeBroker) -> None:
    """Past the pending bound the agent waits, and goes on when a record finished."""
    for _ in range(8):
        await broker.deliver(T0)
    broker.log[T0][8] = b"c"
    late = FakeEvent(FakeMessage(T0, 8, b"c", broker.generation))

    taking = asyncio.ensure_future(broker.window.take(late))
    await settle()
    assert not taking.done()

    await broker.finish(0)
    assert await taking


async def test_long_queue_behind_one_key_keeps_no_other_out() -> None:
    """A full window takes again, too, where one key's queue alone holds most of it."""
    broker = FakeBroker({T0: log(*"a" * 30, *"b", *"c")}, max_in_flight=4, max_pending=31)
    broker.assign()
    for _ in range(31):
        await broker.deliver(T0)

    late = FakeEvent(FakeMessage(T0, 31, b"c", broker.generation))
    taking = asyncio.ensure_future(broker.window.take(late))
    await settle()
    await broker.finish(1)
    await asyncio.wait_for(taking, 30)
    await settle()

    assert running(broker) == [0, 31]


async def test_event_that_waited_across_a_revoke_is_dropped(broker: FakeBroker) -> None:
    """A record of the old generation is not run in the new one."""
    for _ in range(8):
        await broker.deliver(T0)
    late = FakeEvent(FakeMessage(T0, 8, b"c", broker.generation))
    taking = asyncio.ensure_future(broker.window.take(late))
    await settle()

    await broker.revoke()
    broker.assign()

    assert not await taking


async def test_event_between_revoke_and_assignment_is_dropped(broker: FakeBroker) -> None:
    """A closed window takes nothing, also of the generation it knew."""
    await broker.revoke()

    assert not await broker.deliver(T0)


async def test_event_of_an_older_generation_is_dropped(broker: FakeBroker) -> None:
    """Also at the expected offset: who fetched it then may not own the partition now."""
    stale = FakeEvent(FakeMessage(T0, 0, b"a", broker.generation))
    await broker.revoke()
    broker.assign()

    assert not await broker.window.take(stale)


async def test_foreign_partition_is_dropped(broker: FakeBroker) -> None:
    """A partition that was not assigned is not ours to answer."""
    event = FakeEvent(FakeMessage(T1, 0, b"a", broker.generation))

    assert not await broker.window.take(event)


async def test_revoke_commits_what_finished_in_the_drain(broker: FakeBroker) -> None:
    """Running records may finish and are committed; waiting ones are given back."""
    for _ in range(4):
        await broker.deliver(T0)
    await settle()

    await broker.revoke(finish=2, drain_s=60)

    assert broker.finished == [(T0, 0), (T0, 1)]
    assert broker.committed == {T0: 2}


def test_record_that_cannot_be_cancelled_holds_no_drain_up() -> None:
    """A processor that swallows its cancellation is left behind, without a right to write."""

    async def run(event: Event, lease: Lease) -> None:
        leases.append(lease)
        while virtual_clock() < 3_600:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(600)

    async def main() -> tuple[int, float]:
        broker = FakeBroker({T0: log("a")})
        broker.window._run = run
        broker.assign()
        await broker.deliver(T0)
        await settle()
        _, cut, _ = await broker.window.close(10)
        return cut, virtual_clock()

    leases: list[Lease] = []
    cut, ended_s = run_virtually(main())

    assert cut == 1
    assert ended_s <= 10 + CANCEL_S + 0.5
    assert not leases[0].is_valid


async def test_drain_gives_back_what_stands_before_an_outcome() -> None:
    """A record behind its key is the next owner's, also where one after it was answered."""
    broker = FakeBroker({T0: log(*"aabaa")})
    broker.assign()
    for _ in range(5):
        await broker.deliver(T0)
    await settle()
    await broker.finish(1)

    await broker.revoke(finish=5)

    assert (broker.committed, broker.finished_behind(T0)) == ({T0: 1}, frozenset({2}))
    assert broker.finished == [(T0, 2), (T0, 0)]


@pytest.mark.parametrize("how", ["revoke", "crash"])
async def test_outcome_behind_an_unfinished_one_is_not_written_again(
    broker: FakeBroker, how: str
) -> None:
    """What the commit says is finished is not run when it comes back, to this worker or another."""
    for _ in range(2):
        await broker.deliver(T0)
    await settle()
    await broker.finish(1)
    if how == "revoke":
        await broker.revoke()
    else:
        broker.commit()
        broker.window.fence()
        await settle()
        broker.start()
    broker.assign()

    for _ in range(3):
        await broker.deliver(T0)
    await settle()
    broker.commit()

    assert running(broker) == [0]  # 1 is done, 2 waits behind 0's key
    assert broker.finished_behind(T0) == {1}
    await broker.finish(0)
    broker.commit()
    assert broker.committed == {T0: 2}
    assert broker.finished == [(T0, 1), (T0, 0)]


async def test_finished_offsets_are_kept_until_they_come_again(broker: FakeBroker) -> None:
    """A commit before a finished record was fetched again does not forget it."""
    broker.committed, broker.metadata = {T0: 1}, {T0: encode(1, {3, 5})}
    broker.assign()
    await broker.deliver(T0)
    await settle()
    await broker.finish(0)

    broker.commit()

    assert broker.committed == {T0: 2}
    assert broker.finished_behind(T0) == {3, 5}


@pytest.mark.parametrize(
    ("bounds", "taken"),
    [(SpanBounds(offsets=3), 3), (SpanBounds(bytes=4), 4), (SpanBounds(age_s=-1), 1)],
    ids=["offsets", "bytes", "age"],
)
async def test_span_behind_a_held_record_is_bounded(bounds: SpanBounds, taken: int) -> None:
    """Past any bound the partition is held, and no other one; it goes on from where it stood."""
    broker = FakeBroker({T0: log(*"abcdefgh"), T1: log("a", "b")}, bounds=bounds, max_in_flight=9)
    broker.assign()

    while await broker.deliver(T0):
        await settle()
    assert running(broker) == list(range(taken))
    assert broker.held == {T0}
    assert await broker.deliver(T1)

    await settle()
    for _ in range(taken):
        await broker.finish(0)
    broker.resume()
    assert broker.position[T0] == taken
    assert await broker.deliver(T0)
    assert broker.gaps == 0


async def test_records_of_a_held_partition_are_no_gap() -> None:
    """What was fetched before the hold is dropped, before and after it goes on."""
    broker = FakeBroker({T0: log(*"abcdefgh")}, bounds=SpanBounds(offsets=2))
    broker.assign()
    for _ in range(2):
        await broker.deliver(T0)
    stale = [FakeEvent(FakeMessage(T0, n, b"a", broker.generation)) for n in range(2, 8)]
    for event in stale[:4]:
        assert not await broker.window.take(event)
    await settle()
    await broker.finish(0)
    await broker.finish(0)
    broker.resume()

    for event in stale[4:]:
        assert not await broker.window.take(event)
    assert await broker.deliver(T0)

    assert broker.gaps == 0


async def test_finished_record_lets_go_of_its_bytes(broker: FakeBroker) -> None:
    """Behind a held record only offsets are kept, however many finish."""
    await broker.deliver(T0)
    event = FakeEvent(FakeMessage(T0, 1, b"b", broker.generation, value=b"x" * 1000))
    message = weakref.ref(event.message)
    await broker.window.take(event)
    await settle()
    del event

    await broker.finish(1)
    gc.collect()

    assert message() is None
    assert len(broker.window.partitions[T0]) == 2


async def test_revoke_cancels_what_does_not_finish(broker: FakeBroker) -> None:
    """Past the drain nothing of the old generation runs on or may write."""
    await broker.deliver(T0)
    await settle()
    lease = broker.running[0].lease

    await broker.revoke()

    assert broker.running == []
    assert not lease.is_valid
    assert broker.finished == []


async def test_drain_gives_back_what_only_waits() -> None:
    """A record that waits to be let through is no cut one; one that paid for what is lost is."""
    waiting: list[Deadline] = []

    async def run(event: FakeEvent, lease: Lease) -> None:
        deadline = Deadline(90, time.monotonic)
        DEADLINE.set(deadline)
        waiting.append(deadline)
        with deadline.suspended():
            await asyncio.Event().wait()

    broker = FakeBroker({T0: log(*"abc")}, only_waits=only_waits)
    broker._run = run  # type: ignore[method-assign]
    broker.start()
    broker.assign()
    for _ in range(3):
        await broker.deliver(T0)
    await settle()
    waiting[1].invest()

    finished, cut, _ = await broker.window.close(0.01)

    assert (finished, cut, broker.fatal) == ({}, 1, [])
    assert not any(deadline.is_only_waiting for deadline in waiting)


async def test_fence_stops_every_write_at_once(broker: FakeBroker) -> None:
    """A worker that may have lost its generation lets no running record finish."""
    await broker.deliver(T0)
    await settle()

    broker.window.fence()
    await settle()

    assert (broker.finished, broker.running, broker.window.in_flight) == ([], [], 0)


async def test_fence_leaves_nothing_to_commit(broker: FakeBroker) -> None:
    """What finished before it is another worker's to commit by now."""
    await broker.deliver(T0)
    await settle()
    await broker.finish(0)
    assert broker.window.progress()

    broker.window.fence()

    assert broker.window.progress() == {}
    assert broker.window.partitions == {}


async def test_fence_forgets_what_waited_for_a_slot() -> None:
    """The next generation runs its own records alone: the others may be another worker's."""
    theirs = TP("shop.reviews", 0)
    inputs = {T0.topic: InputBounds(), theirs.topic: InputBounds()}
    broker = FakeBroker({T0: log("a", "b"), theirs: log("c")}, max_in_flight=2, inputs=inputs)
    broker.assign()
    for tp in (T0, theirs, T0):
        await broker.deliver(tp)
    await settle()
    broker.window.fence()
    await settle()
    broker.assign()
    await broker.deliver(T0)
    await settle()

    await broker.finish(0)

    assert broker.finished == [(T0, 0)]
    assert (running(broker), broker.window.pending) == ([], 0)


async def test_lost_member_writes_nothing_before_its_fence(broker: FakeBroker) -> None:
    """A record that finishes once the group lost its worker is not written, acked or fatal."""
    await broker.deliver(T0)
    await settle()

    broker.membership.lose()
    await broker.finish(0)

    assert (broker.finished, broker.window.progress(), broker.fatal) == ([], {}, [])


def test_drain_of_a_lost_member_ends_and_commits_nothing() -> None:
    """What finished before is the next owner's to commit, and no time is spent on the rest."""

    async def main() -> tuple[Any, float]:
        broker = FakeBroker({T0: log("a", "b", "c")})
        broker.assign()
        for _ in range(3):
            await broker.deliver(T0)
        await settle()
        await broker.finish(0)
        closing = asyncio.ensure_future(broker.window.close(10))
        await asyncio.sleep(1)
        broker.membership.lose()
        return await closing, virtual_clock()

    (finished, cut, lost), ended_s = run_virtually(main())

    assert (finished, cut, lost) == ({}, 0, 2)
    assert ended_s < 2


def test_nothing_is_taken_while_membership_is_not_known() -> None:
    """A record is taken once a heartbeat came through again: until then it may be another's."""

    async def main() -> tuple[bool, bool]:
        membership = Membership(6, clock=virtual_clock)
        broker = FakeBroker({T0: log("a", "b")}, membership=membership)
        broker.assign()
        await asyncio.sleep(7)
        taking = asyncio.ensure_future(broker.deliver(T0))
        await asyncio.sleep(1)
        waited = not taking.done()
        membership.note(virtual_clock())
        return waited, await taking

    assert run_virtually(main()) == (True, True)


async def test_redelivered_record_is_dropped(broker: FakeBroker) -> None:
    """An offset below the expected one was taken before."""
    await broker.deliver(T0)
    broker.position[T0] = 0

    assert not await broker.deliver(T0)


async def test_skipped_record_is_sought_back(broker: FakeBroker) -> None:
    """A jump of the offsets is a gap: counted, and fetched again from the expected one."""
    await broker.deliver(T0)

    assert not await broker.deliver(T0, skip=1)
    assert (broker.gaps, broker.position[T0]) == (1, 1)
    assert await broker.deliver(T0)


async def test_records_fetched_before_the_seek_do_not_count_as_hole(broker: FakeBroker) -> None:
    """However many stale records follow a gap, the skipped one is still waited for."""
    for offset in range(1, 8):
        event = FakeEvent(FakeMessage(T0, offset, b"a", broker.generation))
        assert not await broker.window.take(event)

    assert broker.gaps == 1
    assert await broker.deliver(T0)


async def test_gap_that_the_log_has_is_passed() -> None:
    """What compaction or a transaction marker removed is passed after one more look."""
    broker = FakeBroker({T0: {0: b"a", 5: b"b"}}, max_pending=8)
    broker.assign()
    await broker.deliver(T0)

    took = [await broker.deliver(T0) for _ in range(2)]

    assert took == [False, True]
    await settle()
    await broker.finish(0)
    await broker.finish(0)
    broker.commit()
    assert broker.committed == {T0: 6}


async def test_record_that_is_skipped_again_and_again_is_still_waited_for() -> None:
    """However often Faust skips a record that the log holds, it is not taken for a hole."""
    broker = FakeBroker({T0: log("a", "b", "c")})
    broker.assign()

    took = [await broker.deliver(T0, skip=1) for _ in range(5)]

    assert took == [False] * 5
    assert await broker.deliver(T0)


async def test_partition_without_commit_starts_at_its_beginning() -> None:
    """With nothing committed a skip of the first record is seen as any other gap."""
    broker = FakeBroker({T0: log("a", "b", "c", start=7)})
    broker.assign()

    assert not await broker.deliver(T0, skip=1)
    assert await broker.deliver(T0)


async def test_failure_of_run_is_fatal_and_never_acked(broker: FakeBroker) -> None:
    """An exception that leaves a record's task is reported; the record stays unacked."""
    await broker.deliver(T0)
    await settle()

    broker.running[0].outcome.set_exception(RuntimeError("broker refused"))
    await settle()

    assert [type(error) for error in broker.fatal] == [RuntimeError]
    assert broker.window.progress() == {}


async def test_lost_right_of_another_record_is_fatal(broker: FakeBroker) -> None:
    """Where the record's own lease goes on, nobody else answers it."""
    await broker.deliver(T0)
    await settle()

    broker.running[0].outcome.set_exception(LeaseLost("of another one"))
    await settle()

    assert [type(error) for error in broker.fatal] == [LeaseLost]


STEP = st.one_of(
    st.tuples(st.just("deliver"), st.integers(0, 1), st.sampled_from([0, 0, 0, 0, 1, 2])),
    st.tuples(st.just("finish"), st.integers(0, 7), st.just(0)),
    st.tuples(st.just("commit"), st.just(0), st.just(0)),
    st.tuples(st.just("revoke"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("fence"), st.just(0), st.just(0)),
    st.tuples(st.just("crash"), st.just(0), st.just(0)),
)


def check_invariants(broker: FakeBroker) -> None:
    window = broker.window
    assert window.in_flight <= broker.max_in_flight
    assert window.in_flight + window.pending <= broker.max_pending
    for partition in window.partitions.values():
        assert partition.expected - min(partition.next_unfinished, partition.expected) <= 4
    for tp, committed in broker.committed.items():
        assert all(offset >= committed for offset in broker.unfinished(tp))
    orders = [
        (run.event.message.tp, run.event.message.key)
        for run in broker.running
        if run.event.message.key is not None
    ]
    assert len(orders) == len(set(orders))


def first_finishes(broker: FakeBroker, tp: TP) -> Iterator[tuple[bytes | None, int]]:
    for offset in dict.fromkeys(offset for at, offset in broker.finished if at == tp):
        yield broker.log[tp][offset], offset


@example(keys=["a"] * 3, holes=set(), steps=[("deliver", 0, 1), ("deliver", 0, 2)])
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    keys=st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=14),
    holes=st.sets(st.integers(1, 12), max_size=3),
    steps=st.lists(STEP, max_size=60),
)
def test_nothing_is_lost_whatever_happens(
    keys: list[str], holes: set[int], steps: list[tuple[str, int, int]]
) -> None:
    """Any completions, skips, revokes, fences and crashes: committed never passes unfinished."""

    async def scenario() -> None:
        logs = {
            T0: {n: key for n, key in log(*keys).items() if n not in holes},
            T1: log(*reversed(keys)),
        }
        broker = FakeBroker(
            logs, max_in_flight=3, max_pending=6, bounds=SpanBounds(offsets=4, bytes=1000)
        )
        broker.assign()
        for what, number, skip in steps:
            if what == "deliver":
                await broker.deliver((T0, T1)[number], skip=skip)
                await settle()
            elif what == "finish":
                await broker.finish(number)
            elif what == "commit":
                broker.commit()
                broker.resume()
            elif what == "revoke":
                await broker.revoke(finish=number)
                broker.assign()
            elif what == "fence":
                broker.window.fence()
                await settle()
                broker.assign()
            else:
                broker.window.fence()  # the dead process writes nothing
                await settle()
                broker.start()
                broker.assign()
            check_invariants(broker)

        for _ in range(200):  # then everything goes well
            for tp in logs:
                if not await broker.deliver(tp):
                    broker.seek_stalled(tp)
            await settle()
            await broker.finish(0)
            broker.commit()
            broker.resume()
            check_invariants(broker)
        for tp in logs:
            assert broker.unfinished(tp) == []
            assert broker.committed[tp] == max(logs[tp]) + 1
            offsets: dict[bytes, list[int]] = {}
            for key, offset in first_finishes(broker, tp):
                if key is not None:
                    offsets.setdefault(key, []).append(offset)
            assert all(found == sorted(found) for found in offsets.values())
        assert broker.fatal == []

    asyncio.run(scenario())


async def test_hole_that_the_client_saw_is_passed_without_asking_the_log() -> None:
    """A transaction's marker costs neither a seek nor a look into the log."""
    broker = FakeBroker({T0: {0: b"a", 1: b"b", 3: b"c", 6: b"d"}})
    broker.assign()

    for follows in (0, 1, 2, 4):
        await broker.deliver(T0, follows=follows)
    await settle()

    assert (running(broker), broker.gaps) == ([0, 1, 3, 6], 0)


async def test_record_behind_what_was_skipped_is_no_hole() -> None:
    """What the client handed out and Faust dropped is sought back all the same."""
    broker = FakeBroker({T0: {0: b"a", 1: b"b", 3: b"c"}})
    broker.assign()
    await broker.deliver(T0)

    broker.position[T0] = 3
    await broker.deliver(T0, follows=2)

    assert (broker.gaps, broker.position[T0]) == (1, 1)


def test_drain_leaves_its_end_to_what_is_being_written() -> None:
    """A record that was paid for is stored and finished where one that still asks is cut off."""

    async def run(event: Event, lease: Lease) -> None:
        storing = Storing()
        STORING.set(storing)
        if event.message.offset == 1:
            await asyncio.Event().wait()
        with storing:
            await asyncio.sleep(7)  # the broker is slow
        assert lease.is_valid

    async def main() -> tuple[Any, int]:
        broker = FakeBroker({T0: log(*"ab")})
        broker._run = run  # type: ignore[method-assign]
        broker.start()
        broker.assign()
        for _ in range(2):
            await broker.deliver(T0)
        closing = asyncio.ensure_future(broker.window.close(6))
        await asyncio.sleep(6.5)
        assert broker.window.in_flight == 1, "the other one was cancelled"
        finished, cut, _ = await closing
        return {tp: progress.offset for tp, progress in finished.items()}, cut

    assert run_virtually(main()) == ({T0: 1}, 1)


async def test_one_inputs_backlog_leaves_room_for_another() -> None:
    """An input whose records do not end fills neither the slots nor the waiting room of another."""
    theirs = TP("shop.reviews", 0)
    inputs = {T0.topic: InputBounds(), theirs.topic: InputBounds()}
    logs = {T0: log(*[""] * 20), theirs: log(*[""] * 4)}
    broker = FakeBroker(logs, max_in_flight=8, max_pending=16, inputs=inputs)
    broker.assign()

    for _ in range(12):
        await broker.deliver(T0)
    blocked = asyncio.create_task(broker.deliver(T0))
    await settle()
    ran = [run.event.message.tp for run in broker.running]
    async with asyncio.timeout(60):
        for _ in range(4):
            await broker.deliver(theirs)
    await settle()

    assert ran == [T0] * 6
    assert not blocked.done()
    assert [run.event.message.tp for run in broker.running] == [T0] * 6 + [theirs] * 2
    blocked.cancel()


async def test_inputs_take_turns_in_free_slots() -> None:
    """What waits of two inputs runs by turns, however much one of them has."""
    theirs = TP("shop.reviews", 0)
    inputs = {T0.topic: InputBounds(), theirs.topic: InputBounds()}
    broker = FakeBroker(
        {T0: log(*[""] * 9), theirs: log(*[""] * 9)}, max_in_flight=2, inputs=inputs
    )
    broker.assign()
    for _ in range(4):
        await broker.deliver(T0)
    for _ in range(4):
        await broker.deliver(theirs)
    await settle()

    order = []
    while broker.running:
        order.append(broker.running[0].event.message.tp)
        await broker.finish(0)

    assert order == [T0, T0, T0, theirs, T0, theirs, theirs, theirs]


async def test_an_input_has_an_ordering_of_its_own() -> None:
    """What an input says of its order holds for its records alone."""
    theirs = TP("shop.reviews", 0)
    inputs = {T0.topic: InputBounds(), theirs.topic: InputBounds(ordering="none")}
    broker = FakeBroker({T0: log("a", "a"), theirs: log("a", "a")}, inputs=inputs)
    broker.assign()

    for tp in (T0, T0, theirs, theirs):
        await broker.deliver(tp)
    await settle()

    assert [run.event.message.tp for run in broker.running] == [T0, theirs, theirs]
