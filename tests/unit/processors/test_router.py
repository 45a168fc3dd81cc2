"""One record's way: expiry, prompt, route, answer, and what goes wrong on it."""

import asyncio
import gc
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from streamapp.errors import (
    Expired,
    Failure,
    GarbledAnswer,
    InternalError,
    InvalidRecord,
    ModelForbidden,
    PromptNotFound,
    ProviderRejected,
    ProviderUnavailable,
)
from streamapp.llm.caller import CALLER
from streamapp.llm.client import LLMClient
from streamapp.llm.completion import Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.durable.stored_step import StoredStep
from streamapp.llm.providers.offline import OfflineProvider
from streamapp.processors.drainable_router import DrainableRouter
from streamapp.processors.embed import Embed
from streamapp.processors.registry import Registry, processor
from streamapp.processors.router import Router
from streamapp.processors.summarize import Summarize
from streamapp.records.request import Request
from streamapp.records.response import Usage
from streamapp.streaming.delivery.outcomes import OutcomeRecorder, RecordingRouter
from streamapp.telemetry.metrics import Metrics
from tests.fakes import FakeClock, FakeProvider, TakenChunks
from tests.unit.processors.conftest import NOW

MakeRouter = Callable[..., Router]


class Own(Request, type="own"):
    text: str = ""


def summarize(**fields: Any) -> Summarize:
    return Summarize(type="summarize", text="a text", **fields)


async def test_the_response_describes_the_answer(router: Router, llm: FakeProvider) -> None:
    """Everything the contract promises about an answer is in its response."""
    llm.enqueue(
        Completion(
            output="short",
            model="m-2030",
            provider="fake",
            usage=Usage(input_tokens=120, output_tokens=30),
            finish_reason="stop",
        )
    )

    response = (
        await router.answer(summarize(metadata={"any": "thing"}), id="r-1", key=b"k")
    ).response

    assert response.model_dump(mode="json") == {
        "id": "r-1",
        "type": "summarize",
        "status": "ok",
        "output": "short",
        "model": "m-2030",
        "provider": "fake",
        "prompt": {"name": "summarize", "version": 1, "label": "production"},
        "usage": {
            "input_tokens": 120,
            "output_tokens": 30,
            "cached_input_tokens": 0,
            "reasoning_tokens": 0,
            "estimated": False,
        },
        "cost_usd": None,
        "cached": False,
        "attempts": 1,
        "duration_s": 0.0,
        "finish_reason": "stop",
        "metadata": {"any": "thing"},
        "created_at": "2030-01-01T00:00:00Z",
    }


async def test_the_duration_begins_with_the_first_attempt(
    make_router: MakeRouter, llm: FakeProvider, clock: FakeClock
) -> None:
    """Active seconds up to the outcome, to four places, without what came before the call."""

    @processor(Own)
    async def own(request: Own, llm: LLMClient) -> Any:
        clock.advance(5)
        answer = await llm.chat([{"role": "user", "content": "x"}])
        clock.advance(0.123456)
        return answer

    router = make_router(Registry([own]))

    response = (await router.answer(Own(type="own"), id="r", key=None)).response

    assert response.duration_s == 0.1235


async def test_a_record_past_its_own_deadline_expires_before_any_call(
    router: Router, llm: FakeProvider
) -> None:
    """Nothing is paid for an answer that nobody waits for."""
    with pytest.raises(Expired):
        await router.answer(summarize(deadline=NOW), id="r", key=None)
    await router.answer(summarize(deadline=NOW + timedelta(seconds=1)), id="r", key=None)

    assert len(llm.history) == 1


async def test_a_given_deadline_is_the_one_that_counts(
    router: Router, llm: FakeProvider, clock: FakeClock
) -> None:
    """An HTTP request's deadline runs from before the first attempt."""
    deadline = Deadline(90, clock)
    deadline.start()
    clock.advance(2)

    response = (await router.answer(summarize(), id="r", key=None, deadline=deadline)).response

    assert response.duration_s == 2.0
    assert llm.history[0].deadline is deadline


@pytest.mark.parametrize(
    ("reference", "label"),
    [(None, "production"), ("summarize@production", "production"), ("summarize:1", None)],
    ids=["default", "label", "version"],
)
async def test_the_response_names_the_prompt(
    router: Router, reference: str | None, label: str | None
) -> None:
    """Name, version, and the label if the record came by one."""
    response = (await router.answer(summarize(prompt=reference), id="r", key=None)).response

    assert response.prompt is not None
    assert response.prompt.model_dump() == {"name": "summarize", "version": 1, "label": label}


