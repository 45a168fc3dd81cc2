"""The spans of a record, from its headers to those of its answer, kept in memory."""

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from streamapp.bootstrap.tracing import Traced, Untraced, traces
from streamapp.errors import ConfigurationError, ContextLengthExceeded, Failure
from streamapp.llm.costs.prices import prices_of
from streamapp.llm.routing.routes import Routes
from streamapp.processors.registry import Registry
from streamapp.processors.router import Router
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings import Settings
from streamapp.settings.loading import load_settings
from streamapp.streaming.delivery.chunks import ChunkStreams
from streamapp.streaming.delivery.emitter import Emitter
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.flows.outlet import RequestsOutlet
from streamapp.streaming.record_handler import RecordHandler
from streamapp.streaming.tables.entry_store import MemoryEntries
from streamapp.streaming.window.lease import Lease
from streamapp.telemetry.subject import TRACE_ID
from streamapp.telemetry.tracing import Tracing
from tests.fakes import FakeClock, FakeProvider
from tests.unit.llm.calls import rate_limited, unavailable

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01".encode()
CANARY = "canary-7f3a"
REQUESTS = TP("llm.requests", 2)


@dataclass
class Message:
    value: bytes
    tp: TP = REQUESTS
    offset: int = 41
    key: bytes | None = b"k"
    generation_id: int = 1
    headers: Any = ()
    time_in: float | None = None


