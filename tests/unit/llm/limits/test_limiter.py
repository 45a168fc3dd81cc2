"""Calls in their turn: fair, bounded in any minute, never dropped, by share and by experience."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamapp.errors import RateHints, RateLimited, TargetBusy
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.limits.limited import Limited
from streamapp.llm.limits.limiter import Limiter
from streamapp.llm.limits.provider_limits import ProviderLimits
from streamapp.records.response import Usage
from streamapp.settings import ProviderSettings
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import chat
from tests.unit.llm.limits.test_token_bucket import highest_sum


@dataclass
class Server:
    """A provider in virtual time: a bucket of its own, a latency, and who was let in when."""

    rate_per_s: float = float("inf")
    burst: float = float("inf")
    latency_s: float = 0.2
    retry_after_s: float | None = None
    tokens: int = 0
    begun: list[tuple[float, str]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    _level: float | None = None
    _at: float = 0.0

    async def complete(self, call: Call) -> Completion:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0.005)
            if not self._admits():
                self.refused.append(virtual_clock())
                raise RateLimited("no", provider="p", retry_after_s=self.retry_after_s)
            self.begun.append((virtual_clock(), call.messages[0]["content"]))
            await asyncio.sleep(self.latency_s)
        finally:
            self.in_flight -= 1
        usage = Usage(input_tokens=self.tokens, output_tokens=0)
        return Completion(output="", model="m", provider="p", usage=usage)

    async def aclose(self) -> None:
        pass

    def _admits(self) -> bool:
        now = virtual_clock()
        level = self.burst if self._level is None else self._level
        self._level = min(self.burst, level + (now - self._at) * self.rate_per_s)
        self._at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True


def limited(
    server: Server, *, outer: Limiter | None = None, **limits: Any
) -> tuple[Limited, ProviderLimits]:
    """Return the policy around ``server`` and its limiter; to be called in the virtual loop."""
    configured = ProviderSettings(kind="openai", **limits)
    gate = ProviderLimits(configured, outer=outer, clock=virtual_clock, sleep=asyncio.sleep)
    return gate.around(server, "m"), gate


async def run_all(policy: Limited, count: int, *, workers: int = 256) -> None:
    """Answer ``count`` calls, at most ``workers`` at once; what is refused goes again."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            while True:
                try:
                    await policy.complete(chat(str(number)))
                    break
                except RateLimited as error:
                    await asyncio.sleep((error.retry_after_s or 0) + 0.2)

    await asyncio.gather(*[work() for _ in range(workers)])


def order_of(server: Server) -> list[int]:
    return [int(text) for _, text in server.begun]


def test_calls_begin_in_the_order_they_came() -> None:
    """Under any limit, who came first goes first, and all are answered."""

    async def main() -> Server:
        server = Server()
        policy, _ = limited(server, requests_per_minute=600, max_concurrency=2)
        await run_all(policy, 50)
        return server

    assert order_of(run_virtually(main())) == list(range(50))


@pytest.mark.parametrize("limits", [{"requests_per_minute": 60}, {"max_concurrency": 1}])
def test_calls_with_a_caller_have_every_other_turn(limits: dict[str, Any]) -> None:
    """A backlog of records kept HTTP from an answer in time, behind each provider's limit."""

    async def main() -> list[int]:
        server = Server(latency_s=1.0)
        overall = Limiter(
            requests_per_minute=600, burst_s=1, clock=virtual_clock, sleep=asyncio.sleep
        )
        policy, _ = limited(server, outer=overall, **limits)
        async with asyncio.TaskGroup() as group:
            group.create_task(run_all(policy, 100))
            await asyncio.sleep(3)
            for number in range(1000, 1004):
                deadline = Deadline(90, virtual_clock, is_waited_for=True)
                group.create_task(policy.complete(chat(str(number), deadline=deadline)))
        return order_of(server)

    order = run_virtually(main())
    first = order.index(1000)
    assert first <= 6
    assert [number for number in order if number < 1000] == list(range(100))
    assert order[first : first + 7 : 2] == [1000, 1001, 1002, 1003]