async def test_an_unknown_prompt_is_not_quoted(router: Router, llm: FakeProvider) -> None:
    """The record's value stays out of the message."""
    with pytest.raises(PromptNotFound, match="no prompt of that name") as caught:
        await router.answer(summarize(prompt="canary"), id="r", key=None)

    assert "canary" not in str(caught.value)
    assert llm.history == []


@pytest.mark.parametrize(
    ("in_record", "in_prompt", "used"),
    [(None, "", "m"), (None, "model: large", "l"), ("default", "model: large", "m")],
    ids=["default", "of the prompt", "of the record"],
)
async def test_the_model_is_the_records_then_the_prompts_then_the_default(
    make_router: MakeRouter, tmp_path: Path, in_record: str | None, in_prompt: str, used: str
) -> None:
    """Who names a route first wins."""
    (tmp_path / "summarize.md").write_text(f"---\n{in_prompt}\n---\n{{{{ text }}}}")
    router = make_router(prompts_dir=tmp_path)

    response = (await router.answer(summarize(model=in_record), id="r", key=None)).response

    assert response.model == used


@pytest.mark.parametrize(
    ("key", "in_record", "in_prompt", "may"),
    [
        ("small", None, "model: large", False),
        ("small", None, "", True),
        ("small", "default", "model: large", True),
        ("small", "large", "", False),
        ("large", None, "model: large", True),
        ("large", None, "", False),
        ("", None, "model: large", True),
        ("free", None, "model: large", True),
    ],
)
async def test_key_uses_its_own_models_whoever_names_them(
    make_router: MakeRouter,
    llm: FakeProvider,
    tmp_path: Path,
    key: str,
    in_record: str | None,
    in_prompt: str,
    may: bool,
) -> None:
    """The route that a prompt names is no way around the models of the key that sent a record."""
    (tmp_path / "summarize.md").write_text(f"---\n{in_prompt}\n---\n{{{{ text }}}}")
    models_of = {"small": {"default"}, "large": {"large"}}
    router = make_router(prompts_dir=tmp_path, models_of=models_of)
    CALLER.set(key)

    with nullcontext() if may else pytest.raises(ModelForbidden):
        await router.answer(summarize(model=in_record), id="r", key=None)

    assert len(llm.history) == may


async def test_an_unknown_model_is_invalid_and_not_quoted(
    router: Router, llm: FakeProvider
) -> None:
    """Records can name configured routes, nothing else."""
    with pytest.raises(InvalidRecord) as caught:
        await router.answer(summarize(model="canary"), id="r", key=None)

    assert "canary" not in str(caught.value)
    assert llm.history == []


@dataclass
class Score:
    """A number that JSON may not have."""

    score: float


class Rating(BaseModel):
    """Likewise; pydantic writes null."""

    score: float


_NO_NUMBERS = (nan, [inf], {"a": -inf}, Score(nan), {"a": Rating(score=nan)})


@pytest.mark.parametrize(
    ("output", "why"),
    [
        *((one, "NaN and infinity are not JSON") for one in _NO_NUMBERS),
        (object(), "there is a value of type object"),
        ({"a": [object()]}, "there is a value of type object"),
    ],
    ids=["nan", "infinity", "nested", "dataclass", "model", "no-json", "deep"],
)
async def test_an_output_that_json_cannot_carry_is_internal(
    output: Any, why: str, make_router: MakeRouter
) -> None:
    """It is not written as null, which somebody would count with."""

    @processor(Own)
    async def own(request: Own, llm: LLMClient) -> Any:
        return output

    problem = f"^the processor of 'own' returned what is not JSON: {why}$"
    with pytest.raises(InternalError, match=problem):
        await make_router(Registry([own])).answer(Own(type="own"), id="r", key=None)


async def test_a_forgotten_await_is_told(make_router: MakeRouter) -> None:
    """The call was never made."""

    @processor(Own)
    async def own(request: Own, llm: LLMClient) -> Any:
        return llm.chat([{"role": "user", "content": "x"}])

    with pytest.raises(InternalError, match="not JSON: a coroutine; is an 'await' missing"):
        await make_router(Registry([own])).answer(Own(type="own"), id="r", key=None)


