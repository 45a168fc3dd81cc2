"""Which errors are tried again, when, and until when."""

from random import Random
from typing import Any

import pytest

from streamapp.errors import (
    Failure,
    OutputInvalid,
    ProviderDenied,
    ProviderRejected,
    ProviderTimeout,
    RetriesExhausted,
    TargetOpen,
    TooLarge,
)
from streamapp.llm.caching.joint_deadline import JointDeadline
from streamapp.llm.deadline import Deadline
from streamapp.llm.routing.breaker import Breaker, BreakerLimits
from streamapp.llm.routing.guarded import Guarded
from streamapp.llm.routing.retry import Retrying, RetryLimits, backoff_s
from streamapp.llm.routing.tries import Tries
from tests.fakes import FakeClock, FakeProvider
from tests.unit.llm.calls import chat, garbled, late, rate_limited, unavailable


class Highest(Random):
    """Draws the upper bound."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.fixture
def retrying(llm: FakeProvider, clock: FakeClock) -> Retrying:
    """Five attempts around the fake provider; waits are as long as they can be."""
    limits = RetryLimits(attempts=5, paid_attempts=2, initial_s=1, cap_s=4, retry_after_cap_s=30)
    return Retrying(llm, limits=limits, rng=Highest(), sleep=clock.sleep)


async def test_success_is_not_retried(
    llm: FakeProvider, retrying: Retrying, clock: FakeClock
) -> None:
    """A call that succeeds is made once and waits for nothing."""
    completion = await retrying.complete(chat())

    assert completion.attempts == len(llm.history) == 1
    assert clock.slept == []


async def test_attempts_that_others_share_end_with_what_is_left_to_pay(
    llm: FakeProvider, retrying: Retrying, clock: FakeClock
) -> None:
    """Twenty are paid at a target, over all waits; those of one round do not pass that."""
    tries, before = Tries(paid_attempts=2), RetriesExhausted("cut off with others")
    before.attempts = before.paid = before.shared = 18
    tries.add(Breaker("fake/m", limits=BreakerLimits(), clock=clock), before)
    for _ in range(5):
        cut = garbled()
        cut.shared = 1
        llm.enqueue(cut)

    with pytest.raises(RetriesExhausted) as raised:
        await retrying.complete(tries.noted(chat(), "fake/m"))

    assert raised.value.paid == len(llm.history) == 2


async def test_waits_double_up_to_the_cap(
    llm: FakeProvider, retrying: Retrying, clock: FakeClock
) -> None:
    """Waits between attempts double up to the cap."""
    llm.enqueue(*[unavailable() for _ in range(4)])

    completion = await retrying.complete(chat())

    assert clock.slept == [1, 2, 4, 4]
    assert completion.attempts == 5


async def test_deadlines_of_all_who_wait_hear_of_each_failure(
    llm: FakeProvider, retrying: Retrying, clock: FakeClock
) -> None:
    """So that whoever is not answered in time is told why."""
    joint, members = JointDeadline(), [Deadline(90, clock) for _ in range(2)]
    for number, member in enumerate(members):
        joint.add(number, member)
    llm.enqueue(unavailable(), rate_limited(1))

    await retrying.complete(chat(deadline=joint))

    assert [member.failures for member in members] == [2, 2]
    assert {member.trouble for member in members} == {str(rate_limited(1))}

    joint.answered()

    assert {member.trouble for member in members} == {""}


@pytest.mark.parametrize(
    "fields", [{"moves_on": True}, {"is_left": lambda: True}], ids=["moves on", "is down"]
)
@pytest.mark.parametrize("is_ours", [False, True])
async def test_target_is_not_left_for_a_freeze_of_ours(
    llm: FakeProvider, retrying: Retrying, is_ours: bool, fields: dict[str, Any]
) -> None:
    """Where a timeout goes to the next target, one of this process itself is tried again."""
    error = late()
    error.is_ours = is_ours
    llm.enqueue(error)

    if is_ours:
        assert (await retrying.complete(chat(**fields))).attempts == 2
    else:
        with pytest.raises(ProviderTimeout):
            await retrying.complete(chat(**fields))


@pytest.mark.parametrize("error", [rate_limited(20), unavailable()], ids=["429", "503"])
async def test_probe_is_not_repeated(llm: FakeProvider, clock: FakeClock, error: Failure) -> None:
    """The call ends with what it found at once: others ask when the next one is due."""
    breaker = Breaker("fake/m", limits=BreakerLimits(), clock=clock)
    retrying = Retrying(Guarded(llm, breaker=breaker), rng=Highest(), sleep=clock.sleep)
    breaker.failed(ProviderDenied("fake: HTTP 401", provider="fake"))
    clock.advance(breaker.wait_s())
    began = clock.now
    llm.enqueue(error)

    with pytest.raises(TargetOpen) as caught:
        await retrying.complete(chat())

    assert str(caught.value) == f"{error}; fake/m: taken for down"
    assert caught.value.attempts == len(llm.history) == 1
    assert clock.now == began


async def test_attempts_are_bounded(llm: FakeProvider, retrying: Retrying) -> None:
    """After the last attempt the record's retries are exhausted, because of the last error."""
    last = unavailable()
    llm.enqueue(*[unavailable() for _ in range(4)], last)

    with pytest.raises(RetriesExhausted) as caught:
        await retrying.complete(chat())

    assert caught.value.__cause__ is last
    assert caught.value.attempts == len(llm.history) == 5


