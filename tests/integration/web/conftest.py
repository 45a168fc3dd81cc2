"""A Faust app that serves our pages on a real port, with nothing behind them but fakes."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, cast

import aiohttp
import faust
import pytest
from aiokafka.structs import RecordMetadata, TopicPartition
from pydantic import Field

from streamapp.errors import PromptError
from streamapp.flows.topics import flow_topics
from streamapp.llm.caching.cache import CacheTier
from streamapp.llm.chunks import CallDelta, ChunkSink
from streamapp.processors.embed import Embed
from streamapp.processors.registry import Registry
from streamapp.processors.router import Answer
from streamapp.prompts.example_set import Examples
from streamapp.prompts.settings import ExampleSettings
from streamapp.prompts.variants import Variants
from streamapp.records.codec import parse, validate
from streamapp.records.request import Request
from streamapp.records.response import Response, Usage
from streamapp.settings import Settings
from streamapp.streaming.app.health import AppHealth, Check
from streamapp.streaming.app.history import SnapshotHistory
from streamapp.streaming.app.snapshot import WorkerSnapshots
from streamapp.streaming.broker.topics import topic_specs
from streamapp.streaming.dead_letters.reader import Seen
from streamapp.streaming.dead_letters.service import DeadLetterService, Found
from streamapp.streaming.dead_letters.stored import Filter
from streamapp.streaming.delivery.outcomes import OutcomeRecorder
from streamapp.streaming.delivery.request_producer import RequestProducer
from streamapp.streaming.delivery.request_status import RequestStatus
from streamapp.streaming.flows.input_records import InputRecord
from streamapp.streaming.flows.rates import FlowRates
from streamapp.streaming.flows.state import FlowState
from streamapp.telemetry.metrics import Metrics
from streamapp.tools.catalogue import ToolCatalogue
from streamapp.web.middleware import Middleware
from streamapp.web.peers import Peers
from streamapp.web.routes import install
from streamapp.web.server import Web, web_options
from tests.support.process import free_port
from tests.support.prompt_store import FakePromptStore


class Echo(Request, type="echo"):
    text: str = ""
    variables: dict[str, Any] = Field(default_factory=dict)


class FakeHealth(AppHealth):
    """Says what a test sets."""

    def __init__(self) -> None:
        self.live = {"loop": Check(True)}
        self.ready = {"assigned": Check(True), "broker": Check(True, "2 brokers")}
        self.impaired: list[str] = []
        self.stopping = False

    @property
    def is_stopping(self) -> bool:
        return self.stopping

    def liveness(self) -> Mapping[str, Check]:
        return self.live

    def readiness(self) -> Mapping[str, Check]:
        return self.ready

    def degraded(self) -> Sequence[str]:
        return self.impaired


class FakeRequestHandler:
    """Echoes; remembers what it was asked; fails or hangs on demand."""

    def __init__(self) -> None:
        self.asked: list[tuple[Request, str, bytes | None]] = []
        self.output: Any = "hello"
        self.tool_calls: list[dict[str, Any]] | None = None
        self.is_cached = False
        self.chunks: list[str | CallDelta] = []
        self.failure: BaseException | None = None
        self.logprobs: dict[str, Any] | None = None
        self.finish_reason = "stop"
        self.hold: asyncio.Event | None = None
        self.cancelled = asyncio.Event()

    def decode(self, value: bytes) -> Request:
        parse(value)
        return validate(Echo, value)

    async def answer(
        self, request: Request, *, id: str, key: bytes | None, chunks: ChunkSink | None = None
    ) -> Answer:
        self.asked.append((request, id, key))
        if chunks and self.chunks:
            await chunks.begin(is_cached=self.is_cached)
            for chunk in self.chunks:
                if isinstance(chunk, CallDelta):
                    await chunks.add_call(chunk)
                else:
                    await chunks.add(chunk)
        if self.failure:
            raise self.failure
        try:
            if self.hold:
                await self.hold.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        response = Response(
            id=id,
            type=request.type,
            output=[[0.25, -1.0]] * len(request.input)
            if isinstance(request, Embed)
            else self.output,
            model="m",
            provider="fake",
            tool_calls=self.tool_calls,
            usage=Usage() if self.is_cached else Usage(input_tokens=3, output_tokens=2),
            original_usage=Usage(input_tokens=3, output_tokens=2),
            cached=self.is_cached,
            logprobs=self.logprobs,
            finish_reason="tool_calls" if self.tool_calls else self.finish_reason,
            metadata=request.metadata,
            created_at=datetime(2030, 1, 1, tzinfo=UTC),
        )
        return Answer(response, None)


class FakeRequestProducer(RequestProducer):
    """Keeps what was posted; knows what a test says."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, bytes | None, bytes]] = []
        self.words: dict[str, RequestStatus] = {}
        self.running: set[str] = set()
        self.failure: Exception | None = None

    def runs(self, id: str) -> bool:
        return id in self.running

    async def post(self, value: bytes, *, id: str, key: bytes | None) -> None:
        if self.failure:
            raise self.failure
        self.posted.append((id, key, value))

    def known(self, id: str) -> RequestStatus:
        return self.words.get(id, RequestStatus())