async def test_a_processors_bug_is_internal(make_router: MakeRouter) -> None:
    """What a processor raises by mistake ends its record, with the calls it made counted."""

    @processor(Own)
    async def own(request: Own, llm: LLMClient) -> Any:
        await llm.chat([{"role": "user", "content": "x"}])
        raise KeyError("canary")

    router = make_router(Registry([own]))

    with pytest.raises(InternalError, match="raised KeyError") as caught:
        await router.answer(Own(type="own"), id="r", key=None)

    assert caught.value.attempts == 1
    assert isinstance(caught.value.__cause__, KeyError)
    assert "canary" not in str(caught.value)


async def test_a_failure_counts_all_attempts_of_the_record(
    make_router: MakeRouter, llm: FakeProvider
) -> None:
    """Also those of earlier calls that succeeded."""

    @processor(Own)
    async def own(request: Own, llm: LLMClient) -> Any:
        await llm.chat([{"role": "user", "content": "x"}])
        await llm.chat([{"role": "user", "content": "y"}])

    llm.enqueue(
        ProviderUnavailable("503", provider="fake"),
        "fine",
        ProviderRejected("400", provider="fake", status=400),
    )
    router = make_router(Registry([own]))

    with pytest.raises(ProviderRejected) as caught:
        await router.answer(Own(type="own"), id="r", key=None)

    assert caught.value.attempts == 3


async def test_a_processors_own_failure_counts_the_calls_before_it(
    make_router: MakeRouter,
) -> None:
    """A processor may refuse a record after it has asked the model."""

    @processor(Own)
    async def own(request: Own, llm: LLMClient) -> Any:
        await llm.chat([{"role": "user", "content": "x"}])
        raise InvalidRecord("field 'text': no")

    with pytest.raises(InvalidRecord) as caught:
        await make_router(Registry([own])).answer(Own(type="own"), id="r", key=None)

    assert caught.value.attempts == 1


async def test_calls_side_by_side_fail_as_one_does(
    make_router: MakeRouter, llm: FakeProvider
) -> None:
    """The failure of one call in a task group is the record's, not a bug of the processor."""

    @processor(Own)
    async def own(request: Own, llm: LLMClient) -> Any:
        async with asyncio.TaskGroup() as calls:
            for text in "ab":
                calls.create_task(llm.chat([{"role": "user", "content": text}]))

    llm.enqueue("fine", ProviderRejected("400", provider="fake", status=400))

    with pytest.raises(ProviderRejected) as caught:
        await make_router(Registry([own])).answer(Own(type="own"), id="r", key=None)

    assert caught.value.attempts == 2


@pytest.mark.parametrize("raised", [asyncio.CancelledError, SystemExit, KeyboardInterrupt])
async def test_a_processor_cannot_end_its_worker(
    make_router: MakeRouter, raised: type[BaseException]
) -> None:
    """What looks like a stop, and is none, ends the record alone: no worker would get past it."""

    @processor(Own)
    async def own(request: Own, llm: LLMClient) -> Any:
        raise raised

    router = make_router(Registry([own]))

    with pytest.raises(InternalError, match=f"raised {raised.__name__}"):
        await router.answer(Own(type="own"), id="r", key=None)


async def test_what_a_failed_record_leaves_behind_makes_no_more_calls(
    make_router: MakeRouter, llm: FakeProvider
) -> None:
    """Tasks of a gather go on when one fails: their calls would be paid and never counted."""
    go_on, left = asyncio.Event(), []

    async def piece(llm: LLMClient) -> None:
        await go_on.wait()
        await llm.chat([{"role": "user", "content": "x"}])

    async def fail() -> None:
        raise KeyError

    @processor(Own)
    async def own(request: Own, llm: LLMClient) -> Any:
        left.append(asyncio.create_task(piece(llm)))
        await asyncio.gather(left[0], fail())

    router = make_router(Registry([own]))
    with pytest.raises(InternalError, match="KeyError"):
        await router.answer(Own(type="own"), id="r", key=None)

    go_on.set()
    with pytest.raises(InternalError, match="ended"):
        await left[0]

    assert llm.history == []


