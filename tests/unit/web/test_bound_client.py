"""OpenAI's own client, bound to a record."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from streamapp.errors import (
    DeliveryFailed,
    Kind,
    ProviderRejected,
    RetriesExhausted,
)
from streamapp.llm.client import LLMClient
from streamapp.llm.durable.stored_step import StoredStep
from streamapp.llm.routing.routes import Routes
from streamapp.processors.registry import Registry, processor
from streamapp.processors.router import Answer, Router
from streamapp.prompts.registry import PromptRegistry
from streamapp.records.request import Request
from streamapp.settings.loading import load_settings
from streamapp.web.openai.bound_client import bound_client
from tests.fakes import FakeProvider
from tests.unit.tools.agents import Kept, calling

ASKED: Any = [{"role": "user", "content": "Hello"}]


class Framed(Request, type="framed"):
    """A record whose processor uses a library."""


Use = Callable[[openai.AsyncOpenAI, LLMClient], Awaitable[Any]]


class Desk:
    """Answers one record by a processor that is given OpenAI's client."""

    def __init__(self, tmp_path: Path) -> None:
        self.default, self.other = FakeProvider("fake"), FakeProvider("other")
        self._prompts = PromptRegistry.load(tmp_path)
        self._settings = load_settings(
            providers={"fake": {"kind": "offline"}, "other": {"kind": "offline"}},
            models={"default": {"targets": ["fake/m"]}, "big": {"targets": ["other/b"]}},
        )

    async def answer(self, use: Use, *, store: Any = None) -> Answer:
        @processor(Framed)
        async def framed(request: Framed, llm: LLMClient) -> Any:
            """Hand the client over."""
            return await use(llm.openai(), llm)

        router = Router(
            registry=Registry([framed]),
            prompts=self._prompts,
            routes=Routes(self._settings, {"fake": self.default, "other": self.other}),
            deadline_s=90,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
            openai=bound_client,
        )
        return await router.answer(Framed(type="framed"), id="r", key=None, store=store)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A router with two routes."""
    return Desk(tmp_path)


async def test_a_call_is_the_records(desk: Desk) -> None:
    """It goes to the record's route with its parameters, and its tokens are the record's."""

    async def use(client: openai.AsyncOpenAI, llm: LLMClient) -> Any:
        made = await client.chat.completions.create(
            model="default", messages=ASKED, temperature=0.5, max_tokens=9
        )
        assert made.usage is not None
        return [made.choices[0].message.content, made.usage.total_tokens]

    answer = await desk.answer(use)

    assert answer.response.output == ["answer to: Hello", 5]
    assert answer.response.usage.output_tokens == 2
    [call] = desk.default.history
    assert call.parameters == {"temperature": 0.5, "max_tokens": 9}
    assert call.deadline.remaining_s() <= 90


async def test_its_calls_are_steps(desk: Desk) -> None:
    """Delivered again, the library asks the same and nobody else is asked."""

    async def use(client: openai.AsyncOpenAI, llm: LLMClient) -> Any:
        said = []
        for text in ("one", "two"):
            turns: Any = [{"role": "user", "content": text}]
            made = await client.chat.completions.create(model="default", messages=turns)
            said.append(made.choices[0].message.content)
        return said

    kept = Kept()
    first = await desk.answer(use, store=kept)
    again = await desk.answer(use, store=kept)

    assert again.response.output == first.response.output == ["answer to: one", "answer to: two"]
    assert (len(desk.default.history), sorted(kept)) == (2, ["1", "2"])
    assert again.response.usage == first.response.usage


async def test_tool_calls_and_schemas_pass(desk: Desk) -> None:
    """What the model wants called comes back; a parsed answer is asked for by its schema."""

    class Mood(BaseModel):
        word: str

    async def use(client: openai.AsyncOpenAI, llm: LLMClient) -> Any:
        tool: Any = {"type": "function", "function": {"name": "look", "parameters": {}}}
        made = await client.chat.completions.create(model="default", messages=ASKED, tools=[tool])
        [call] = list(made.choices[0].message.tool_calls or [])
        parsed = await client.chat.completions.parse(
            model="default", messages=ASKED, response_format=Mood
        )
        assert parsed.choices[0].message.parsed is not None
        return [made.choices[0].finish_reason, call.id, parsed.choices[0].message.parsed.word]

    desk.default.enqueue(calling(("look", {"at": 1})), '{"word": "calm"}')

    answer = await desk.answer(use)

    assert answer.response.output == ["tool_calls", "call_0", "calm"]
    assert desk.default.history[1].parameters["response_format"]["type"] == "json_schema"


async def test_a_stream_has_the_whole_answer(desk: Desk) -> None:
    """Text, calls, end and usage come as events; the call was made, and stored, before them."""

    async def use(client: openai.AsyncOpenAI, llm: LLMClient) -> Any:
        text, tokens = "", 0
        async with client.chat.completions.stream(
            model="default", messages=ASKED, stream_options={"include_usage": True}
        ) as stream:
            async for event in stream:
                if event.type == "content.delta":
                    text += event.delta
                elif event.type == "chunk" and event.chunk.usage:
                    tokens = event.chunk.usage.total_tokens
        return [text, tokens]

    assert (await desk.answer(use)).response.output == ["answer to: Hello", 5]


async def test_other_routes_go_by_their_names(desk: Desk) -> None:
    """A name that is no route is OpenAI's error of that, and no call."""

    async def use(client: openai.AsyncOpenAI, llm: LLMClient) -> Any:
        made = await client.chat.completions.create(model="big", messages=ASKED)
        with pytest.raises(openai.NotFoundError, match="no such route"):
            await client.chat.completions.create(model="gpt-x", messages=ASKED)
        with pytest.raises(openai.NotFoundError, match="use chat completions"):
            await client.responses.create(model="default", input="Hello")
        return made.model

    assert (await desk.answer(use)).response.output == "b"
    assert (len(desk.other.history), len(desk.default.history)) == (1, 0)