class FakeDeadLetters(DeadLetterService):
    """Dead letters that a test puts there."""

    def __init__(self) -> None:
        self.dead_letters: list[dict[str, Any]] = []
        self.asked: list[Filter] = []
        self.of_flows: list[str] = []
        self.tenants: list[str | None] = []
        self.replayed: list[tuple[tuple[int, int], float]] = []
        self.corrected: list[tuple[tuple[int, int], bytes]] = []
        self.verdict = "sent"
        self.failure: Exception | None = None
        self.is_whole = False

    @property
    def flows(self) -> list[str]:
        return ["requests", "labels"]

    async def newest(self, wanted: Filter, *, limit: int, flow: str = "requests") -> Found:
        self.asked.append(wanted)
        self.of_flows.append(flow)
        if self.failure:
            raise self.failure
        return Found(self.dead_letters[:limit], Seen(records=7, foreign=2, is_whole=self.is_whole))

    async def replay(
        self,
        places: Sequence[tuple[int, int]],
        *,
        rate_per_s: float,
        tenant: str | None = None,
        flow: str = "requests",
    ) -> dict[tuple[int, int], str]:
        self.of_flows.append(flow)
        self.tenants.append(tenant)
        self.replayed += [(place, rate_per_s) for place in places]
        return dict.fromkeys(places, "sent")

    async def instead(
        self, place: tuple[int, int], value: bytes, *, tenant: str | None = None
    ) -> tuple[str, RecordMetadata | None]:
        self.tenants.append(tenant)
        self.corrected.append((place, value))
        tp = TopicPartition("llm.requests", 3)
        sent = RecordMetadata("llm.requests", 3, tp, 12, 0, 0, 0)
        return self.verdict, sent if self.verdict == "sent" else None


class FakeFlowRates(FlowRates):
    """Flows that a test puts there."""

    def __init__(self) -> None:
        self.found: list[tuple[FlowState, float | None]] = []
        self.failure: Exception | None = None

    async def now(self) -> Sequence[tuple[FlowState, float | None]]:
        if self.failure:
            raise self.failure
        return self.found


class FakeInputRecords:
    """Inputs of flows that a test fills."""

    def __init__(self) -> None:
        self.flows = ["requests", "labels"]
        self.found: dict[tuple[str, int, int], InputRecord] = {}

    async def at(self, flow: str, partition: int, offset: int) -> InputRecord | None:
        return self.found.get((flow, partition, offset))


class FakeExamples:
    """The examples of every version; or why there are none."""

    def __init__(self) -> None:
        self.found: Examples | PromptError = ()

    async def __call__(self, settings: ExampleSettings) -> Examples:
        if isinstance(self.found, PromptError):
            raise self.found
        return self.found


class FakeWorkerSnapshots(WorkerSnapshots):
    """A worker that does nothing, in a group with others."""

    def __init__(self, *others: str, in_flight: int = 0) -> None:
        self.others = others
        self.url = "own"
        self.outcomes: list[dict[str, Any]] = []
        self.is_draining = False
        self.uptime_s = 600.0
        self.costs: dict[str, str] = {}
        self.unpriced: dict[str, int] = {}
        self.sharing: dict[str, int] = {}
        self._in_flight = in_flight

    def own_url(self) -> str:
        return self.url

    def workers(self) -> dict[str, list[int]]:
        return {self.url: [0], **{url: [1] for url in self.others}}

    def members(self, url: str) -> int:
        return self.sharing.get(url, 1)

    def now(self) -> dict[str, Any]:
        return {
            "in_flight": self._in_flight,
            "uptime_s": self.uptime_s,
            "draining": self.is_draining,
            "flow_cost_usd_day": self.costs,
            "flow_unpriced_day": self.unpriced,
        }

    def tail(self, after: int) -> tuple[int, list[dict[str, Any]]]:
        return len(self.outcomes), self.outcomes[after:]