async def test_a_cancellation_passes(make_router: MakeRouter) -> None:
    """A rebalance or a client that left stops the processor; that is no failure."""
    started = asyncio.Event()

    @processor(Own)
    async def own(request: Own, llm: LLMClient) -> Any:
        started.set()
        await asyncio.Event().wait()

    router = make_router(Registry([own]))
    task = asyncio.create_task(router.answer(Own(type="own"), id="r", key=None))
    await started.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_offline_answer_is_made_of_the_call_alone(make_router: MakeRouter) -> None:
    """What a record says elsewhere is in no answer that another record's equal call shares."""

    class Reply(Request, type="reply"):
        text: str

    @processor(Reply)
    async def reply(request: Reply, llm: LLMClient) -> Any:
        return await llm.chat([{"role": "user", "content": "Answer a customer about a lamp."}])

    router = make_router(Registry([reply]), provider=OfflineProvider("fake"))

    answers = [
        await router.answer(Reply(type="reply", text=text), id=text, key=None)
        for text in ("a", "b")
    ]

    outputs = [answer.response.output for answer in answers]
    assert outputs == ["[offline] Answer a customer about a lamp."] * 2


async def test_a_users_type_can_embed(make_router: MakeRouter, llm: FakeProvider) -> None:
    """The route follows the call's operation: embeddings have a model of their own."""

    @processor(Own)
    async def own(request: Own, llm: LLMClient) -> Any:
        return await llm.embed(["x"])

    response = (
        await make_router(Registry([own])).answer(Own(type="own"), id="r", key=None)
    ).response

    assert response.model == "e"


def test_problems_name_what_would_fail_records(make_router: MakeRouter, tmp_path: Path) -> None:
    """What would fail every record of a type is found without one."""

    @processor(Own, prompt="own")
    async def own(request: Own, llm: LLMClient) -> Any: ...

    (tmp_path / "haiku.md").write_text("---\nname: haiku\nmodel: huge\n---\nWrite a haiku.")
    (tmp_path / "poem.md").write_text("---\noutput_schema: {type: strin}\n---\nWrite a poem.")

    problems = make_router(Registry([own]), tmp_path).problems()

    assert problems == [
        "record type 'own' needs the prompt 'own': add own.md to the prompts",
        f"prompt file {tmp_path}/haiku.md, line 3: there is no model 'huge': use one of"
        " default, large",
        f"prompt file {tmp_path}/poem.md, line 2, output_schema: schema is no valid JSON Schema"
        " (draft 2020-12): see 'type' in it",
    ]
    assert make_router().problems() == []


def test_a_prompt_that_asks_for_more_than_its_records_give_is_a_problem(
    make_router: MakeRouter, tmp_path: Path
) -> None:
    """The file's line and what there is; what the text can do without is none."""
    body = "{{ tone|default('dry') }}{% if hint is defined %}{{ hint }}{% endif %}\n{{ txt }}"
    (tmp_path / "summarize.md").write_text(f"---\nname: summarize\n---\n{body}")

    problems = make_router(Registry.load(()), tmp_path).problems()

    assert problems == [
        f"prompt file {tmp_path}/summarize.md, line 5: 'summarize' has no variable 'txt':"
        " use max_words, text"
    ]


def test_what_a_users_processor_gives_is_its_own_affair(
    make_router: MakeRouter, tmp_path: Path
) -> None:
    """It may make variables that no field of the record has."""

    @processor(Own, prompt="own")
    async def own(request: Own, llm: LLMClient) -> Any: ...

    (tmp_path / "own.md").write_text("{{ anything }}")

    assert make_router(Registry([own]), tmp_path).problems() == []


async def test_calls_of_a_record_say_how_they_may_be_shared(
    make_router: MakeRouter, llm: FakeProvider, tmp_path: Path
) -> None:
    """The record and its prompt decide whether and for how long an answer is kept."""
    (tmp_path / "fresh.md").write_text("---\ncache: false\n---\nOne.\n")
    (tmp_path / "short.md").write_text("---\ncache_ttl_s: 5\n---\nOne.\n")
    router = make_router(prompts_dir=tmp_path)

    for fields in ({}, {"cache": False}, {"prompt": "fresh"}, {"prompt": "short"}):
        await router.answer(summarize(**fields), id="r", key=None)

    policies = [(call.prompt, call.cache, call.cache_ttl_s) for call in llm.history]
    assert policies == [
        ("summarize:1", True, None),
        ("summarize:1", False, None),
        ("fresh:1", False, None),
        ("short:1", True, 5.0),
    ]