async def test_embeddings_and_samples(desk: Desk) -> None:
    """Vectors come in base64 as the client asks for them; `n` answers are calls of their own."""

    async def use(client: openai.AsyncOpenAI, llm: LLMClient) -> Any:
        vectors = await client.embeddings.create(model="default", input=["a", "bb"])
        made = await client.chat.completions.create(model="default", messages=ASKED, n=2)
        return [[one.embedding[0] for one in vectors.data], len(made.choices)]

    assert (await desk.answer(use)).response.output == [[1.0, 2.0], 2]


async def test_streams_and_vectors_are_steps_as_well(desk: Desk) -> None:
    """Delivered again, they come from the ledger: same text, calls, vectors and tokens."""

    async def use(client: openai.AsyncOpenAI, llm: LLMClient) -> Any:
        made = await client.chat.completions.create(model="default", messages=ASKED, stream=True)
        chunks = [chunk async for chunk in made]
        vectors = await client.embeddings.create(model="default", input=["a", "bb"])
        last = await client.chat.completions.create(model="default", messages=ASKED)
        deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
        called = [call.id for delta in deltas for call in delta.tool_calls or () if call.id]
        ends = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
        vector = [one.embedding for one in vectors.data]
        return [called, ends[-1], vector, last.choices[0].message.content]

    kept = Kept()
    desk.default.enqueue(calling(("look", {"at": 1})))
    first = await desk.answer(use, store=kept)
    again = await desk.answer(use, store=kept)

    assert len(desk.default.history) == 3
    assert again.response.output == first.response.output
    assert first.response.output[:2] == [["call_0"], "tool_calls"]
    assert again.response.usage == first.response.usage
    assert again.response.attempts == first.response.attempts == 3


@pytest.mark.parametrize("is_wrapped", [False, True], ids=["openais", "a library's"])
async def test_a_failed_call_keeps_its_kind(desk: Desk, is_wrapped: bool) -> None:
    """The record ends as if it had called by itself, also where a library wraps the error."""

    async def use(client: openai.AsyncOpenAI, llm: LLMClient) -> Any:
        try:
            return await client.chat.completions.create(model="default", messages=ASKED)
        except openai.UnprocessableEntityError as error:
            if is_wrapped:
                raise RuntimeError("model failed") from error
            raise

    desk.default.enqueue(ProviderRejected("refused", provider="fake", status=400))

    with pytest.raises(ProviderRejected) as caught:
        await desk.answer(use)

    assert caught.value.kind is Kind.REJECTED
    assert len(desk.default.history) == 1


async def test_a_wrong_body_is_named_by_its_field(desk: Desk) -> None:
    """As over HTTP, without its value."""

    async def use(client: openai.AsyncOpenAI, llm: LLMClient) -> Any:
        turns: Any = [{"role": "wizard", "content": "secret"}]
        with pytest.raises(openai.UnprocessableEntityError, match="messages") as caught:
            await client.chat.completions.create(model="default", messages=turns)
        assert "secret" not in str(caught.value)
        return "ok"

    assert (await desk.answer(use)).response.output == "ok"


async def test_a_step_that_kafka_did_not_take_is_no_failure_of_the_record(desk: Desk) -> None:
    """It ends the worker, as anywhere else, and not the record."""

    class Refusing(Kept):
        limit_bytes = 1_000_000

        async def adopt(self, number: str, step: StoredStep) -> None: ...

        async def put(self, number: str, step: StoredStep) -> None:
            raise DeliveryFailed("not acknowledged")

    async def use(client: openai.AsyncOpenAI, llm: LLMClient) -> Any:
        return await client.chat.completions.create(model="default", messages=ASKED)

    with pytest.raises(DeliveryFailed):
        await desk.answer(use, store=Refusing())


async def test_its_own_bugs_stay_bugs(desk: Desk) -> None:
    """A failure that was handled is not what the record ends with."""

    async def use(client: openai.AsyncOpenAI, llm: LLMClient) -> Any:
        try:
            await client.chat.completions.create(model="default", messages=ASKED)
        except openai.APIStatusError:
            raise KeyError("bug")  # noqa: B904  # as people write it

    desk.default.enqueue(RetriesExhausted("away"))

    with pytest.raises(Exception, match="raised KeyError"):
        await desk.answer(use)
