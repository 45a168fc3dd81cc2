"""Agents whose record comes again, and tools that raise what is no error."""

import asyncio
from typing import Any

import pytest

from streamapp.errors import DeliveryFailed, InternalError
from streamapp.llm.client import LLMClient
from streamapp.llm.completion import Completion
from streamapp.llm.durable.stored_step import StoredStep
from streamapp.processors.outcome import failure_of
from streamapp.tools import Tool, tool
from tests.fakes import FakeProvider
from tests.unit.tools.agents import ASKED, Kept, agent, calling


def named(name: str) -> Tool:
    @tool(name=name)
    async def run() -> str:
        """Say a word."""
        return "done"

    return run


async def test_tools_that_have_changed_are_no_other_question(llm: FakeProvider) -> None:
    """A server that is away, or offers more, does not make finished calls paid again."""
    store = Kept()
    llm.enqueue(calling(("a", {})))
    first = await agent(llm, named("a"), named("b"), store=store).chat(ASKED, tools=["*"])
    asked = len(llm.history)

    again = await agent(llm, named("a"), named("c"), store=store).chat(ASKED, tools=["*"])

    assert again == first
    assert len(llm.history) == asked == 2
    assert [one["function"]["name"] for one in llm.history[0].parameters["tools"]] == ["a", "b"]


@pytest.mark.parametrize("is_single", [True, False], ids=["of a prompt", "of code"])
@pytest.mark.parametrize("finished", range(8))
async def test_no_finished_step_is_made_again(
    llm: FakeProvider, finished: int, is_single: bool
) -> None:
    """Whether a prompt makes the agent or code does, and wherever its worker died."""
    ran: list[str] = []

    def noting(name: str) -> Tool:
        @tool(name=name)
        async def run() -> str:
            """Say a word."""
            ran.append(name)
            return name

        return run

    async def deliver(store: Kept, *turns: Completion | str) -> Any:
        llm.enqueue(*turns)
        tools = [noting("a"), noting("b"), noting("c")]
        return await agent(llm, *tools, store=store, is_single=is_single).chat(ASKED, tools=["*"])

    turns: dict[str, Completion | str] = {
        "1": calling(("a", {})),
        "3": calling(("b", {}), ("c", {}), ("b", {})),
        "7": "done",
    }
    before = Kept()
    first = await deliver(before, *turns.values())
    store = Kept(list(before.items())[:finished])
    ran.clear()
    llm.history.clear()

    again = await deliver(store, *(turns[number] for number in turns if number not in store))

    assert again == first == "done"
    assert len(ran) + len(llm.history) == 7 - finished
    assert store == before


@pytest.mark.parametrize("raised", [asyncio.CancelledError, SystemExit])
async def test_a_tool_cannot_end_its_worker(llm: FakeProvider, raised: type[BaseException]) -> None:
    """What looks like a stop, and is none, is the tool's own failure."""

    @tool
    async def leave() -> str:
        """Leave."""
        raise raised

    llm.enqueue(calling(("leave", {})))

    with pytest.raises(InternalError, match=f"leave raised {raised.__name__}"):
        await agent(llm, leave, store=Kept()).chat(ASKED, tools=["*"])


async def test_a_tool_is_cancelled_with_its_record(llm: FakeProvider) -> None:
    """A worker that gives a record up is not told of a failure."""
    begun = asyncio.Event()

    @tool
    async def wait() -> str:
        """Wait for ever."""
        begun.set()
        await asyncio.Event().wait()
        return ""

    llm.enqueue(calling(("wait", {})))
    record = asyncio.create_task(agent(llm, wait, store=Kept()).chat(ASKED, tools=["*"]))
    await begun.wait()
    record.cancel()

    with pytest.raises(asyncio.CancelledError):
        await record


class Refusing(Kept):
    """Takes no step within a step."""

    async def adopt(self, number: str, step: StoredStep) -> None: ...

    async def put(self, number: str, step: StoredStep) -> None:
        if "." in number:
            raise DeliveryFailed("the broker is away")
        await super().put(number, step)


async def test_a_step_that_is_not_stored_is_no_fault_of_its_tool(llm: FakeProvider) -> None:
    """The record stays unfinished; it is no dead letter because a broker was away."""

    @tool
    async def ask(llm: LLMClient) -> Any:
        """Ask the model."""
        return await llm.chat(ASKED)

    llm.enqueue(calling(("ask", {})))
    with pytest.raises(InternalError) as caught:
        await agent(llm, ask, store=Refusing()).chat(ASKED, tools=["*"])

    processor: Any = None
    with pytest.raises(DeliveryFailed):
        failure_of(caught.value, processor)
