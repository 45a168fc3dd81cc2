"""Records that are streamed and make several calls."""

import asyncio
from typing import Any

from streamapp.llm.client import LLMClient
from streamapp.tools import tool
from streamapp.web.events import ChunksSent
from tests.fakes import FakeProvider, TakenChunks
from tests.unit.tools.agents import ASKED, Kept, agent, calling


def streamed(llm: FakeProvider, chunks: Any, *tools: Any, store: Kept | None = None) -> LLMClient:
    """Return a record's client whose answer somebody reads along."""
    client = agent(llm, *tools, store=store)
    client.calls.common.chunks = chunks
    return client


async def test_a_later_call_takes_the_place_of_an_earlier_one() -> None:
    """Where what was given can be taken back; a stored step gives nothing once more."""
    llm, chunks, kept = FakeProvider(), TakenChunks(), Kept()
    llm.enqueue("draft", "answer")
    record = streamed(llm, chunks, store=kept)
    await record.chat(ASKED)
    assert chunks.texts == ["draft"]
    await record.chat(ASKED)
    assert (chunks.texts, chunks.begun) == (["answer"], 2)

    again = TakenChunks()
    await streamed(llm, again, store=kept).chat(ASKED)
    assert again.begun == 0


async def test_what_is_sent_for_good_is_no_failure_of_the_next_call() -> None:
    """Over HTTP the first text is sent; the calls behind it are made without being streamed."""
    sent: list[str] = []

    async def send(text: str) -> None:
        sent.append(text)

    @tool
    async def look() -> str:
        """Look."""
        return "seen"

    llm = FakeProvider()
    llm.enqueue("draft", "answer", calling(("look", {})), "looked")
    record = streamed(llm, ChunksSent(send), look)

    answers = [await record.chat(ASKED), await record.chat(ASKED)]
    answers.append(await record.chat(ASKED, tools=["look"]))

    assert answers == ["draft", "answer", "looked"]
    assert sent == ["draft"]


async def test_calls_side_by_side_are_not_mixed() -> None:
    """One at a time is streamed: pieces of several texts are no text."""

    class Waiting(FakeProvider):
        async def complete(self, call: Any) -> Any:
            await asyncio.sleep(0)
            return await super().complete(call)

    llm, chunks = Waiting(), TakenChunks()
    record = streamed(llm, chunks)

    await asyncio.gather(*(record.chat(ASKED) for _ in range(4)))

    assert [call.chunks for call in llm.history] == [chunks, None, None, None]


async def test_what_a_tool_asks_is_no_part_of_the_answer() -> None:
    """Nor what any other step asks."""

    @tool
    async def summary(llm: LLMClient) -> str:
        """Sum up."""
        told: str = await llm.chat(ASKED)
        return told

    llm, chunks = FakeProvider(), TakenChunks()
    llm.enqueue(calling(("summary", {})), "inner", "outer", "stepped")
    record = streamed(llm, chunks, summary)

    await record.chat(ASKED, tools=["summary"])
    await record.step("ask", record.chat, ASKED)

    assert (chunks.begun, chunks.texts) == (1, ["outer"])
