"""What one worker has learned of limits is where the next one begins."""

import asyncio

import pytest

from streamapp.llm.limits.learned_limits import LearnedLimits
from streamapp.llm.limits.provider_limits import ProviderLimits
from streamapp.llm.limits.rate_learner import FIRST_WINDOW, UNLIMITED
from streamapp.settings import ProviderSettings
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.limits.test_limiter import Server, run_all

Told = list[tuple[bytes, bytes]]


class Worker:
    """A worker's limits of one provider, in virtual time."""

    def __init__(self, name: str, *, share: float = 1.0) -> None:
        settings = ProviderSettings(kind="openai")
        self.limits = ProviderLimits(settings, clock=virtual_clock, sleep=asyncio.sleep)
        self.limits.set_share(share)
        self.policy = self.limits.around(Server(), "m")
        self.learned = LearnedLimits(
            name, {"p": self.limits}, now=lambda: 1e9 + virtual_clock(), clock=virtual_clock
        )

    def serves(self, server: Server) -> None:
        self.policy = self.limits.around(server, "m")

    def hears(self, told: Told) -> None:
        for key, value in told:
            self.learned.merge(key, value)

    @property
    def rate_per_s(self) -> float:
        return self.limits.learners["m"].rate_per_s

    @property
    def window(self) -> float:
        return self.limits.learners["m"].window


async def taught(rate_per_s: float = 300) -> Worker:
    """Return a worker that has met a limit."""
    first = Worker("first")
    first.serves(Server(rate_per_s=rate_per_s, burst=30))
    await run_all(first.policy, 2_000)
    return first


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_next_worker_begins_where_the_first_was(share: float) -> None:
    """A restarted worker has the rate, a second one its part of it; few calls are refused."""

    async def main() -> tuple[float, float, Server]:
        first = await taught()
        second = Worker("second", share=share)
        second.hears(first.learned.take())
        at_start = second.rate_per_s
        server = Server(rate_per_s=300 * share, burst=30)
        server._level = 0.0  # the first one has used it up
        second.serves(server)
        await run_all(second.policy, 1_000)
        return first.rate_per_s, at_start, server

    rate_per_s, at_start, server = run_virtually(main())
    assert at_start == pytest.approx(rate_per_s * share)
    assert len(server.refused) < 20


def test_part_that_comes_later_is_kept() -> None:
    """What was heard before the first assignment is scaled by it."""

    async def main() -> tuple[float, float]:
        first, second = await taught(), Worker("second")
        second.hears(first.learned.take())
        second.limits.set_share(0.25)
        return first.rate_per_s, second.rate_per_s

    rate_per_s, quarter = run_virtually(main())
    assert quarter == pytest.approx(rate_per_s / 4)


def test_slow_start_is_made_once() -> None:
    """Where no limit was met, the next worker has the window that the first one had."""

    async def main() -> tuple[float, float, float]:
        first, second = Worker("first"), Worker("second")
        await run_all(first.policy, 500)
        second.hears(first.learned.take())
        return first.window, second.window, second.rate_per_s

    first, second, rate_per_s = run_virtually(main())
    assert first == second > FIRST_WINDOW
    assert rate_per_s == UNLIMITED


def test_pause_is_kept_across_a_restart() -> None:
    """A provider that wants no calls for 20 s gets none from a worker that starts meanwhile."""

    async def main() -> float:
        first, second = Worker("first"), Worker("second")
        first.serves(Server(rate_per_s=1, burst=1, retry_after_s=20))
        work = asyncio.create_task(run_all(first.policy, 10))
        await asyncio.sleep(1)
        second.hears(first.learned.take())
        work.cancel()
        return second.limits.learners["m"].paused_until - virtual_clock()

    assert 18 < run_virtually(main()) <= 20


def test_own_experience_is_believed_more() -> None:
    """A worker that has met the limit itself takes nobody's word."""

    async def main() -> tuple[float, float]:
        first, other = await taught(), await taught(50)
        before = first.rate_per_s
        first.hears(other.learned.take())
        return before, first.rate_per_s

    before, after = run_virtually(main())
    assert before == after


def test_only_news_is_told() -> None:
    """Nothing learned is nothing told; what is told is told again only after an outage."""

    async def main() -> tuple[Told, Told, Told, Told]:
        first = await taught()
        told = first.learned.take()
        again = first.learned.take()
        first.learned.untold()
        return Worker("fresh").learned.take(), told, again, first.learned.take()

    fresh, told, again, after = run_virtually(main())
    assert fresh == again == []
    assert told == after
    assert [key for key, _ in told] == [b"p/m"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, None),
        (b"p/m", b"no JSON"),
        (b"p/m", b"[]"),
        (b"p/m", b'{"worker":"x","rate_per_s":-1,"window":null,"paused_until":null}'),
        (b"p/m", b'{"worker":"x","rate_per_s":"CANARY","window":null,"paused_until":null}'),
        (b"p/m", b'{"worker":"second","rate_per_s":1,"window":null,"paused_until":null}'),
        (b"p/other", b'{"worker":"x","rate_per_s":1,"window":null,"paused_until":null}'),
        (b"gone/m", b'{"worker":"x","rate_per_s":1,"window":null,"paused_until":null}'),
        (b"\xff", b'{"worker":"x","rate_per_s":1,"window":null,"paused_until":null}'),
    ],
    ids=["none", "garbage", "list", "negative", "text", "own", "other", "gone", "not-utf-8"],
)
def test_what_says_nothing_changes_nothing(key: bytes | None, value: bytes | None) -> None:
    """Garbage, own words and targets that are not configured are passed over."""

    async def main() -> tuple[float, float]:
        second = Worker("second")
        second.learned.merge(key, value)
        return second.rate_per_s, second.window

    assert run_virtually(main()) == (UNLIMITED, FIRST_WINDOW)


def test_nothing_but_refusals_is_told_to_nobody() -> None:
    """The lowest rate spaces the calls of a provider that is out; no worker is to begin with it."""

    async def main() -> tuple[Told, Told]:
        worker = Worker("first")
        server = Server(rate_per_s=0, burst=0)
        worker.serves(server)
        work = asyncio.create_task(run_all(worker.policy, 200, workers=1))
        await asyncio.sleep(10)
        lost = worker.learned.take()
        server.rate_per_s, server.burst = 20, 2
        await work
        return lost, worker.learned.take()

    lost, found = run_virtually(main())
    assert lost == []
    assert len(found) == 1