@pytest.mark.parametrize("have_callers", [True, False])
def test_calls_that_were_given_up_take_no_turn_of_others(have_callers: bool) -> None:
    """Their places in one line cost it its turns, and the other line had them all."""

    async def main() -> list[int]:
        server = Server(latency_s=0.01)
        policy, gate = limited(server, requests_per_minute=60)
        calls = {}
        for number in range(90):
            is_waited_for = (number < 60) == have_callers
            deadline = Deadline(900, virtual_clock, is_waited_for=is_waited_for)
            call = chat(str(number), deadline=deadline)
            calls[number] = asyncio.create_task(policy.complete(call))
        await asyncio.sleep(0.1)
        for number in range(1, 50):
            calls[number].cancel()
        await asyncio.sleep(0.1)
        assert gate.waiting == 40
        await asyncio.gather(*calls.values(), return_exceptions=True)
        assert gate.limiter.room(0) > 0
        return order_of(server)

    order = run_virtually(main())
    assert sorted(order) == [0, *range(50, 90)]
    assert sum(50 <= number < 60 for number in order[:21]) >= 9


def test_large_call_is_not_overtaken() -> None:
    """One that needs more than is there now goes before the small ones that came after it."""

    async def main() -> list[int]:
        server = Server(tokens=90)
        policy, _ = limited(server, tokens_per_minute=6_000, burst_s=1)
        sizes = [90, 90, *[10] * 5]
        calls = []
        for number, size in enumerate(sizes):
            call = chat(str(number), parameters={"max_tokens": size})
            calls.append(asyncio.create_task(policy.complete(call)))
            await asyncio.sleep(0.3 if number else 1.2)
        await asyncio.gather(*calls)
        return order_of(server)

    assert run_virtually(main()) == list(range(7))


def test_concurrency_is_capped() -> None:
    """No more calls than allowed are in flight, and the next begins as one ends."""

    async def main() -> tuple[Server, float]:
        server = Server(latency_s=1.0)
        policy, _ = limited(server, max_concurrency=4)
        await run_all(policy, 40)
        return server, virtual_clock()

    server, passed_s = run_virtually(main())
    assert server.most_in_flight == 4
    assert passed_s == pytest.approx(10 * 1.005)


@given(
    per_minute=st.integers(5, 3_000),
    bursts=st.lists(st.tuples(st.floats(0, 70), st.integers(1, 40)), min_size=1, max_size=6),
)
@settings(deadline=None, max_examples=25)
def test_no_minute_holds_more_than_the_limit(
    per_minute: int, bursts: list[tuple[float, int]]
) -> None:
    """However calls come, no window of 60 s has more than the limit and its burst; all end."""

    async def main() -> Server:
        server = Server()
        policy, _ = limited(server, requests_per_minute=per_minute)
        for idle_s, count in bursts:
            await asyncio.sleep(idle_s)
            await run_all(policy, count)
        return server

    server = run_virtually(main())
    assert len(server.begun) == sum(count for _, count in bursts)
    assert highest_sum([(at, 1.0) for at, _ in server.begun]) <= per_minute + max(
        1, per_minute / 60 * 0.05
    )


def test_limit_is_reached_in_the_long_run() -> None:
    """A backlog goes at 98 % of the limit or more, and not above it."""

    async def main() -> float:
        policy, _ = limited(Server(), requests_per_minute=600)
        await run_all(policy, 6_000)
        return virtual_clock()

    assert 600 <= run_virtually(main()) <= 600 / 0.98


