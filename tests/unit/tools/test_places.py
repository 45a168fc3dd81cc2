"""Tools of one turn: so many have a place at once, and the others wait for one."""

import asyncio
import time

import pytest

from streamapp.llm.client import LLMClient
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.tools import tool
from streamapp.tools.loop import AT_ONCE
from tests.fakes import FakeProvider
from tests.unit.tools.agents import ASKED, Kept, agent, calling, told


async def test_tools_of_one_turn_run_side_by_side_within_a_bound(llm: FakeProvider) -> None:
    """Eight at once; the others wait for a place."""
    inside, most, full = 0, 0, asyncio.Event()

    @tool
    async def meet() -> str:
        """Wait for the others."""
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == AT_ONCE:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        inside -= 1
        return "met"

    llm.enqueue(calling(*[("meet", {})] * 20), "done")

    assert await agent(llm).chat(ASKED, tools=[meet]) == "done"
    assert (most, told(llm)) == (AT_ONCE, ["met"] * 20)


@tool
async def ask(number: str, llm: LLMClient) -> str:
    """Ask the model."""
    answer: str = await llm.chat([{"role": "user", "content": number}])
    return answer


@tool
async def work() -> str:
    """Never end."""
    await asyncio.Event().wait()
    return ""


class Held(FakeProvider):
    """Answers an agent, and holds what its tools ask.

    Attributes:
        held: Released by each call that is held.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held = asyncio.Semaphore(0)

    async def complete(self, call: Call) -> Completion:
        if call.messages != ASKED:
            with call.deadline.suspended():
                self.held.release()
                await asyncio.Event().wait()
        return await super().complete(call)


@pytest.mark.parametrize("at_work", [0, 1])
async def test_tools_that_wait_for_a_place_keep_no_record(at_work: int) -> None:
    """Where those that have one wait for the model, the record can be given back at no cost."""
    asking = [("ask", {"number": f"{number}"}) for number in range(AT_ONCE * 2)]
    llm, deadline = Held(), Deadline(30, time.monotonic)
    llm.enqueue(calling(*[("work", {})] * at_work, *asking))
    record = agent(llm, store=Kept(), deadline=deadline)
    answering = asyncio.create_task(record.chat(ASKED, tools=[ask, work]))
    for _ in range(AT_ONCE - at_work):
        await llm.held.acquire()

    assert deadline.is_only_waiting == (not at_work)
    answering.cancel()
    await asyncio.wait([answering])