@pytest.mark.parametrize(
    ("metadata", "tenant"),
    [
        ({}, ""),
        ({"tenant": "a"}, "a"),
        ({"tenant": None}, ""),
        ({"tenant": 7}, "7"),
        ({"tenant": ["a"]}, '["a"]'),
    ],
    ids=str,
)
async def test_calls_carry_the_tenant(
    metadata: dict[str, Any], tenant: str, router: Router, llm: FakeProvider
) -> None:
    """The tenant of a record's metadata goes with its calls, as text."""
    await router.answer(summarize(metadata=metadata), id="r", key=None)

    assert llm.history[0].tenant == tenant


async def test_chunks_go_with_the_calls(router: Router, llm: FakeProvider) -> None:
    """A taker of chunks goes with the calls that have text, and with no others."""
    chunks = TakenChunks()

    await router.answer(summarize(), id="r", key=None, chunks=chunks)
    await router.answer(Embed(type="embed", input=["a"]), id="r", key=None, chunks=chunks)

    assert [call.chunks for call in llm.history] == [chunks, None]


async def test_answer_says_what_else_it_answers(router: Router, llm: FakeProvider) -> None:
    """The fingerprint of the only call stands beside the response, and so does its cost."""
    llm.enqueue(
        Completion(
            output="a", model="m", provider="p", fingerprint="f", cost_usd=Decimal("0.00000015")
        )
    )

    answer = await router.answer(summarize(), id="r", key=None)

    assert answer.fingerprint == "f"
    assert b'"cost_usd":"0.00000015"' in answer.response.encode()


async def test_deadline_of_the_record_ends_every_wait(
    make_router: MakeRouter, llm: FakeProvider
) -> None:
    """A record that waits for a limit, an outage or an answer expires at its own deadline."""
    ended = asyncio.Event()

    @processor(Own)
    async def own(request: Own, llm: LLMClient) -> Any:
        llm.calls.common.deadline.failed("p: HTTP 429")
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    router = make_router(Registry([own]))
    waiting = Own(type="own", deadline=NOW + timedelta(milliseconds=20))

    with pytest.raises(Expired, match=r"before there was an answer; .*: p: HTTP 429") as caught:
        await router.answer(waiting, id="r-1", key=None)
    assert ended.is_set()
    assert caught.value.attempts == 1


async def test_time_out_of_a_processor_is_no_expiry(make_router: MakeRouter) -> None:
    """A time limit that a processor set itself is its own bug, whatever the record's deadline."""

    @processor(Own)
    async def own(request: Own, llm: LLMClient) -> Any:
        raise TimeoutError

    router = make_router(Registry([own]))

    with pytest.raises(InternalError):
        await router.answer(Own(type="own", deadline=NOW + timedelta(hours=1)), id="r-1", key=None)


class _Kept(dict[str, StoredStep]):
    limit_bytes = 1_000_000

    async def adopt(self, number: str, step: StoredStep) -> None: ...

    async def put(self, number: str, step: StoredStep) -> None:
        self[number] = step


@pytest.mark.parametrize("store", [_Kept(), None], ids=["topic", "http"])
async def test_an_answered_record_waits_for_no_collector(
    router: Router, store: _Kept | None
) -> None:
    """What a record's task held is freed as it ends: cycles cost a fifth of the CPU of each."""
    request = summarize()
    gc.collect()
    gc.disable()
    try:
        await asyncio.create_task(router.answer(request, id="r-1", key=b"k", store=store))
        await asyncio.sleep(0)  # the loop holds the task that it has just woken this one for

        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "errors",
    [
        lambda: [ProviderRejected("no", provider="fake", status=400)],
        lambda: [ProviderUnavailable("fake: HTTP 503", provider="fake", status=503)],
        lambda: [GarbledAnswer("no JSON", provider="fake") for _ in range(9)],
    ],
    ids=["refused", "tried again", "given up"],
)
async def test_a_record_with_errors_waits_for_no_collector(
    router: Router, llm: FakeProvider, errors: Callable[[], list[Exception]]
) -> None:
    """An error holds the frames that hold it, and the record: of large ones gigabytes gathered."""
    drainable = DrainableRouter(router, deadline_s=90, clock=lambda: 0.0)
    counted = RecordingRouter(drainable, OutcomeRecorder(Metrics()))

    async def over_http() -> None:
        llm.enqueue(*errors())
        with suppress(Failure):
            await counted.answer(summarize(), id="r-1", key=b"k")

    await over_http()  # what is made once is made
    llm.history.clear()
    gc.collect()
    gc.disable()
    try:
        await asyncio.create_task(over_http())
        await asyncio.sleep(0)
        llm.history.clear()

        assert gc.collect() == 0
    finally:
        gc.enable()
