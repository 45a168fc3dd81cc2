"""When a target is left alone, who asks again, and when it is taken back."""

from typing import Any

import pytest
import structlog

from streamapp.errors import (
    AnswerBroken,
    Failure,
    GarbledAnswer,
    ProviderDenied,
    ProviderRejected,
    TargetOpen,
)
from streamapp.llm.deadline import Deadline
from streamapp.llm.routing.breaker import Breaker, BreakerLimits
from streamapp.llm.routing.guarded import Guarded
from tests.fakes import FakeClock, FakeProvider
from tests.unit.llm.calls import chat, garbled, late, rate_limited, reset, unavailable

LIMITS = BreakerLimits(
    failures=3, refusals=6, refusing_s=10, probes=2, first_probe_s=1, probe_cap_s=4
)


def denied() -> ProviderDenied:
    return ProviderDenied("fake: HTTP 401", provider="fake", status=401)


def cut() -> AnswerBroken:
    return AnswerBroken("fake: cut off", provider="fake")


@pytest.fixture
def breaker(clock: FakeClock) -> Breaker:
    """Opens after three failures in a row."""
    return Breaker("fake/m", limits=LIMITS, clock=clock)


@pytest.fixture
def guarded(llm: FakeProvider, breaker: Breaker) -> Guarded:
    """The fake provider behind that breaker."""
    return Guarded(llm, breaker=breaker)


async def end_with(guarded: Guarded, llm: FakeProvider, *errors: Failure, **fields: Any) -> None:
    for error in errors:
        llm.enqueue(error)
        with pytest.raises(type(error)):
            await guarded.complete(chat(**fields))


async def test_failures_in_a_row_open_it(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker
) -> None:
    """After so many failures in a row no call is made any more."""
    await end_with(guarded, llm, unavailable(), late(), unavailable())

    with pytest.raises(TargetOpen):
        await guarded.complete(chat())

    assert breaker.is_open
    assert len(llm.history) == 3