@pytest.mark.parametrize(("wish_s", "waited_s"), [(7, 8), (0, 1), (1e9, 31)])
async def test_wish_to_wait_is_granted_up_to_a_cap(
    wish_s: float, waited_s: float, llm: FakeProvider, retrying: Retrying, clock: FakeClock
) -> None:
    """A provider's `Retry-After` is waited for, up to the cap, with jitter on top."""
    llm.enqueue(rate_limited(wish_s))

    await retrying.complete(chat(deadline_s=100))

    assert clock.slept == [waited_s]


async def test_wait_past_the_deadline_is_not_begun(
    llm: FakeProvider, retrying: Retrying, clock: FakeClock
) -> None:
    """Where the wait would pass the record's deadline, its retries are exhausted at once."""
    llm.enqueue(unavailable(), unavailable(retry_after_s=20))

    with pytest.raises(RetriesExhausted) as caught:
        await retrying.complete(chat(deadline=Deadline(10, clock)))

    assert clock.slept == [1]
    assert caught.value.attempts == 2


async def test_wait_after_a_429_costs_no_deadline(
    llm: FakeProvider, retrying: Retrying, clock: FakeClock
) -> None:
    """To wait after a 429 is to wait for a limit: it neither counts nor ends the record."""
    deadline = Deadline(10, clock)
    llm.enqueue(rate_limited(20), rate_limited())

    completion = await retrying.complete(chat(deadline=deadline))

    assert completion.attempts == 3
    assert clock.slept == [21, 2]
    assert deadline.spent_s() == 0


@pytest.mark.parametrize("before", [0, 2])
async def test_open_breaker_is_no_attempt(
    before: int, llm: FakeProvider, retrying: Retrying
) -> None:
    """What an open breaker turns away passes at once and is not counted."""
    turned_away = TargetOpen("fake/m: taken for down", provider="fake")
    llm.enqueue(*[unavailable() for _ in range(before)], turned_away)

    with pytest.raises(TargetOpen) as caught:
        await retrying.complete(chat())

    assert caught.value.attempts == before


async def test_deadline_starts_with_the_first_attempt(
    llm: FakeProvider, retrying: Retrying, clock: FakeClock
) -> None:
    """Time before the first attempt does not count; time since then does."""
    deadline = Deadline(10, clock)
    clock.advance(100)
    llm.enqueue(unavailable())

    await retrying.complete(chat(deadline=deadline))

    assert deadline.spent_s() == 1


@pytest.mark.parametrize(
    "error",
    [
        ProviderDenied("fake: HTTP 401", provider="fake"),
        ProviderRejected("fake: HTTP 400", provider="fake"),
        TooLarge("fake: the answer is too long"),
        OutputInvalid("no answer fits"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("before", [0, 1])
async def test_other_errors_pass_at_once(
    before: int, error: Failure, llm: FakeProvider, retrying: Retrying
) -> None:
    """An error that a retry cannot help passes as it is, with the attempts made so far."""
    llm.enqueue(*[unavailable() for _ in range(before)], error)

    with pytest.raises(type(error)) as caught:
        await retrying.complete(chat())

    assert caught.value is error
    assert error.attempts == before + 1


async def test_garbled_answers_have_their_own_bound(llm: FakeProvider, retrying: Retrying) -> None:
    """Garbled answers are billed, so fewer of them are accepted."""
    llm.enqueue(garbled(), unavailable(), garbled())

    with pytest.raises(RetriesExhausted) as caught:
        await retrying.complete(chat())

    assert caught.value.attempts == 3


async def test_bug_is_not_retried(llm: FakeProvider, retrying: Retrying) -> None:
    """An error from outside our tree passes untouched."""
    llm.enqueue(unavailable(), ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        await retrying.complete(chat())


@pytest.mark.parametrize(("attempt", "bound_s"), [(1, 0.5), (2, 1), (5, 8), (9, 20)])
def test_backoff_is_uniform_below_its_bound(attempt: int, bound_s: float) -> None:
    """Full jitter: any wait between nothing and the doubled, capped bound."""
    rng = Random(7)

    waits = [backoff_s(attempt, limits=RetryLimits(), rng=rng) for _ in range(500)]

    assert 0 <= min(waits) < bound_s * 0.1
    assert bound_s * 0.9 < max(waits) <= bound_s
