"""`POST /v1/generate` over HTTP."""

import asyncio
import io
from collections import Counter
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from streamapp import errors
from streamapp.llm.deadline import DEADLINE, Deadline
from streamapp.settings import ModelSettings, ProviderSettings
from streamapp.streaming.app.health import Check
from streamapp.streaming.delivery.outcomes import OutcomeRecorder, RecordingRouter
from tests.support.waiting import until

from .conftest import FakeHealth, FakeRequestHandler, Serve

RECORD = {"type": "echo", "text": "hi", "metadata": {"any": "thing"}}
CHAT = {"model": "default", "messages": [{"role": "user", "content": "q"}]}


async def test_record_is_answered_with_its_response(
    serve: Serve, handler: FakeRequestHandler
) -> None:
    """Any request record gets its response record, with an id made up where it has none."""
    site = await serve()

    status, body, headers = await site("POST", "/v1/generate", json=RECORD)

    assert status == 200
    assert headers["Content-Type"].startswith("application/json")
    assert body["output"] == "hello"
    assert body["metadata"] == {"any": "thing"}
    assert body["id"] == handler.asked[0][1]
    assert body["id"].startswith("http-")


async def test_record_keeps_its_own_id(serve: Serve) -> None:
    """The caller's id comes back."""
    site = await serve()

    _, body, _ = await site("POST", "/v1/generate", json=RECORD | {"id": "mine"})

    assert body["id"] == "mine"


async def test_short_form_is_a_generate_record(serve: Serve, handler: FakeRequestHandler) -> None:
    """Prompt and variables alone are enough."""
    site = await serve()

    status, _, _ = await site(
        "POST", "/v1/generate", data=' {"prompt": "greet@production", "variables": {"who": "you"}}'
    )

    request = handler.asked[0][0]
    assert status == 200
    assert (request.type, request.prompt) == ("generate", "greet@production")


def provider_error(cls: type[errors.ProviderError], **kwargs: Any) -> errors.ProviderError:
    return cls("why", provider="p", **kwargs)


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (errors.InvalidRecord("why"), 422, "invalid"),
        (errors.UnknownType("why"), 422, "unknown_type"),
        (errors.PromptError("why"), 422, "prompt_error"),
        (errors.PromptNotFound("why"), 404, "prompt_error"),
        (errors.OutputInvalid("why"), 422, "output_invalid"),
        (errors.TooLarge("why"), 413, "too_large"),
        (errors.BudgetExceeded("why"), 429, "budget_exceeded"),
        (errors.RetriesExhausted("why"), 503, "retries_exhausted"),
        (errors.Expired("why"), 504, "expired"),
        (provider_error(errors.ProviderRejected), 422, "rejected"),
        (provider_error(errors.ContextLengthExceeded), 422, "context_length"),
        (provider_error(errors.ContentFiltered), 422, "content_filtered"),
        (provider_error(errors.ProviderDenied), 503, "retries_exhausted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_failure_has_its_status_and_its_kind_as_code(
    serve: Serve, handler: FakeRequestHandler, failure: errors.Failure, status: int, code: str
) -> None:
    """Each kind of failure becomes the contract's status, code and body."""
    site = await serve()
    handler.failure = failure

    got, body, headers = await site("POST", "/v1/generate", json=RECORD)

    assert got == status
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert (body["error"]["code"], body["error"]["message"]) == (code, "why")
    assert ("Retry-After" in headers) == (status == 503)


async def test_retry_after_is_the_providers_wish(serve: Serve, handler: FakeRequestHandler) -> None:
    """What the last provider asked for is passed on, in whole seconds."""
    site = await serve()
    handler.failure = errors.RetriesExhausted("why")
    handler.failure.__cause__ = provider_error(errors.RateLimited, retry_after_s=11.2)

    _, _, headers = await site("POST", "/v1/generate", json=RECORD)

    assert headers["Retry-After"] == "12"