@pytest.mark.parametrize("moves_at_s", [20.0, 47.3])
def test_share_that_moves_keeps_the_sum(moves_at_s: float) -> None:
    """When a worker dies and another gets its share, no minute has more than one limit."""

    async def main() -> Sequence[tuple[float, str]]:
        server = Server()
        policies = [limited(server, requests_per_minute=600) for _ in range(2)]
        for _, limiter in policies:
            limiter.set_share(0.5)
        works = [asyncio.create_task(run_all(policy, 2_000)) for policy, _ in policies]
        await asyncio.sleep(moves_at_s)
        works[0].cancel()
        await asyncio.sleep(6)
        policies[1][1].set_share(1.0)
        await asyncio.sleep(120)
        works[1].cancel()
        await asyncio.gather(*works, return_exceptions=True)
        return server.begun

    begun = run_virtually(main())
    assert highest_sum([(at, 1.0) for at, _ in begun]) <= 601
    after = [at for at, _ in begun if at > moves_at_s + 10]
    assert len(after) >= 0.98 * 10 * (after[-1] - after[0])


def test_worker_without_partitions_still_answers() -> None:
    """With no share at all, a small part of the limit is left, for HTTP."""

    async def main() -> float:
        policy, limiter = limited(Server(), requests_per_minute=6_000, max_concurrency=10)
        limiter.set_share(0.0)
        await run_all(policy, 11)
        return virtual_clock()

    assert 9 < run_virtually(main()) < 12


def test_tokens_are_settled_by_usage() -> None:
    """Answers that use less than was reserved let others go earlier: real tokens count."""

    async def main() -> float:
        policy, _ = limited(Server(tokens=10), tokens_per_minute=6_000, burst_s=1)
        await run_all(policy, 1_200)
        return virtual_clock()

    # 1,200 answers of 10 tokens are two minutes' worth; by estimate they would be 51.
    assert 110 < run_virtually(main()) < 150


def test_global_limit_holds_over_all_providers() -> None:
    """Two providers share the global limit, and each gets its part."""

    async def main() -> tuple[Server, Server, float]:
        servers = Server(), Server()
        outer = Limiter(
            requests_per_minute=600, burst_s=0.05, clock=virtual_clock, sleep=asyncio.sleep
        )
        policies = [limited(server, outer=outer)[0] for server in servers]
        await asyncio.gather(*[run_all(policy, 300) for policy in policies])
        return (*servers, virtual_clock())

    one, two, passed_s = run_virtually(main())
    assert 59 <= passed_s <= 60 / 0.98 + 1
    begun = sorted(one.begun + two.begun)
    halves = [server.begun for server in (one, two)]
    assert all(100 < sum(at < 30 for at, _ in half) < 200 for half in halves)
    assert highest_sum([(at, 1.0) for at, _ in begun]) <= 601


def test_waiting_costs_no_deadline() -> None:
    """The record's deadline does not run while it waits for its turn."""

    async def main() -> float:
        policy, _ = limited(Server(), requests_per_minute=6)
        deadline = Deadline(5, virtual_clock)
        deadline.start()
        await asyncio.gather(*[policy.complete(chat(deadline=deadline)) for _ in range(2)])
        assert deadline.doing == "it waited for its turn at a limit of m"
        return deadline.spent_s()

    assert run_virtually(main()) < 1


def test_cancelled_waiter_leaves_the_line() -> None:
    """One that gives up while it waits holds up nobody and takes nothing."""

    async def main() -> list[int]:
        server = Server()
        policy, _ = limited(server, requests_per_minute=60)
        calls = [asyncio.create_task(policy.complete(chat(str(n)))) for n in range(4)]
        await asyncio.sleep(0.5)
        calls[1].cancel()
        calls[2].cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert virtual_clock() < 2
        return order_of(server)

    assert run_virtually(main()) == [0, 3]


def test_waiter_that_is_cancelled_as_its_turn_is_given_up_is_cancelled() -> None:
    """A record that its worker has to let go does not go on to another target."""

    async def main() -> bool:
        limiter = Limiter(burst_s=1, max_concurrency=1, clock=virtual_clock, sleep=asyncio.sleep)
        assert limiter.try_acquire(1.0)
        turns: list[asyncio.Future[float]] = []
        waiter = asyncio.create_task(limiter.acquire(lambda: 1.0, look=turns.append))
        await asyncio.sleep(0)
        turns[0].set_exception(TargetBusy("busy", provider="p"))
        waiter.cancel()
        await asyncio.wait([waiter])
        limiter.release(1.0)
        return waiter.cancelled()

    assert run_virtually(main())