class Site:
    """One worker's web server and a client for it."""

    def __init__(self, app: faust.App, client: aiohttp.ClientSession) -> None:
        self.app = app
        self._client = client
        self.url = f"http://127.0.0.1:{app.conf.web_port}"

    async def __call__(
        self, method: str, path: str, **kwargs: Any
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Return status, parsed body and headers; the text of what is no JSON."""
        async with self._client.request(method, path, **kwargs) as response:
            body: Any = await response.text() or None
            if body and response.content_type == "application/json":
                body = json.loads(body)
            return response.status, body, response.headers


Serve = Callable[..., Awaitable[Site]]


@pytest.fixture
def health() -> FakeHealth:
    """A healthy worker."""
    return FakeHealth()


@pytest.fixture
def handler() -> FakeRequestHandler:
    """A router that echoes."""
    return FakeRequestHandler()


@pytest.fixture
def producer() -> FakeRequestProducer:
    """A topic that takes everything."""
    return FakeRequestProducer()


@pytest.fixture
def variants() -> Variants:
    """Counts of nothing yet."""
    return Variants()


@pytest.fixture
def prompt_store() -> FakePromptStore:
    """An empty registry of prompts."""
    return FakePromptStore()


@pytest.fixture
def dead_letters() -> FakeDeadLetters:
    """No dead letters."""
    return FakeDeadLetters()


@pytest.fixture
def rates() -> FakeFlowRates:
    """No flows."""
    return FakeFlowRates()


@pytest.fixture
def inputs() -> FakeInputRecords:
    """Inputs without records."""
    return FakeInputRecords()


@pytest.fixture
def examples() -> FakeExamples:
    """No examples."""
    return FakeExamples()


@pytest.fixture
def snapshots() -> FakeWorkerSnapshots:
    """A worker at rest."""
    return FakeWorkerSnapshots()


@pytest.fixture
def outcomes() -> OutcomeRecorder:
    """Nothing has ended yet."""
    return OutcomeRecorder(Metrics())


@pytest.fixture
async def serve(
    health: FakeHealth,
    handler: FakeRequestHandler,
    producer: FakeRequestProducer,
    dead_letters: FakeDeadLetters,
    snapshots: FakeWorkerSnapshots,
    rates: FakeFlowRates,
    inputs: FakeInputRecords,
    examples: FakeExamples,
    prompt_store: FakePromptStore,
    variants: Variants,
    outcomes: OutcomeRecorder,
) -> AsyncIterator[Serve]:
    """Start servers with given settings; stop them after the test."""
    sites: list[tuple[Web, aiohttp.ClientSession, Peers]] = []

    async def start(
        *,
        bind: str | None = None,
        own_inbox: FakeRequestProducer | None = None,
        own_snapshots: FakeWorkerSnapshots | None = None,
        others: Sequence[str] = (),
        tiers: Sequence[CacheTier] = (),
        tools: ToolCatalogue | None = None,
        own_records: Mapping[str, type[Request]] = MappingProxyType({}),
        outermost: Sequence[Middleware] = (),
        **overrides: Any,
    ) -> Site:
        settings = Settings(_env_file=None, web_port=free_port(), **overrides)

        class App(faust.App):
            def _new_web(self) -> Web:
                return Web(self, settings=settings)

        options = web_options(settings, outermost=outermost) | ({"web_bind": bind} if bind else {})
        registry = Registry.load()
        app = App("web-test", broker="kafka://127.0.0.1:1", env={}, **options)
        peers = Peers(lambda: others, key=settings.peer_token)
        history = SnapshotHistory(lambda: {}, clock=lambda: 0.0)
        install(
            app,
            handler=cast(Any, handler),
            health=health,
            producer=own_inbox or producer,
            peers=peers,
            dead_letter_source=dead_letters,
            snapshots=own_snapshots or snapshots,
            history=history,
            metrics=lambda: b"streamapp_in_flight 0.0\n",
            prompt_store=prompt_store,
            variants=variants,
            records={type: registry.processor_for(type).record for type in registry.types}
            | dict(own_records),
            topics=topic_specs(settings),
            settings=settings,
            rates=rates,
            inputs=inputs,
            examples_of=examples,
            flows=flow_topics(settings, registry),
            tiers=tiers,
            tools=tools,
            turned_away=outcomes.turned_away,
        )
        app.web.init_server()
        client = aiohttp.ClientSession(f"http://127.0.0.1:{settings.web_port}")
        web = cast(Web, app.web)
        sites.append((web, client, peers))
        await web.start_server()
        return Site(app, client)

    yield start
    for web, client, peers in sites:
        await client.close()
        await peers.aclose()
        await web.stop_server()
