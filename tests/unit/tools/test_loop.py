"""The bounded loop of a model and its tools."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from streamapp.errors import (
    BudgetExceeded,
    InternalError,
    Kind,
    PromptError,
    RetriesExhausted,
    StepLimit,
    ToolError,
)
from streamapp.llm.client import LLMClient
from streamapp.llm.deadline import DEADLINE, Deadline
from streamapp.llm.durable.stored_step import StoredStep
from streamapp.tools import tool
from streamapp.tools.loop import MAX_STEPS, MAX_TOOL_CALLS, RESULT_CHARS
from tests.fakes import FakeClock, FakeProvider, TakenChunks
from tests.support.virtual_time import run_virtually, virtual_clock
from tests.unit.llm.calls import LABELS
from tests.unit.tools.agents import ASKED, Kept, agent, calling, told

RAN: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _ran() -> None:
    RAN.clear()


@tool
async def order(number: str) -> str:
    """Look an order up."""
    RAN[number] += 1
    if number == "gone":
        raise ToolError("there is no such order")
    if number == "long":
        return "x" * (RESULT_CHARS + 1)
    if number == "bug":
        raise ValueError("secret")
    return f"order {number}"


@tool(name="shop.slow", timeout_s=0.01)
async def slow() -> str:
    """Never end."""
    await asyncio.Event().wait()
    return ""


async def test_the_model_is_asked_until_it_answers(llm: FakeProvider) -> None:
    """It gets the tools' shapes, its own turn and the results in the order of its calls."""
    llm.enqueue(calling(("order", {"number": "1"}), ("order", {"number": "2"})), "here")
    record = agent(llm, order)

    answer = await record.chat(ASKED, tools=["order"])

    assert answer == "here"
    shape = llm.history[0].parameters["tools"][0]["function"]
    assert (shape["name"], shape["description"]) == ("order", "Look an order up.")
    said, *results = llm.history[1].messages[1:]
    assert [call["id"] for call in said["tool_calls"]] == ["call_0", "call_1"]
    assert [(turn["tool_call_id"], turn["content"]) for turn in results] == [
        ("call_0", "order 1"),
        ("call_1", "order 2"),
    ]
    assert record.usage.input_tokens == 6


async def test_signed_call_goes_back_signed(llm: FakeProvider) -> None:
    """What the vendor wants back with a call is in the model's own turn."""
    wish, extra = calling(("order", {"number": "1"})), {"google": {"thought_signature": "c2ln"}}
    signed = [{**wish.tool_calls[0], "extra_content": extra}]
    llm.enqueue(wish.but(tool_calls=signed), "here")

    await agent(llm, order).chat(ASKED, tools=["order"])

    assert llm.history[1].messages[1]["tool_calls"] == signed


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("order", "{no json"), "the arguments are not valid JSON"),
        (("order", "[1]"), "the arguments are no JSON object"),
        (("order", {"nr": 1}), "the arguments are wrong: number: Field required"),
        (("order", {"number": "gone"}), "there is no such order"),
        (("order", {"number": "long"}), "its result has 50,001 characters"),
        (("shop__slow", ""), "it gave no result within 0.01 s"),
        (("rm", {}), "there is no such tool; there are: order, shop__slow"),
    ],
    ids=["broken", "list", "wrong", "tool-error", "too-long", "timeout", "unknown"],
)
async def test_what_goes_wrong_is_told(call: Any, said: str, llm: FakeProvider) -> None:
    """The model hears of it as text, and goes on."""
    llm.enqueue(calling(call), "sorry")

    answer = await agent(llm, order, slow).chat(ASKED, tools=["*"])

    assert answer == "sorry"
    [text] = told(llm)
    assert text.startswith(said)


async def test_a_bug_of_a_tool_ends_the_record(llm: FakeProvider) -> None:
    """Anything but a `ToolError` is internal; the model is not told of it."""
    llm.enqueue(calling(("order", {"number": "bug"})))

    with pytest.raises(InternalError, match="order raised ValueError"):
        await agent(llm, order).chat(ASKED, tools=["order"])

    assert len(llm.history) == 1


async def test_a_tool_for_ever_is_a_step_limit(llm: FakeProvider) -> None:
    """The model is asked eight times at most, and the last wish is not granted."""
    llm.enqueue(*(calling(("order", {"number": "1"})) for _ in range(MAX_STEPS)))

    with pytest.raises(StepLimit, match="still calls tools after 8 steps") as caught:
        await agent(llm, order).chat(ASKED, tools=["order"])

    assert caught.value.kind is Kind.STEP_LIMIT
    assert (len(llm.history), RAN["1"]) == (MAX_STEPS, MAX_STEPS - 1)


async def test_forty_calls_in_one_turn_are_a_step_limit(llm: FakeProvider) -> None:
    """None of them is made."""
    llm.enqueue(calling(*(("order", {"number": str(n)}) for n in range(MAX_TOOL_CALLS + 8))))

    with pytest.raises(StepLimit, match="more than 32 calls of tools"):
        await agent(llm, order).chat(ASKED, tools=["order"])

    assert not RAN


async def test_bounds_may_be_wider_and_narrower(llm: FakeProvider) -> None:
    """`max_steps` and `max_tool_calls` of the caller win."""
    llm.enqueue(calling(*(("order", {"number": str(n)}) for n in range(40))), "done")
    assert await agent(llm, order).chat(ASKED, tools=[order], max_tool_calls=40) == "done"

    llm.enqueue(calling(("order", {"number": "1"})))
    with pytest.raises(StepLimit, match="after 1 steps"):
        await agent(llm, order).chat(ASKED, tools=[order], max_steps=1)