async def test_what_broke_while_this_process_stood_still_opens_nothing(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """Neither a call nor a probe learns anything of the target from it."""
    ours = [reset(), late(), reset(), reset()]
    for error in ours:
        error.is_ours = True
    await end_with(guarded, llm, *ours)
    assert not breaker.is_open

    await end_with(guarded, llm, *[unavailable() for _ in range(3)])
    clock.advance(LIMITS.first_probe_s)
    await end_with(guarded, llm, *ours)
    assert breaker.wait_s() == 0


@pytest.mark.parametrize(
    "between", [None, ProviderRejected("fake: HTTP 400", provider="fake")], ids=["ok", "rejected"]
)
async def test_any_answer_starts_the_count_afresh(
    between: Failure | None, guarded: Guarded, llm: FakeProvider, breaker: Breaker
) -> None:
    """A target that answers, be it with a refusal of the record, is not down."""
    await end_with(guarded, llm, unavailable(), unavailable())
    if between:
        await end_with(guarded, llm, between)
    else:
        await guarded.complete(chat())
    await end_with(guarded, llm, unavailable(), unavailable())

    assert not breaker.is_open


async def test_denial_opens_it_at_once(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker
) -> None:
    """401, 403 and exhausted quota are not tried with the next record."""
    await end_with(guarded, llm, denied())

    assert breaker.is_open


async def test_refusals_slow_calls_down_and_no_more(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """One 429, many at once, or many with answers between them do not open it."""
    for _ in range(3):
        clock.advance(9)
        await end_with(guarded, llm, *[rate_limited() for _ in range(20)])
        clock.advance(9)
        await guarded.complete(chat())

    assert not breaker.is_open


async def test_nothing_but_refusals_open_it(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """Where a provider refuses everybody for long, records are held and not given up."""
    await end_with(guarded, llm, *[rate_limited() for _ in range(5)])
    clock.advance(10)

    await end_with(guarded, llm, rate_limited())

    assert breaker.is_open


async def test_few_quick_failures_among_many_calls_are_no_outage(
    breaker: Breaker, clock: FakeClock
) -> None:
    """Of calls that begin together they end first; without any answer for 5 s they are one."""
    breaker.in_flight = 100
    for _ in range(20):
        breaker.failed(unavailable())
        clock.advance(0.1)
    assert not breaker.is_open
    for _ in range(7):
        breaker.succeeded()

    for _ in range(3):
        assert not breaker.is_open
        breaker.failed(unavailable())
        clock.advance(2.5)
    assert breaker.is_open


async def test_server_that_takes_no_new_calls_is_down_though_it_answers_old_ones(
    breaker: Breaker, clock: FakeClock
) -> None:
    """Each answer began the count anew, and records used up their attempts."""
    breaker.in_flight = 1000
    for _ in range(11):
        assert not breaker.is_open
        breaker.succeeded()
        for _ in range(10):
            breaker.failed(unavailable())
        clock.advance(0.5)
    assert breaker.is_open


async def test_call_that_took_long_to_fail_is_no_quick_failure(
    breaker: Breaker, clock: FakeClock
) -> None:
    """Where calls hang, so long nothing was answered, however many others hang as well."""
    breaker.in_flight = 100
    clock.advance(60)
    for _ in range(3):
        assert not breaker.is_open
        failure = late()
        failure.took_s = 10.0
        breaker.failed(failure)
    assert breaker.is_open


async def test_failures_of_many_of_the_calls_are_an_outage_at_once(breaker: Breaker) -> None:
    """Where nothing listens, all fail."""
    breaker.in_flight = 100
    for _ in range(24):
        breaker.failed(unavailable())
    assert not breaker.is_open

    breaker.failed(unavailable())
    assert breaker.is_open


async def test_garbled_answers_to_one_record_leave_it_as_it_is(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker
) -> None:
    """An answer that is no completion is the retries' matter."""
    call = chat()
    llm.enqueue(*[garbled() for _ in range(50)])
    for _ in range(50):
        with pytest.raises(GarbledAnswer):
            await guarded.complete(call)

    assert not breaker.is_open


async def test_model_that_fails_by_its_providers_words_leaves_it_as_it_is(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """As of an output that fits no schema, for which one vendor answers 400: the target works."""
    await garble(30, guarded, llm, clock, status=400)
    assert not breaker.is_open
    await garble(20, guarded, llm, clock)
    assert breaker.is_open
    clock.advance(1)

    await garble(1, guarded, llm, clock, status=400)
    assert not breaker.is_open


async def test_answers_that_break_off_at_few_moments_leave_it_as_it_is(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """Those that are on their way break together, and the target may be back at once."""
    for _ in range(LIMITS.failures - 1):
        await end_with(guarded, llm, *[cut() for _ in range(50)])
        clock.advance(60)

    assert not breaker.is_open


async def test_answers_that_break_off_at_moments_of_their_own_open_it(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """As of a proxy that cuts all streams; any answer in between starts the count afresh."""
    for count in (2, 3):
        await guarded.complete(chat())
        for _ in range(count):
            assert not breaker.is_open
            await end_with(guarded, llm, cut())
            clock.advance(2.5)

    assert breaker.is_open


async def test_answers_that_break_off_within_a_few_seconds_leave_it_as_it_is(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """The processes of one server may go one after the other."""
    for _ in range(8):
        await end_with(guarded, llm, cut())
        clock.advance(0.6)

    assert not breaker.is_open


async def test_answers_to_one_record_that_break_off_leave_it_as_it_is(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """It may be the record."""
    call = chat()
    for _ in range(20):
        await end_with(guarded, llm, cut(), deadline=call.deadline)
        clock.advance(2.5)

    assert not breaker.is_open


async def test_garbled_answers_to_many_records_in_a_row_open_it(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """As of a proxy that answers for all; any answer in between starts the count afresh."""
    await garble(19, guarded, llm, clock)
    await guarded.complete(chat())
    await garble(19, guarded, llm, clock)
    assert not breaker.is_open

    await garble(1, guarded, llm, clock)
    assert breaker.is_open


async def test_records_whose_answers_are_always_garbled_open_it_ever_less(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """An answer to another one in between tells that it may be those records."""
    for count in (20, 40, 80):
        await garble(count - 1, guarded, llm, clock)
        assert not breaker.is_open

        await garble(1, guarded, llm, clock)
        assert breaker.is_open

        clock.advance(1)
        await guarded.complete(chat())


async def test_many_answers_in_a_row_tell_that_it_was_down(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """Outages that come and go cost no more records each time."""
    for _ in range(3):
        await garble(20, guarded, llm, clock)
        assert breaker.is_open

        clock.advance(1)
        for _ in range(20):
            await guarded.complete(chat())


async def test_few_answers_between_records_that_always_break_off_lower_no_bar(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """Five in a row come by chance where such records are most: the others were held anew."""

    async def break_off(count: int) -> None:
        llm.enqueue(*[AnswerBroken("fake: cut off", provider="fake") for _ in range(count)])
        for _ in range(count):
            with pytest.raises(AnswerBroken):
                await guarded.complete(chat())
            clock.advance(2)

    async def answer(count: int) -> None:
        for _ in range(count):
            await guarded.complete(chat())

    await break_off(3)
    assert not breaker.is_open
    await break_off(1)
    assert breaker.is_open
    await answer(6)
    await break_off(7)
    assert not breaker.is_open

    await answer(20)
    await break_off(4)
    assert breaker.is_open


async def garble(
    count: int, guarded: Guarded, llm: FakeProvider, clock: FakeClock, *, status: int = 200
) -> None:
    """Ask for so many records whose answers are no completion, one after the other."""
    llm.enqueue(*[garbled(status) for _ in range(count)])
    for _ in range(count):
        with pytest.raises(GarbledAnswer):
            await guarded.complete(chat())
        clock.advance(0.5)


async def test_attempt_without_time_says_nothing(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """A record whose own time is up is not the provider's failure."""
    deadline = Deadline(1, clock)
    deadline.start()
    clock.advance(2)

    await end_with(guarded, llm, *[late() for _ in range(5)], deadline=deadline)

    assert not breaker.is_open


async def test_one_success_closes_it(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """The first probe that is answered takes the target back for all."""
    await end_with(guarded, llm, denied())
    clock.advance(1)

    await guarded.complete(chat())

    assert not breaker.is_open
    assert (await guarded.complete(chat())).output == "answer to: hello"


async def test_rejected_probe_closes_it(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """A probe whose own record is refused shows as well that the target works."""
    await end_with(guarded, llm, denied())
    clock.advance(1)

    await end_with(guarded, llm, ProviderRejected("fake: HTTP 400", provider="fake"))

    assert not breaker.is_open


async def test_probes_come_at_growing_intervals(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """Each probe that fails doubles the wait for the next one, up to the cap."""
    await end_with(guarded, llm, denied())
    waits = []

    for _ in range(5):
        waits.append(breaker.wait_s())
        clock.advance(breaker.wait_s())
        await end_with(guarded, llm, unavailable())

    assert waits == [1, 2, 4, 4, 4]


async def test_refused_probe_says_when_the_next_one_comes(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """No earlier than the provider wants it, but for a wish beyond any measure."""
    await end_with(guarded, llm, denied())
    waits = []

    for wish_s in (None, 20, 3_600):
        clock.advance(breaker.wait_s())
        await end_with(guarded, llm, rate_limited(wish_s))
        waits.append(breaker.wait_s())

    assert waits == [2, 20, 60]


def test_half_open_lets_so_many_probes_through(breaker: Breaker, clock: FakeClock) -> None:
    """No more than the allowed number of probes is on its way at once."""
    breaker.failed(denied())
    assert breaker.begin_probe() is None
    clock.advance(1)

    probes = [breaker.begin_probe() for _ in range(5)]

    assert probes == [clock.now, clock.now, None, None, None]
    assert breaker.wait_s() == 4


def test_probe_without_an_answer_keeps_no_other_from_asking(
    breaker: Breaker, clock: FakeClock
) -> None:
    """A probe that hangs longer than the longest interval gives its place to another."""
    breaker.failed(denied())
    clock.advance(1)
    first = breaker.begin_probe()
    breaker.begin_probe()
    assert first is not None

    clock.advance(4)

    assert breaker.begin_probe() is not None
    breaker.end_probe(first)


def test_probes_that_broke_off_together_are_made_one_by_one(
    breaker: Breaker, clock: FakeClock
) -> None:
    """Each is alone for twice as long where that was too short; ten minutes without forget it."""
    breaker.failed(denied())
    alone_s = []
    for _ in range(3):
        clock.advance(LIMITS.probe_cap_s)
        first = breaker.begin_probe()
        clock.advance(breaker.wait_s())
        both = [first, breaker.begin_probe()]
        assert None not in both
        for record, probe in enumerate(both):
            breaker.failed(reset(), of=record, probe=probe)
            breaker.end_probe(probe or 0)
        clock.advance(LIMITS.probe_cap_s)
        alone = breaker.begin_probe()
        alone_s.append(breaker.wait_s())
        breaker.end_probe(alone or 0)

    assert alone_s == [4, 8, 16]

    breaker.succeeded()
    clock.advance(600)
    breaker.failed(denied())
    clock.advance(1)
    assert [breaker.begin_probe() is None for _ in range(3)] == [False, False, True]


def test_calls_from_before_it_opened_make_no_probe_wait(breaker: Breaker, clock: FakeClock) -> None:
    """Nor do probes made one behind the other, or that a server answered, however with."""
    breaker.failed(denied())
    for record in range(60):
        breaker.failed(reset(), of=record)
        breaker.broke_off(record)
        clock.advance(0.4)
    first = breaker.begin_probe()
    assert first is not None
    breaker.failed(reset(), of="a", probe=first)
    breaker.end_probe(first)
    clock.advance(LIMITS.probe_cap_s)
    for _ in range(2):
        answered = [breaker.begin_probe(), breaker.begin_probe()]
        for record, probe in enumerate(answered):
            assert probe is not None
            breaker.failed(unavailable(), of=record, probe=probe)
            breaker.end_probe(probe)
        clock.advance(LIMITS.probe_cap_s)

    assert breaker.break_offs.alone_s == 0
    breaker.succeeded()
    assert breaker.held_s() == 0


def test_held_calls_that_end_without_an_answer_stop_no_others(
    breaker: Breaker, clock: FakeClock
) -> None:
    """Their callers may leave: half a minute after it is back all others begin all the same.

    However long probes are alone: servers that are cut off each minute answer nobody else.
    """
    for _ in range(2):
        breaker.failed(denied())
        clock.advance(1)
        breaker.succeeded()
    for at in (1.0, 2.0, 3.0, 4.0, 5.0):
        for record in "ab":
            breaker.break_offs.note_probe(record, since=0.0, at=at)
    assert breaker.break_offs.alone_s > 30
    for _ in range(10):
        breaker.begin_held()
    assert breaker.held_s() > 0

    clock.advance(30)

    assert breaker.held_s() == 0


@pytest.mark.parametrize(
    "second", [rate_limited(), rate_limited(1), unavailable()], ids=["429", "429-of-1-s", "503"]
)
def test_second_probe_does_not_shorten_what_the_first_one_was_told(
    second: Failure, breaker: Breaker, clock: FakeClock
) -> None:
    """Two ask at once: the longest `Retry-After` stands, whoever ends last."""
    breaker.failed(denied())
    clock.advance(1)
    probes = [breaker.begin_probe(), breaker.begin_probe()]
    for probe, error in zip(probes, [rate_limited(60), second], strict=True):
        assert probe is not None
        breaker.failed(error, probe=probe)
        breaker.end_probe(probe)

    assert breaker.wait_s() == 60


def test_refusal_of_an_earlier_call_is_heeded_while_it_is_open(
    breaker: Breaker, clock: FakeClock
) -> None:
    """What was begun before it opened is told `Retry-After` as well as a probe; other ends not."""
    breaker.failed(denied())
    breaker.failed(rate_limited(30))
    breaker.failed(rate_limited(600))
    breaker.failed(rate_limited(5))
    clock.advance(0.5)
    breaker.failed(unavailable())
    breaker.failed(rate_limited())

    assert breaker.wait_s() == 59.5


def test_wish_of_an_outage_is_forgotten_at_its_end(breaker: Breaker, clock: FakeClock) -> None:
    """An answer, as to a call that hung until now, ends it; the next outage has its own waits."""
    breaker.failed(denied())
    breaker.failed(rate_limited(60))
    breaker.succeeded()
    breaker.failed(denied())

    assert breaker.wait_s() == LIMITS.first_probe_s


async def test_late_answer_of_before_does_not_close_it(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker
) -> None:
    """An answer to a call from before the outage says nothing about now."""

    class Slow(FakeProvider):
        async def complete(self, call: Any) -> Any:
            breaker.failed(denied())
            return await super().complete(call)

    await Guarded(Slow(), breaker=breaker).complete(chat())

    assert breaker.is_open


async def test_opening_and_closing_are_logged_once(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """One warning when it opens and one when it closes, with the target and the reason."""
    with structlog.testing.capture_logs() as lines:
        await end_with(guarded, llm, *[unavailable() for _ in range(3)])
        clock.advance(1)
        await end_with(guarded, llm, unavailable())
        clock.advance(2)
        await guarded.complete(chat())

    assert [(line["event"], line["log_level"], line["target"]) for line in lines] == [
        ("llm.breaker_opened", "warning", "fake/m"),
        ("llm.breaker_closed", "warning", "fake/m"),
    ]
    assert lines[0]["reason"] == "ProviderUnavailable"
    assert lines[1]["open_s"] == 3


async def test_state_tells_open_half_open_and_closed(
    guarded: Guarded, llm: FakeProvider, breaker: Breaker, clock: FakeClock
) -> None:
    """It is half open from the time at which a call may ask whether the target is back."""
    states = [breaker.state]
    await end_with(guarded, llm, denied())
    states.append(breaker.state)
    clock.advance(LIMITS.first_probe_s)
    states.append(breaker.state)
    await guarded.complete(chat())
    states.append(breaker.state)

    assert states == [0, 2, 1, 0]