@pytest.mark.parametrize(
    "failure", [errors.InternalError("CANARY"), RuntimeError("CANARY"), KeyError("CANARY")]
)
async def test_unexpected_error_tells_nothing(
    serve: Serve,
    handler: FakeRequestHandler,
    failure: Exception,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A bug is a 500 whose body and log hold nothing of the record."""
    site = await serve()
    handler.failure = failure

    status, body, _ = await site("POST", "/v1/generate", json=RECORD)

    assert (status, body["error"]["code"]) == (500, "internal")
    assert "CANARY" not in str(body)
    assert "CANARY" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("body", [b"", b"{", b"[1]x", b"\xff\xfe", b"[" * 100_000])
async def test_malformed_json_is_undecodable(serve: Serve, body: bytes) -> None:
    """Bytes that are no JSON are the caller's error."""
    site = await serve()

    status, answer, _ = await site("POST", "/v1/generate", data=body)

    assert (status, answer["error"]["code"]) == (422, "undecodable")


async def test_unknown_model_is_not_found(serve: Serve, handler: FakeRequestHandler) -> None:
    """A model that no route names is 404 before anything is called."""
    site = await serve(
        providers={"p": ProviderSettings(kind="offline")},
        models={"default": ModelSettings(targets=["p/m"])},
    )

    status, body, _ = await site("POST", "/v1/generate", json=RECORD | {"model": "other"})
    known, _, _ = await site("POST", "/v1/generate", json=RECORD | {"model": "default"})

    assert (status, body["error"]["code"]) == (404, "model_not_found")
    assert known == 200
    assert len(handler.asked) == 1


async def test_record_that_comes_too_late_is_invalid(
    serve: Serve, handler: FakeRequestHandler
) -> None:
    """A deadline that has passed on arrival is the caller's error, not a time-out of ours."""
    site = await serve()
    record = RECORD | {"deadline": "2020-01-01T00:00:00Z"}

    status, body, _ = await site("POST", "/v1/generate", json=record)

    assert (status, body["error"]["param"]) == (422, "deadline")
    assert handler.asked == []


async def test_body_over_the_limit_is_too_large(serve: Serve, handler: FakeRequestHandler) -> None:
    """2 MiB pass, one byte more is refused."""
    site = await serve()
    limit = 2 * 1024 * 1024
    frame = len(b'{"type":"echo","text":""}')

    def body(size: int) -> io.BytesIO:
        return io.BytesIO(b'{"type":"echo","text":"' + b"x" * (size - frame) + b'"}')

    fitting, _, _ = await site("POST", "/v1/generate", data=body(limit))
    status, answer, _ = await site("POST", "/v1/generate", data=body(limit + 1))

    assert fitting == 200
    assert (status, answer["error"]["code"]) == (413, "too_large")
    assert len(handler.asked) == 1


async def test_unready_worker_answers_503(
    serve: Serve, health: FakeHealth, handler: FakeRequestHandler
) -> None:
    """A worker that cannot work sends callers elsewhere."""
    site = await serve()
    health.ready["recovered"] = Check(False, "reading the changelog")

    status, body, headers = await site("POST", "/v1/generate", json=RECORD)

    assert (status, body["error"]["code"]) == (503, "not_ready")
    assert "Retry-After" in headers
    assert handler.asked == []


async def test_worker_in_a_rebalance_answers(serve: Serve, health: FakeHealth) -> None:
    """A call needs no partitions."""
    site = await serve()
    health.ready["assigned"] = Check(False, "waiting for the group", is_excused=True)

    assert (await site("POST", "/v1/generate", json=RECORD))[0] == 200


async def test_whole_request_has_one_deadline(serve: Serve, handler: FakeRequestHandler) -> None:
    """What is not answered in time is 504, and its work is cancelled."""
    site = await serve(deadline_s=1)
    handler.hold = asyncio.Event()

    status, body, _ = await site("POST", "/v1/generate", json=RECORD)

    assert (status, body["error"]["code"]) == (504, "expired")
    assert handler.cancelled.is_set()


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/generate", RECORD),
        ("/v1/generate", {**RECORD, "stream": True}),
        ("/v1/chat/completions", CHAT),
        ("/v1/chat/completions", {**CHAT, "stream": True}),
        ("/v1/chat/completions", {**CHAT, "n": 2}),
        ("/v1/completions", {"prompt": "q"}),
        ("/v1/responses", {"input": "q"}),
        ("/v1/embeddings", {"input": "q"}),
    ],
    ids=[
        *("record", "streamed record", "chat", "streamed chat", "several"),
        *("completion", "response", "embedding"),
    ],
)
async def test_what_is_not_answered_in_time_is_counted_as_failed(
    serve: Serve,
    handler: FakeRequestHandler,
    outcomes: OutcomeRecorder,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    fields: dict[str, Any],
) -> None:
    """As any other failure; a caller who leaves is none."""
    inner: Any = SimpleNamespace(answer=handler.answer)
    monkeypatch.setattr(handler, "answer", RecordingRouter(inner, outcomes).answer)
    site = await serve(
        deadline_s=1,
        providers={"p": ProviderSettings(kind="offline")},
        models={"default": ModelSettings(targets=["p/m"])},
    )
    handler.hold, handler.chunks = asyncio.Event(), []

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(site("POST", path, json=fields), 0.3)
    status, *_ = await site("POST", path, json=fields)

    assert status == 504
    found = [(one.fields["kind"], one.fields["text"]) for one in outcomes.tail]
    assert found == [("expired", "no answer within 1 s")] * fields.get("n", 1)