async def test_a_deadline_between_steps_is_a_step_limit(llm: FakeProvider) -> None:
    """The next call of the model is not begun."""
    clock = FakeClock()
    deadline = Deadline(30, clock)
    deadline.start()

    @tool
    async def long() -> str:
        """Take long."""
        clock.advance(31)
        return "late"

    llm.enqueue(calling(("long", {})))

    with pytest.raises(
        StepLimit, match=r"its 30 s of active time were over .* STREAMAPP_DEADLINE_S"
    ):
        await agent(llm, deadline=deadline).chat(ASKED, tools=[long])

    assert len(llm.history) == 1


def test_waits_for_kafka_end_neither_a_tool_nor_the_record() -> None:
    """A step of a tool's own, and each step of the loop, waits for longer than both may take."""

    class Away(Kept):
        async def put(self, number: str, step: StoredStep) -> None:
            await asyncio.sleep(600)
            await super().put(number, step)

    async def pay() -> str:
        await asyncio.sleep(1)
        return "paid"

    @tool(timeout_s=5)
    async def refund(llm: LLMClient) -> str:
        """Pay it back."""
        return await llm.step("pay", pay)

    async def scene() -> None:
        llm, store = FakeProvider(), Away()
        llm.enqueue(calling(("refund", {})), "done")
        for _ in range(2):
            deadline = Deadline(90, virtual_clock)
            deadline.start()
            DEADLINE.set(deadline)
            record = agent(llm, refund, store=store, deadline=deadline)
            assert await record.chat(ASKED, tools=[refund]) == "done"
            assert told(llm) == ["paid"]
            assert deadline.spent_s() <= 1
        assert len(llm.history) == 2

    run_virtually(scene())


async def test_a_budget_spent_on_the_way_is_a_step_limit(llm: FakeProvider) -> None:
    """One that was spent before stays what it is; other failures do, too."""
    llm.enqueue(calling(("order", {"number": "1"})), BudgetExceeded("spent"))
    with pytest.raises(StepLimit, match="a budget is spent"):
        await agent(llm, order).chat(ASKED, tools=["order"])

    llm.enqueue(BudgetExceeded("spent"))
    with pytest.raises(BudgetExceeded):
        await agent(llm, order).chat(ASKED, tools=["order"])

    llm.enqueue(calling(("order", {"number": "1"})), RetriesExhausted("away"))
    with pytest.raises(RetriesExhausted):
        await agent(llm, order).chat(ASKED, tools=["order"])


async def test_an_unknown_name_is_the_authors_error(llm: FakeProvider) -> None:
    """No call is made for a prompt that names a tool which nobody has."""
    with pytest.raises(PromptError, match=r"no tool 'ordr'; there are: order"):
        await agent(llm, order).chat(ASKED, tools=["ordr"])

    assert not llm.history


async def test_each_call_is_a_step(llm: FakeProvider) -> None:
    """Delivered again, a finished loop makes no call of the model and runs no tool."""
    llm.enqueue(calling(("order", {"number": "1"}), ("order", {"number": "gone"})), "here")
    kept = Kept()
    first = agent(llm, order, store=kept)
    await first.chat(ASKED, tools=["order"])

    again = agent(llm, order, store=kept)
    answer = await again.chat(ASKED, tools=["order"])

    assert answer == "here"
    assert (len(llm.history), RAN) == (2, Counter({"1": 1, "gone": 1}))
    assert again.tally == first.tally
    assert sorted(kept) == ["1", "2", "3", "4"]


async def test_calls_within_a_tool_are_steps_within_its_step(llm: FakeProvider) -> None:
    """A tool that asks a model is not run again, and its tokens count once, like the others."""

    @tool
    async def summary(text: str, llm: LLMClient) -> str:
        """Sum a text up, twice."""
        RAN["summary"] += 1
        parts = [await llm.chat([{"role": "user", "content": f"{n} {text}"}]) for n in "ab"]
        return " ".join(parts)

    kept = Kept()
    llm.enqueue(calling(("summary", {"text": "t"})), "A", "B", "all")
    first = agent(llm, summary, store=kept)
    await first.chat(ASKED, tools=["summary"])
    finished = Kept(kept)
    for number in ("2", "2.2", "3"):  # killed within the tool
        del kept[number]
    llm.enqueue("B", "all")
    within = agent(llm, summary, store=kept)
    answers = [await within.chat(ASKED, tools=["summary"])]
    calls = len(llm.history)
    behind = agent(llm, summary, store=finished)
    answers.append(await behind.chat(ASKED, tools=["summary"]))

    assert answers == ["all", "all"]
    assert (calls, len(llm.history), RAN["summary"]) == (6, 6, 2)
    assert within.usage == behind.usage == first.usage
    assert first.usage.output_tokens == 8
    assert behind.attempts == first.attempts == 4


async def test_a_schema_binds_the_answer_alone(llm: FakeProvider) -> None:
    """It is sent with each call; what wants tools called is judged by nobody."""
    llm.enqueue(calling(("order", {"number": "1"})), '{"label": "a"}')

    await agent(llm, order).chat(ASKED, tools=["order"], schema=LABELS)

    assert [call.output_schema for call in llm.history] == [LABELS, LABELS]


async def test_an_answer_is_streamed_once_it_is_there(llm: FakeProvider) -> None:
    """What the model says beside its calls is no part of the answer."""
    chunks = TakenChunks()
    llm.enqueue(calling(("order", {"number": "1"})), "here")
    record = agent(llm, order)
    record.calls.common.chunks = chunks

    await record.chat(ASKED, tools=["order"])

    assert (chunks.begun, chunks.texts) == (1, ["here"])
