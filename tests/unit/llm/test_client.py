"""The model as one record sees it."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from streamapp.errors import InternalError, PromptError
from streamapp.llm.client import LLMClient
from streamapp.llm.client_parts import Embed
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.prompts.settings import PromptSettings
from streamapp.records.response import Usage
from tests.fakes import FakeProvider
from tests.unit.llm.calls import LABELS, unavailable


@dataclass
class Greeting:
    """A prompt with one variable."""

    parameters: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0})
    output_schema: Mapping[str, Any] | None = None
    agent: PromptSettings = field(default_factory=PromptSettings)

    async def messages(self, variables: Mapping[str, Any], *, embed: Embed) -> list[dict[str, Any]]:
        return [{"role": "user", "content": f"Greet {variables['name']}"}]


def client(llm: FakeProvider, *, prompt: Greeting | None = None, **fields: Any) -> LLMClient:
    call = Call(model="default", deadline=Deadline(30, time.monotonic), **fields)
    return LLMClient(provider=llm, call=call, prompt=prompt)


async def test_generate_renders_the_records_prompt(llm: FakeProvider) -> None:
    """The prompt is rendered with the variables and sent with its parameters."""
    text = await client(llm, prompt=Greeting()).generate({"name": "Ada"})

    assert text == "answer to: Greet Ada"
    assert llm.history[0].messages == [{"role": "user", "content": "Greet Ada"}]
    assert llm.history[0].parameters == {"temperature": 0}


async def test_vectors_for_the_prompt_are_the_records_expense(llm: FakeProvider) -> None:
    """They come of the route for embeddings, and the record's tokens tell of them."""

    class Near(Greeting):
        async def messages(self, variables: Mapping[str, Any], *, embed: Embed) -> list[Any]:
            [vector] = await embed([variables["name"]])
            return [{"role": "user", "content": str(vector)}]

    embedder = FakeProvider("embedder")
    call = Call(model="default", deadline=Deadline(30, time.monotonic), tenant="acme")
    record = LLMClient(provider=llm, call=call, prompt=Near(), embedder=embedder)

    text = await record.generate({"name": "Ada"})

    assert text == "answer to: [3.0, 1.0]"
    [asked] = embedder.history
    assert (asked.operation, asked.inputs, asked.tenant) == ("embeddings", ["Ada"], "acme")
    assert (record.attempts, record.provider) == (2, "fake")


async def test_generate_prefers_the_given_schema(llm: FakeProvider) -> None:
    """A processor's schema stands in for the prompt's own."""
    prompt = Greeting(output_schema={"type": "string"})

    await client(llm, prompt=prompt).generate({"name": "Ada"}, schema=LABELS)
    await client(llm, prompt=prompt).generate({"name": "Ada"})

    assert [call.output_schema for call in llm.history] == [LABELS, {"type": "string"}]


async def test_generate_without_a_prompt_is_the_authors_error(llm: FakeProvider) -> None:
    """A processor that renders without having a prompt fails with a prompt error."""
    with pytest.raises(PromptError):
        await client(llm).generate({})


async def test_chat_sends_messages_as_they_are(llm: FakeProvider) -> None:
    """Messages and parameters of a chat pass unchanged."""
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]

    await client(llm).chat(messages, parameters={"max_tokens": 5})

    assert llm.history[0].messages == messages
    assert llm.history[0].parameters == {"max_tokens": 5}


async def test_embed_gives_vectors(llm: FakeProvider) -> None:
    """Embedding gives the provider's vectors for the inputs."""
    vectors = await client(llm).embed(["a", "bc"])

    assert vectors == [[1.0, 1.0], [2.0, 1.0]]
    assert llm.history[0].operation == "embeddings"


@pytest.mark.parametrize(
    "ask",
    [
        lambda record: record.generate({"name": "Ada"}),
        lambda record: record.chat([]),
        lambda record: record.chat([], tools=["shop.*"]),
        lambda record: record.embed(["a"]),
        lambda record: record.step("s", asyncio.sleep, 0),
    ],
    ids=["generate", "chat", "tools", "embed", "step"],
)
async def test_another_event_loop_is_refused(
    llm: FakeProvider, ask: Callable[[LLMClient], Coroutine[Any, Any, Any]]
) -> None:
    """Before anything is touched that is the worker's; a thread hands its call over."""

    class Untouched(Greeting):
        async def messages(self, variables: Mapping[str, Any], *, embed: Embed) -> list[Any]:
            raise AssertionError("not here")

    record, loop = client(llm, prompt=Untouched()), asyncio.get_running_loop()
    question = [{"role": "user", "content": "q"}]

    with pytest.raises(InternalError, match="called from another event loop"):
        await asyncio.to_thread(lambda: asyncio.run(ask(record)))
    assert (llm.history, record.attempts) == ([], 0)
    handed_over = await asyncio.to_thread(
        lambda: asyncio.run_coroutine_threadsafe(record.chat(question), loop).result()
    )

    assert handed_over == "answer to: q"
    assert record.attempts == 1