def test_told_limit_is_kept_without_refusals() -> None:
    """Told what the provider allows, 3,000 records take their time and none is refused."""

    async def main() -> tuple[Server, float]:
        server = Server(rate_per_s=300, burst=30)
        policy, _ = limited(server, requests_per_minute=18_000)
        await run_all(policy, 3_000)
        return server, virtual_clock()

    server, passed_s = run_virtually(main())
    assert passed_s <= 10.6
    assert len(server.refused) <= 6


def test_few_refusals_do_not_cost_a_told_limit_much() -> None:
    """Where a provider that keeps its word refuses some calls, the told rate is soon back."""

    async def main() -> float:
        server = Server(rate_per_s=300, burst=30)
        policy, _ = limited(server, requests_per_minute=18_000)
        work = asyncio.create_task(run_all(policy, 3_000))
        for _ in range(3):
            await asyncio.sleep(1)
            server.burst = 0
            await asyncio.sleep(0.01)
            server.burst = 30
        await work
        return virtual_clock()

    assert run_virtually(main()) < 11


@pytest.mark.parametrize("latency_s", [0.0, 0.05, 0.2, 0.5])
def test_unknown_limit_is_found(latency_s: float) -> None:
    """Not told, the rate is found: nearly its time, with few refusals."""

    async def main() -> tuple[Server, float]:
        server = Server(rate_per_s=300, burst=30, latency_s=latency_s)
        policy, _ = limited(server)
        await run_all(policy, 3_000)
        return server, virtual_clock()

    server, passed_s = run_virtually(main())
    assert len(server.begun) == 3_000
    assert passed_s <= 10.8
    assert len(server.refused) <= 90


def test_slow_start_is_short() -> None:
    """Without any limit, the first calls are few and the full number follows in three rounds."""

    async def main() -> tuple[Server, float]:
        server = Server()
        policy, _ = limited(server)
        work = asyncio.create_task(run_all(policy, 2_560))
        await asyncio.sleep(0.1)
        assert server.in_flight == 64
        await work
        return server, virtual_clock()

    server, passed_s = run_virtually(main())
    assert server.most_in_flight == 256
    assert passed_s <= 10 * 0.205 + 0.5


def test_wish_to_wait_pauses_everybody() -> None:
    """After a `Retry-After` nothing is begun until then."""

    async def main() -> Server:
        server = Server(rate_per_s=1, burst=10, retry_after_s=7.0)
        policy, _ = limited(server)
        await run_all(policy, 20, workers=11)
        return server

    server = run_virtually(main())
    first = server.refused[0]
    assert not [at for at, _ in server.begun if first + 0.01 < at < first + 7]
    assert len(server.begun) == 20


@pytest.mark.parametrize(
    "hints", [RateHints(requests_per_s=50), RateHints(tokens_per_s=500)], ids=["requests", "tokens"]
)
def test_word_of_the_provider_slows_down_before_a_refusal(hints: RateHints) -> None:
    """Where an answer says that nothing is left, calls go at the rate at which it refills."""

    class Telling(Server):
        async def complete(self, call: Call) -> Completion:
            return replace(await super().complete(call), hints=hints)

    async def main() -> float:
        policy, _ = limited(Telling(tokens=10))
        await run_all(policy, 600)
        return virtual_clock()

    assert 8 < run_virtually(main()) < 12


def test_raised_limit_is_found_again() -> None:
    """A rate that was low for a while comes back step by step once the provider allows more."""

    async def main() -> int:
        server = Server(rate_per_s=20, burst=5)
        policy, _ = limited(server)
        work = asyncio.create_task(run_all(policy, 100_000))
        await asyncio.sleep(20)
        server.rate_per_s = 200.0
        await asyncio.sleep(60)
        before = len(server.begun)
        await asyncio.sleep(10)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return len(server.begun) - before

    assert run_virtually(main()) > 1_600