class Metrics:
    """Hears what traces hear too."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def waited(self, provider: str, wait_s: float) -> None:
        self.heard.append("waited")

    def retried(self, provider: str, reason: str) -> None:
        self.heard.append(reason)


class Outcomes:
    def answered(self, response: Any) -> None: ...

    def skipped(self) -> None:
        pass

    def replayed(self, *, type: str) -> None: ...

    def dead_lettered(self, dead_letter: Any, *, type: str | None) -> None: ...


class Worker:
    """What bootstrap puts together, with fakes at its ends."""

    def __init__(self, *, captures_content: bool = False) -> None:
        self.settings: Settings = load_settings(
            providers={
                "fake": {
                    "kind": "azure-openai",
                    "base_url": "https://h.example:8443/v1",
                    "models": {"m": {"price": {"input": "0.15", "output": "0.60"}}},
                }
            },
            models={"default": {"targets": ["fake/m"]}},
        )
        self.exporter = InMemorySpanExporter()
        tracing = Tracing(
            SimpleSpanProcessor(self.exporter), service="svc", captures_content=captures_content
        )
        self.traced, prices = Traced(tracing, self.settings), prices_of(self.settings)
        self.metrics, self.llm, clock = Metrics(), FakeProvider(), FakeClock()
        routes = Routes(
            self.settings,
            {"fake": self.llm},
            observed=lambda name, llm: self.traced.provider(name, llm, prices),
            observer=self.traced.observer(self.metrics),
            sleep=clock.sleep,
        )
        router = Router(
            registry=Registry.load(),
            prompts=PromptRegistry.load(self.settings.prompts_dir),
            routes=routes,
            deadline_s=90,
            clock=clock,
            now=lambda: datetime.now(UTC),
        )
        self.written: dict[str, dict[str, bytes]] = {}
        topics: Any = {
            name: SimpleNamespace(get_topic_name=lambda name=name: f"llm.{name}")
            for name in ("responses", "requests-dlt")
        }

        async def send(topic: str, key: Any, value: Any, *_: Any) -> asyncio.Future[Any]:
            self.written[topic] = dict(_[-1] or ())
            delivery: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            delivery.set_result(SimpleNamespace(offset=7))
            return delivery

        self.appended: list[bytes] = []

        async def append(key: bytes, *_: Any) -> None:
            self.appended.append(key)

        self.run = self.traced.run(
            RecordHandler(
                router=self.traced.router(router),
                ledger=Ledger(
                    MemoryEntries,
                    append,
                    redeliverable=lambda *_: True,
                    now=clock,
                    ttl_s=60,
                    session_s=10,
                    max_bytes=1e6,
                ),
                emitter=self.traced.emitter(Emitter(send), dead_letters={"llm.requests-dlt"}),
                chunks=ChunkStreams(send, topic="llm.chunks", clock=clock),
                outlet=RequestsOutlet(
                    router, responses=topics["responses"], dead_letters=topics["requests-dlt"]
                ),
                outcomes=Outcomes(),
                accepting=Emitter(send).accepting,
                now=clock,
            )
        )

    async def answer(self, value: bytes | None = None, **message: Any) -> dict[str, ReadableSpan]:
        """Bring a record to its outcome; return its spans by name."""
        value = (
            value
            or json.dumps(
                {"type": "summarize", "id": "r-1", "text": CANARY, "metadata": {"x": CANARY}}
            ).encode()
        )
        event: Any = SimpleNamespace(message=Message(value, **message))
        await asyncio.create_task(self.run(event, Lease(1)))
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def worker() -> Worker:
    """A worker with traces."""
    return Worker()


def parent(span: ReadableSpan) -> str:
    assert span.parent is not None
    return f"{span.parent.span_id:016x}"


def own(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.span_id:016x}"


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_record_goes_on_with_its_producers_trace(worker: Worker) -> None:
    """All spans are of that trace, each below the one it is part of."""
    spans = await worker.answer(headers=[("traceparent", TRACEPARENT)])

    process, run = spans["process llm.requests"], spans["summarize"]
    assert {f"{s.context.trace_id:032x}" for s in spans.values() if s.context} == {TRACE}
    assert parent(process) == PARENT
    assert parent(run) == own(process)
    assert parent(spans["chat m"]) == own(run)
    assert parent(spans["send llm.responses"]) == own(process)


async def test_the_answers_headers_go_on_with_the_trace(worker: Worker) -> None:
    """Whoever reads the answer is below its delivery; what vendors and users added stays."""
    baggage = ("baggage", b"user=1")
    state = ("tracestate", b"vendor=x")

    spans = await worker.answer(headers=[("traceparent", TRACEPARENT), state, baggage])

    assert worker.written["llm.responses"] == {
        "traceparent": f"00-{TRACE}-{own(spans['send llm.responses'])}-01".encode(),
        "tracestate": b"vendor=x",
        "baggage": b"user=1",
    }


@pytest.mark.parametrize("header", [b"", b"rubbish", b"\xff\xfe", b"00-" + b"0" * 32 + b"-x-01"])
async def test_a_record_without_a_trace_begins_one(worker: Worker, header: bytes) -> None:
    """A header that makes no sense counts as none, and the answer names the new trace."""
    spans = await worker.answer(headers=[("traceparent", header)])

    process = spans["process llm.requests"]
    assert process.parent is None
    assert process.context is not None
    assert (
        f"{process.context.trace_id:032x}".encode()
        in worker.written["llm.responses"]["traceparent"]
    )


async def test_what_its_producer_does_not_sample_is_not_sampled(worker: Worker) -> None:
    """Nothing is recorded, and the answer says so to whoever reads on."""
    unsampled = TRACEPARENT.replace(b"-01", b"-00")

    assert await worker.answer(headers=[("traceparent", unsampled)]) == {}
    header = worker.written["llm.responses"]["traceparent"]
    assert header.startswith(f"00-{TRACE}-".encode())
    assert header.endswith(b"-00")


async def test_an_attempt_speaks_the_language_of_genai(worker: Worker) -> None:
    """Dashboards for model calls find operation, model, tokens and place under their names."""
    spans = await worker.answer()

    found = attributes(spans["chat m"])
    assert found | {"gen_ai.provider.name": "azure.ai.openai"} == found
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.request.model"] == found["gen_ai.response.model"] == "m"
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (3, 2)
    assert found["streamapp.cost_usd"] == "0.00000165"
    assert found["gen_ai.response.finish_reasons"] == ["stop"]
    assert found["gen_ai.prompt.name"] == "summarize"
    assert (found["server.address"], found["server.port"]) == ("h.example", 8443)
    assert found["streamapp.provider"] == "fake"


async def test_each_attempt_is_a_span_of_its_own(worker: Worker) -> None:
    """Failed attempts name their error and status; retries are events of the run."""
    worker.llm.enqueue(unavailable(), rate_limited())

    await worker.answer()

    attempts = [s for s in worker.exporter.get_finished_spans() if s.name == "chat m"]
    run = next(s for s in worker.exporter.get_finished_spans() if s.name == "summarize")
    errors = [attributes(s).get("error.type") for s in attempts]
    assert errors == ["ProviderUnavailable", "RateLimited", None]
    assert attributes(attempts[0])["http.response.status_code"] == 503
    assert [event.name for event in run.events] == ["retry", "retry"]
    assert worker.metrics.heard == ["ProviderUnavailable", "RateLimited"]


async def test_a_wait_in_the_window_is_a_span(worker: Worker) -> None:
    """The record's span begins when the window took it; a record that did not wait has none."""
    time_in = time.monotonic() - 2
    spans = await worker.answer(time_in=time_in)
    at_most = (time.monotonic() - time_in) * 1e9

    wait, process = spans["wait in window"], spans["process llm.requests"]
    assert wait.start_time is not None
    assert wait.end_time is not None
    assert process.start_time is not None
    # The clocks of spans and of the window differ by their resolution only.
    assert 1.99e9 <= wait.end_time - wait.start_time <= at_most + 1e7
    assert abs(wait.start_time - process.start_time) <= at_most - 2e9 + 1e7
    # Taken later than now: it has not waited, however slow the machine is.
    assert "wait in window" not in await Worker().answer(time_in=time.monotonic() + 60)


