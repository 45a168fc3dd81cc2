"""No attempt outlives its time."""

import asyncio

import pytest

from streamapp.errors import ProviderTimeout
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.timeout import TimeLimited
from tests.fakes import FakeClock, FakeProvider
from tests.unit.llm.calls import chat


class Hanging(FakeProvider):
    """Never answers."""

    async def complete(self, call: Call) -> Completion:
        self.history.append(call)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


@pytest.mark.parametrize(("timeout_s", "deadline_s"), [(0.02, 60), (60, 0.02)])
async def test_attempt_is_cut_at_the_nearer_limit(timeout_s: float, deadline_s: float) -> None:
    """A hanging attempt ends at the provider's timeout or the record's deadline."""
    limited = TimeLimited(Hanging(), name="mine", timeout_s=timeout_s)

    with pytest.raises(ProviderTimeout, match=r"mine: no complete answer within 0\.0"):
        await limited.complete(chat(deadline_s=deadline_s))


async def test_no_attempt_is_made_without_time(clock: FakeClock) -> None:
    """A record whose deadline has passed costs no call."""
    provider = Hanging()
    deadline = Deadline(10, clock)
    deadline.start()
    clock.advance(11)

    with pytest.raises(ProviderTimeout):
        await TimeLimited(provider, name="mine", timeout_s=60).complete(chat(deadline=deadline))

    assert provider.history == []


async def test_answer_in_time_passes(llm: FakeProvider) -> None:
    """An answer in time is passed on."""
    completion = await TimeLimited(llm, name="mine", timeout_s=60).complete(chat())

    assert completion.output == "answer to: hello"