async def test_what_ends_before_there_is_a_record_is_counted_as_failed(
    serve: Serve,
    handler: FakeRequestHandler,
    health: FakeHealth,
    outcomes: OutcomeRecorder,
) -> None:
    """Once each, where the worker is at fault; the log names a request as its caller knows it."""
    site = await serve(max_in_flight=1, deadline_s=1)
    handler.hold = asyncio.Event()
    with capture_logs() as lines:
        asked = (site("POST", "/v1/generate", json=RECORD) for _ in range(7))
        answers = await asyncio.gather(*asked)
        health.ready["assigned"] = Check(False)
        answers.append(await site("POST", "/v1/generate", json=RECORD))
        health.ready["assigned"] = Check(True)
        await site("POST", "/v1/generate", data=b"", headers={"Content-Type": "text/plain"})

    found = Counter((one.fields["kind"], one.fields["text"]) for one in outcomes.tail)
    waited = (
        "no answer within 1 s; it waited for a place among those that are answered here at once"
    )
    assert found == {
        ("expired", waited): 4,
        ("busy", "too many requests are waiting here"): 2,
        ("not_ready", "this worker is not ready: see /readyz"): 1,
    }
    told = [line["request_id"] for line in lines if line["event"] == "http.failed"]
    ids = {headers["X-Request-Id"] for _, _, headers in answers}
    assert len(set(told)) == 7
    assert set(told) < ids
    assert len(handler.asked) == 1


