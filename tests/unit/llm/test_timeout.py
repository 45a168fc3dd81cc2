"""No attempt outlives its time."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from streamapp.errors import LeaseLost, ProviderError, ProviderTimeout
from streamapp.llm.attempt import RIGHT, heard, permitted, standing
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.provider import Completer
from streamapp.llm.providers.openai import OpenAIProvider
from streamapp.llm.timeout import TimeLimited, TimeLimits
from streamapp.running_clock import RunningClock
from streamapp.settings import ProviderModelSettings, ProviderSettings
from tests.fakes import FakeClock, FakeProvider, TakenChunks
from tests.support.fakellm import FakeLLM
from tests.support.virtual_time import VirtualLoop, run_virtually, virtual_clock
from tests.unit.llm.calls import chat, late, reset, unavailable


class Hanging(FakeProvider):
    """Never answers."""

    async def complete(self, call: Call) -> Completion:
        self.history.append(call)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


@pytest.mark.parametrize(("timeout_s", "deadline_s"), [(0.02, 60), (60, 0.02)])
async def test_attempt_is_cut_at_the_nearer_limit(timeout_s: float, deadline_s: float) -> None:
    """A hanging attempt ends at the provider's timeout or the record's deadline."""
    limited = TimeLimited(Hanging(), name="mine", limits=TimeLimits(timeout_s=timeout_s))

    with pytest.raises(ProviderTimeout, match=r"mine: no complete answer within 0\.0"):
        await limited.complete(chat(deadline_s=deadline_s))


async def test_no_attempt_is_made_without_time(clock: FakeClock) -> None:
    """A record whose deadline has passed costs no call."""
    provider = Hanging()
    deadline = Deadline(10, clock)
    deadline.start()
    clock.advance(11)

    with pytest.raises(ProviderTimeout):
        await TimeLimited(provider, name="mine", limits=TimeLimits(timeout_s=60)).complete(
            chat(deadline=deadline)
        )

    assert provider.history == []


class Right:
    """That of a worker in its group; unknown until it is heard of, or ended."""

    def __init__(self) -> None:
        self.is_valid = self.is_ended = False


def test_no_attempt_begins_while_another_worker_may_answer(llm: FakeProvider) -> None:
    """A worker that was cut off or frozen pays for nothing before it knows that it is a member."""

    async def scene() -> None:
        right = Right()
        RIGHT.set(right)
        limited = TimeLimited(llm, name="mine", limits=TimeLimits(timeout_s=1))
        attempts = [asyncio.ensure_future(limited.complete(chat())) for _ in range(2)]
        await asyncio.sleep(30)
        assert llm.history == []

        right.is_valid = True
        await asyncio.wait(attempts)
        assert len(llm.history) == 2
        right.is_valid, right.is_ended = False, True
        with pytest.raises(LeaseLost):
            await limited.complete(chat())
        assert len(llm.history) == 2

    run_virtually(scene())


def test_wait_for_the_right_is_no_time_of_the_record() -> None:
    """Neither before an attempt nor within one, which had no connection yet."""

    async def scene() -> None:
        right, deadline = Right(), Deadline(90, virtual_clock)
        RIGHT.set(right)
        deadline.start()

        async def connect(call: Call) -> Completion:
            await asyncio.sleep(20)
            right.is_valid = False
            loop.call_later(1_000, setattr, right, "is_valid", True)
            await permitted()
            await asyncio.sleep(30)
            return Completion(output="", model="m", provider="mine")

        loop, provider = asyncio.get_running_loop(), FakeProvider()
        provider.complete = connect  # type: ignore[method-assign]
        loop.call_later(1_000, setattr, right, "is_valid", True)
        limited = TimeLimited(
            provider,
            name="mine",
            limits=TimeLimits(timeout_s=60),
            running=RunningClock(virtual_clock),
        )
        await limited.complete(chat(deadline=deadline))
        assert 50 <= deadline.spent_s() < 51

    run_virtually(scene())


def test_attempt_that_waited_for_its_right_is_cut_after_the_rest_of_its_time() -> None:
    """The wait gives it no more than it had."""

    async def scene() -> None:
        right = Right()
        right.is_valid = True
        RIGHT.set(right)

        async def hang(call: Call) -> Completion:
            right.is_valid = False
            asyncio.get_running_loop().call_later(1_000, setattr, right, "is_valid", True)
            await permitted()
            return await Hanging().complete(call)

        provider = FakeProvider()
        provider.complete = hang  # type: ignore[method-assign]
        limited = TimeLimited(provider, name="mine", limits=TimeLimits(timeout_s=60))
        deadline = Deadline(90, virtual_clock)
        with pytest.raises(ProviderTimeout):
            await limited.complete(chat(deadline=deadline))
        assert 1_060 <= virtual_clock() < 1_061

    run_virtually(scene())


def test_wait_for_kafka_that_begins_with_the_end_of_an_attempt_leaves_it_a_timeout() -> None:
    """It is cancelled within the wait, and told as any other."""

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)

        async def write(call: Call) -> Completion:
            loop.call_later(59.4, loop.freeze, 0.9)
            await asyncio.sleep(59.5)
            with standing():
                await asyncio.sleep(1)
            raise AssertionError("unreachable")

        provider = FakeProvider()
        provider.complete = write  # type: ignore[method-assign]
        limited = TimeLimited(provider, name="mine", limits=TimeLimits(timeout_s=60))
        with pytest.raises(ProviderTimeout):
            await limited.complete(chat(deadline=Deadline(90, virtual_clock)))

    run_virtually(scene())


async def test_answer_in_time_passes(llm: FakeProvider) -> None:
    """An answer in time is passed on."""
    completion = await TimeLimited(llm, name="mine", limits=TimeLimits(timeout_s=60)).complete(
        chat()
    )

    assert completion.output == "answer to: hello"


class Dripping:
    """Streams parts at some distance in virtual time, then breaks off or ends."""

    def __init__(
        self,
        *,
        parts: int,
        every_s: float,
        error: ProviderError | None = None,
        then_hangs: bool = False,
    ) -> None:
        self._parts = parts
        self._every_s = every_s
        self._error = error
        self._then_hangs = then_hangs

    async def complete(self, call: Call) -> Completion:
        for _ in range(self._parts):
            await asyncio.sleep(self._every_s)
            heard("word")
        if self._then_hangs:
            await asyncio.sleep(1e6)
        if self._error:
            raise self._error
        return Completion(output="", model="m", provider="mine")


def streamed(
    provider: Completer, *, idle_s: float = 60, deadline_s: float = 1e4
) -> tuple[object, float]:
    """Return how a streamed call ends, and after how many virtual seconds."""

    async def main() -> tuple[object, float]:
        limited = TimeLimited(provider, name="mine", limits=TimeLimits(timeout_s=10, idle_s=idle_s))
        call = chat(chunks=TakenChunks(), deadline=Deadline(deadline_s, virtual_clock))
        call.deadline.start()
        (end,) = await asyncio.gather(limited.complete(call), return_exceptions=True)
        return end, virtual_clock()

    return run_virtually(main())


def test_stream_that_flows_is_not_cut() -> None:
    """A streamed answer may take longer than the timeout, as long as it flows."""
    end, passed_s = streamed(Dripping(parts=100, every_s=5))

    assert isinstance(end, Completion)
    assert passed_s == pytest.approx(500)


@pytest.mark.parametrize("parts", [0, 3])
def test_silence_ends_a_stream(parts: int) -> None:
    """A streamed answer that does not come, or stops, ends after the longest silence."""
    end, passed_s = streamed(Dripping(parts=parts, every_s=5, then_hangs=True), idle_s=20)

    assert isinstance(end, ProviderTimeout)
    assert end.is_paid
    assert passed_s == pytest.approx(parts * 5 + 20, abs=1)


class Slow(FakeProvider):
    """Answers, or fails with what was enqueued, after ten seconds."""

    async def complete(self, call: Call) -> Completion:
        await asyncio.sleep(10)
        return await super().complete(call)


def frozen(
    provider: Completer, *, timeout_s: float = 15, freeze_s: float, streamed: bool = False
) -> tuple[object, float]:
    """Return how a call ends whose process is frozen after 5 s, and the virtual time then."""

    async def main() -> tuple[object, float]:
        running = RunningClock(virtual_clock)
        keeping = asyncio.ensure_future(running.keep())
        limits = TimeLimits(timeout_s=timeout_s, idle_s=timeout_s)
        limited = TimeLimited(provider, name="mine", limits=limits, running=running)
        deadline = Deadline(90, running)
        deadline.start()
        call = chat(chunks=TakenChunks() if streamed else None, deadline=deadline)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.call_later(5, loop.freeze, freeze_s)
        (end,) = await asyncio.gather(limited.complete(call), return_exceptions=True)
        keeping.cancel()
        return end, virtual_clock()

    return run_virtually(main())


@pytest.mark.parametrize("streamed", [False, True])
def test_time_of_a_freeze_does_not_count(streamed: bool) -> None:
    """What was answered while this process stood still is read when it wakes, and not paid anew."""
    end, _ = frozen(Slow(), freeze_s=1_000, streamed=streamed)

    assert isinstance(end, Completion)


@pytest.mark.parametrize("streamed", [False, True])
def test_silence_beside_a_freeze_counts(streamed: bool) -> None:
    """A provider that does not answer has its time, and no more than that."""
    end, ended_at = frozen(Hanging(), freeze_s=1_000, streamed=streamed)

    assert isinstance(end, ProviderTimeout)
    assert not end.is_ours
    assert ended_at == pytest.approx(1_000 + 15, abs=2)


@pytest.mark.parametrize(
    ("error", "freeze_s", "is_ours"),
    [
        pytest.param(reset(), 30, True, id="connection that broke in a freeze"),
        pytest.param(late(), 30, True, id="or came too late"),
        pytest.param(reset(), 0, False, id="connection that broke"),
        pytest.param(unavailable(), 30, False, id="an answer"),
    ],
)
def test_connection_that_broke_in_a_freeze_is_ours(
    error: ProviderError, freeze_s: float, is_ours: bool
) -> None:
    """Nobody knows whose fault it was; what the provider said is its own."""
    provider = Slow()
    provider.enqueue(error)

    end, _ = frozen(provider, freeze_s=freeze_s)

    assert end is error
    assert error.is_ours == is_ours


@pytest.mark.parametrize("down", [reset, late])
def test_who_is_called_after_a_standstill_is_not_excused_by_the_next_one(
    down: Callable[[], ProviderError],
) -> None:
    """A loop that is blocked again and again hides no provider that is down."""

    async def main() -> list[list[bool]]:
        running = RunningClock(virtual_clock)
        keeping = asyncio.ensure_future(running.keep())
        provider = Slow()
        limited = TimeLimited(provider, name="mine", limits=TimeLimits(), running=running)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)

        async def excused(*errors: ProviderError) -> list[bool]:
            """Whether each of some calls side by side is, whose loop is blocked; one without."""
            provider.enqueue(*errors)
            loop.call_later(5, loop.freeze, 3)
            calls = [limited.complete(chat(deadline_s=900)) for _ in errors or "-"]
            ends = await asyncio.gather(*calls, return_exceptions=True)
            return [isinstance(end, ProviderError) and end.is_ours for end in ends]

        found = [await excused(down(), down()), await excused(down()), await excused(down())]
        found += [await excused(), await excused(down())]
        keeping.cancel()
        return found

    assert run_virtually(main()) == [[True, True], [False], [False], [False], [True]]


def test_stream_ends_with_the_deadline() -> None:
    """A stream that flows for ever ends where the record's time does."""
    end, passed_s = streamed(Dripping(parts=1000, every_s=5), deadline_s=90)

    assert isinstance(end, ProviderTimeout)
    assert passed_s == pytest.approx(90)