async def test_calls_of_a_record_are_summed(llm: FakeProvider) -> None:
    """Usage and attempts are of all calls; the names are of the last one."""
    spent = Usage(input_tokens=5, output_tokens=1)
    llm.enqueue(
        Completion(output="a", model="m1", provider="p1", usage=spent, attempts=2),
        Completion(output="b", model="m2", provider="p2", usage=spent, finish_reason="length"),
    )
    record = client(llm)

    await record.chat([])
    await record.chat([])

    assert record.usage == Usage(input_tokens=10, output_tokens=2)
    assert record.attempts == 3
    assert (record.model, record.provider) == ("m2", "p2")
    assert record.tally.last is not None
    assert record.tally.last.finish_reason == "length"


@pytest.mark.parametrize(
    ("cached", "is_cached"),
    [([True, True], True), ([True, False], False), ([False, True], False), ([], False)],
)
async def test_record_is_cached_when_all_its_calls_are(
    cached: list[bool], is_cached: bool, llm: FakeProvider
) -> None:
    """A record counts as cached when it called, and every call came from a cache."""
    record = client(llm)
    for flag in cached:
        llm.enqueue(Completion(output="a", model="m", provider="p", cached=flag))
        await record.chat([])

    assert record.tally.cached is is_cached


@pytest.mark.parametrize(
    ("costs", "total"),
    [
        ([], Decimal(0)),
        ([Decimal("0.1"), Decimal("0.2")], Decimal("0.3")),
        ([Decimal("0.1"), None], None),
        ([None, Decimal("0.1")], None),
    ],
    ids=str,
)
async def test_costs_are_summed_where_all_are_known(
    costs: list[Decimal | None], total: Decimal | None, llm: FakeProvider
) -> None:
    """A record costs what its calls cost; one unknown price makes the sum unknown."""
    record = client(llm)
    for cost in costs:
        llm.enqueue(Completion(output="a", model="m", provider="p", cost_usd=cost))
        await record.chat([])

    assert record.cost_usd == total


async def test_one_call_has_a_fingerprint(llm: FakeProvider) -> None:
    """The output of a record's only call answers equal calls; nothing made of it does."""
    shared = Completion(output={"a": 1}, model="m", provider="p", fingerprint="f")
    llm.enqueue(shared, shared)
    record = client(llm)

    output = await record.chat([])

    assert record.tally.fingerprint_of(output) == "f"
    assert record.tally.fingerprint_of({"a": 1}) is None
    await record.chat([])
    assert record.tally.fingerprint_of(output) is None


@pytest.mark.parametrize("new", [2, {1, 2}], ids=["other", "no JSON"])
async def test_output_that_was_changed_in_its_place_has_no_fingerprint(
    new: object, llm: FakeProvider
) -> None:
    """A processor that changes what it was given would have equal calls answered by its change."""
    llm.enqueue(Completion(output={"a": 1}, model="m", provider="p", fingerprint="f"))
    record = client(llm)

    output = await record.chat([])
    output["a"] = new

    assert record.tally.fingerprint_of(output) is None


async def test_call_that_is_not_shared_has_no_fingerprint(llm: FakeProvider) -> None:
    """Without a call, or with one that is not to be shared, there is no fingerprint."""
    record = client(llm)
    assert record.tally.fingerprint_of(None) is None

    llm.enqueue("text")
    assert record.tally.fingerprint_of(await record.chat([])) is None


async def test_failure_counts_all_attempts_of_the_record(llm: FakeProvider) -> None:
    """A failure carries the attempts of the calls before it."""
    failure = unavailable()
    failure.attempts = 3
    llm.enqueue("first", failure)
    record = client(llm)
    await record.chat([])

    with pytest.raises(type(failure)):
        await record.chat([])

    assert failure.attempts == record.attempts == 4


async def test_record_with_a_call_behind_it_is_no_longer_free_to_go(llm: FakeProvider) -> None:
    """Where nothing is stored it goes at no cost while its first call waits, and not later."""
    waits: list[bool] = []

    class Waiting(FakeProvider):
        async def complete(self, call: Call) -> Completion:
            with call.deadline.suspended():
                waits.append(call.deadline.is_only_waiting)
            return await super().complete(call)

    record = client(Waiting("slow"))

    await record.chat([{"role": "user", "content": "one"}])
    await record.chat([{"role": "user", "content": "two"}])

    assert waits == [True, False]