@pytest.mark.parametrize(
    ("value", "failure"),
    [
        (None, ContextLengthExceeded(CANARY, provider="fake", status=400)),
        (f'{{"type": "{CANARY}"}}'.encode(), None),
        (CANARY.encode(), None),
    ],
    ids=["refused", "unknown type", "undecodable"],
)
async def test_a_dead_letter_is_an_error_without_text(
    worker: Worker, value: bytes | None, failure: Failure | None
) -> None:
    """The record's span has failed; no span holds text of record or error."""
    if failure:
        worker.llm.enqueue(failure)

    spans = await worker.answer(value, headers=[("traceparent", TRACEPARENT)])

    process = spans["process llm.requests"]
    assert not process.status.is_ok
    assert attributes(process)["error.type"] == "dead_letter"
    assert worker.written["llm.requests-dlt"]["traceparent"] == TRACEPARENT
    assert CANARY not in "".join(span.to_json() for span in spans.values())


async def test_text_is_captured_where_it_is_asked_for() -> None:
    """Messages and answer are in the attempt's span, in OpenTelemetry's shape."""
    spans = await Worker(captures_content=True).answer()

    found = attributes(spans["chat m"])
    question = json.loads(found["gen_ai.input.messages"])
    answer = json.loads(found["gen_ai.output.messages"])
    assert CANARY in question[-1]["parts"][0]["content"]
    assert question[-1]["role"] == "user"
    assert answer[0] | {"role": "assistant", "finish_reason": "stop"} == answer[0]


async def test_lines_of_the_log_know_the_new_trace(worker: Worker) -> None:
    """Also a record that came without a trace is found by its id, in log and traces alike."""
    seen: list[str] = []
    worker.metrics.retried = lambda *_: seen.append(TRACE_ID.get())  # type: ignore[method-assign]
    worker.llm.enqueue(unavailable())

    spans = await worker.answer()

    context = spans["chat m"].context
    assert context is not None
    assert seen == [f"{context.trace_id:032x}"]


async def test_spans_of_others_are_below_the_record(worker: Worker) -> None:
    """What a user's processor or its libraries trace by OpenTelemetry is part of the record."""
    exporter = InMemorySpanExporter()
    others = TracerProvider()
    others.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = others.get_tracer("others")
    worker.metrics.retried = lambda *_: tracer.start_span("query").end()  # type: ignore[method-assign]
    worker.llm.enqueue(unavailable())

    spans = await worker.answer()

    [query] = exporter.get_finished_spans()
    assert parent(query) == own(spans["process llm.requests"])


async def test_long_text_is_cut_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry's limit of attributes holds for what is captured."""
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "20")

    spans = await Worker(captures_content=True).answer()

    assert len(attributes(spans["chat m"])["gen_ai.input.messages"]) == 20


async def test_the_process_keeps_its_own_provider(worker: Worker) -> None:
    """Nothing is set for the whole process: two apps trace apart."""
    other = Worker()

    await worker.answer()

    assert other.exporter.get_finished_spans() == ()


def test_off_gives_everything_back() -> None:
    """Without an address nothing is put around anything."""
    off = traces(load_settings())

    assert type(off) is Untraced
    things: list[Any] = [object() for _ in range(4)]
    assert off.provider("p", things[0], prices_of(load_settings())) is things[0]
    assert off.router(things[1]) is things[1]
    assert off.emitter(things[2], dead_letters=()) is things[2]
    assert off.run(things[3]) is things[3]


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    ],
)
def test_standard_switches_turn_traces_off(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What turns OpenTelemetry's SDK off turns ours off."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert type(traces(load_settings())) is Untraced


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wants traces is told what to install."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "streamapp.telemetry.tracing", None)

    with pytest.raises(ConfigurationError, match=r"install '\.\[otel\]'"):
        traces(load_settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", CANARY),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", CANARY),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "no.pem"),
    ],
)
def test_a_wrong_setting_is_refused_at_the_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable and not its value."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match="OTEL_") as caught:
        traces(load_settings())

    assert CANARY not in str(caught.value)