def test_attempt_that_broke_off_is_paid_for() -> None:
    """What failed after it was promised is known to be paid for; what failed before is not."""
    broken, refused = unavailable(), unavailable()

    streamed(Dripping(parts=1, every_s=1.0, error=broken))
    streamed(Dripping(parts=0, every_s=1, error=refused))

    assert broken.is_paid
    assert not refused.is_paid


async def test_bytes_of_a_stream_are_signs_of_life(server: FakeLLM) -> None:
    """Over HTTP, a stream that takes longer than timeout and silence is read to its end."""
    server.default(text=" ".join(["word"] * 20), drip_s=0.03)
    provider = OpenAIProvider("mine", base_url=server.base_url)
    limits = TimeLimits(timeout_s=0.1, idle_s=0.4)
    async with contextlib.aclosing(provider):
        limited = TimeLimited(provider, name="mine", limits=limits)

        completion = await limited.complete(chat(chunks=TakenChunks()))

    assert completion.output.count("word") == 20


@pytest.mark.parametrize(
    ("model", "limits"), [("slow", TimeLimits(timeout_s=300, idle_s=7)), ("any", TimeLimits())]
)
def test_models_have_times_of_their_own(model: str, limits: TimeLimits) -> None:
    """A model's own times win over the provider's, and these over the defaults."""
    own = ProviderModelSettings(timeout_s=300)
    settings = ProviderSettings(kind="offline", stream_idle_s=7, models={"slow": own})
    if model == "any":
        settings = ProviderSettings(kind="offline", models={"slow": own})

    assert TimeLimits.of(settings, model) == limits