@pytest.mark.parametrize("n", [1, 2], ids=["one", "several"])
async def test_whoever_is_not_answered_in_time_is_told_why(
    n: int,
    serve: Serve,
    handler: FakeRequestHandler,
    outcomes: OutcomeRecorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the last attempt ended with, where there was one."""

    async def try_in_vain(request: Any, **kwargs: Any) -> Any:
        deadline = Deadline(90, asyncio.get_running_loop().time)
        DEADLINE.set(deadline)
        deadline.failed("p: HTTP 429")
        await asyncio.Event().wait()

    site = await serve(
        deadline_s=1,
        providers={"p": ProviderSettings(kind="offline")},
        models={"default": ModelSettings(targets=["p/m"])},
    )
    inner: Any = SimpleNamespace(answer=try_in_vain)
    monkeypatch.setattr(handler, "answer", RecordingRouter(inner, outcomes).answer)

    _, body, _ = await site("POST", "/v1/completions", json={"prompt": "q", "n": n})

    assert body["error"]["message"] == "no answer within 1 s; its last attempt: p: HTTP 429"


async def test_waiting_for_a_slot_counts_towards_the_deadline(
    serve: Serve, handler: FakeRequestHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the only slot taken a second request waits, expires and never runs."""
    site = await serve(max_in_flight=1, deadline_s=1)
    asked, hold = asyncio.Event(), asyncio.Event()

    async def keep_the_slot(request: Any, **kwargs: Any) -> Any:
        assert not asked.is_set()
        asked.set()
        while not hold.is_set():
            with suppress(asyncio.CancelledError):  # its own deadline must not free the slot
                await hold.wait()
        raise errors.Expired("late")

    monkeypatch.setattr(handler, "answer", keep_the_slot)
    first = asyncio.create_task(site("POST", "/v1/generate", json=RECORD))
    await asked.wait()

    status, _, _ = await site("POST", "/v1/generate", json=RECORD)
    hold.set()

    assert (status, (await first)[0]) == (504, 504)


async def test_too_many_requests_are_turned_away_at_once(
    serve: Serve, handler: FakeRequestHandler
) -> None:
    """Beyond the running and the waiting ones, callers get 503 without waiting."""
    site = await serve(max_in_flight=1)
    handler.hold = asyncio.Event()
    asked = [asyncio.create_task(site("POST", "/v1/generate", json=RECORD)) for _ in range(8)]

    turned_away = asyncio.as_completed(asked)
    for _ in range(3):
        await next(turned_away)
    handler.hold.set()
    answers = await asyncio.gather(*asked)

    assert sorted(status for status, _, _ in answers) == [200] * 5 + [503] * 3
    assert {body["error"]["code"] for status, body, _ in answers if status == 503} == {"busy"}


async def test_slots_are_given_back(serve: Serve, handler: FakeRequestHandler) -> None:
    """After failures and answers alike the next request runs."""
    site = await serve(max_in_flight=1)
    handler.failure = errors.OutputInvalid("why")
    for _ in range(7):
        await site("POST", "/v1/generate", json=RECORD)
    handler.failure = None

    status, _, _ = await site("POST", "/v1/generate", json=RECORD)

    assert status == 200


async def test_client_that_leaves_cancels_its_work(
    serve: Serve, handler: FakeRequestHandler
) -> None:
    """Nobody waits for the answer: the provider's call is given up."""
    site = await serve()
    handler.hold = asyncio.Event()

    asking = asyncio.create_task(site("POST", "/v1/generate", json=RECORD))
    await until(lambda: handler.asked, 60)
    asking.cancel()

    async with asyncio.timeout(60):
        await handler.cancelled.wait()


async def test_short_form_behind_a_byte_order_mark(
    serve: Serve, handler: FakeRequestHandler
) -> None:
    """The mark stays before nothing."""
    site = await serve()

    status, _, _ = await site("POST", "/v1/generate", data=b'\xef\xbb\xbf {"prompt":"x"}')

    assert (status, handler.asked[0][0].type) == (200, "generate")


@pytest.mark.parametrize(
    ("record", "header", "cache", "ttl_s"),
    [
        ({}, "", True, None),
        ({"cache": False}, "max-age=60", False, None),
        ({}, "no-cache", False, None),
        ({"cache_ttl_s": 5}, "no-store", False, 5),
        ({}, "max-age=60", True, 60),
        ({"cache_ttl_s": 5}, "max-age=60", True, 5),
    ],
)
async def test_cache_control_is_obeyed(
    serve: Serve,
    handler: FakeRequestHandler,
    record: dict[str, Any],
    header: str,
    cache: bool,
    ttl_s: float | None,
) -> None:
    """The header keeps a record out of the cache as `cache` does, and the shorter age counts."""
    site = await serve()

    await site(
        "POST",
        "/v1/generate",
        json={"type": "echo", **record},
        headers={"Cache-Control": header} if header else {},
    )

    ((asked, _, _),) = handler.asked
    assert (asked.cache, asked.cache_ttl_s) == (cache, ttl_s)
