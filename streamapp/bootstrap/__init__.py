"""Builds a whole app from settings: the one place that knows every concrete class."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from faust.types import TP

from streamapp.bootstrap.costs import Costs
from streamapp.bootstrap.faust_app import faust_app
from streamapp.bootstrap.tracing import traces
from streamapp.errors import ConfigurationError
from streamapp.llm.deadline import only_waits
from streamapp.llm.metered import Metered
from streamapp.llm.provider import LLMProvider
from streamapp.llm.providers.factory import build_provider
from streamapp.llm.routing.embedder import Embedder
from streamapp.llm.routing.routes import Routes
from streamapp.processors.drainable_router import DrainableRouter
from streamapp.processors.registry import Registry
from streamapp.processors.router import Router
from streamapp.prompts.example_sources import Sources
from streamapp.prompts.examples import ExamplesManager, in_use
from streamapp.prompts.files import load_files
from streamapp.prompts.guard import Guard
from streamapp.prompts.registry import PromptRegistry
from streamapp.prompts.variants import Variants
from streamapp.settings import Settings, load_settings
from streamapp.streaming.app.consumer import events
from streamapp.streaming.app.faust_metrics import watch_faust
from streamapp.streaming.app.health import AppHealth
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.app.snapshot import WorkerSnapshots
from streamapp.streaming.app.summary import log_summaries
from streamapp.streaming.app.watchdog import Watchdog, broker_answers
from streamapp.streaming.broker.log_probe import LogProbe
from streamapp.streaming.broker.security import kafka_client_options
from streamapp.streaming.broker.topics import topic_specs
from streamapp.streaming.dead_letters.service import DeadLetterService
from streamapp.streaming.delivery.chunks import ChunkStreams
from streamapp.streaming.delivery.emitter import Emitter
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.outcomes import OutcomeRecorder, RecordingRouter
from streamapp.streaming.delivery.request_producer import RequestProducer
from streamapp.streaming.prompts.auto_rollback import watch
from streamapp.streaming.prompts.event_log import publish_files
from streamapp.streaming.prompts.example_topic import ExampleTopic
from streamapp.streaming.prompts.invalid_events import InvalidEventDeadLetters
from streamapp.streaming.prompts.table import PromptTable
from streamapp.streaming.record_handler import RecordHandler
from streamapp.streaming.tables.answers import AnswersTable
from streamapp.streaming.window.window import Window
from streamapp.telemetry.metrics import Metrics
from streamapp.web.peers import Peers
from streamapp.web.routes import install
from streamapp.web.server import peer_tls_context

#: Records that may wait in the window, as a multiple of those that run: enough that one slow
#: key does not keep the other keys' records out.
PENDING_FACTOR = 8


def create_app(
    settings: Settings | None = None,
    *,
    providers: Mapping[str, LLMProvider] | None = None,
    metrics: Metrics | None = None,
) -> StreamApp:
    """Build the worker's app; nothing is connected before it starts.

    Args:
        settings: Read from the environment where None.
        providers: By their configured names, in place of those of the settings; for tests.
        metrics: Where it counts; of its own where None.

    Raises:
        ConfigurationError: A setting, file, processor or prompt is wrong.
    """
    settings = settings or load_settings()
    registry = Registry.load(settings.processor_modules)
    files = load_files(settings.prompts_dir, must_exist="prompts_dir" in settings.model_fields_set)
    if providers is None:
        providers = {name: build_provider(name, p) for name, p in settings.providers.items()}
    metrics = metrics or Metrics()
    traced = traces(settings)
    app = faust_app(settings, middlewares=traced.middlewares)
    watch_faust(app, metrics.registry)
    emitter = Emitter(lambda *record: app.producer.send(*record))
    answers = _answers(app, settings, emitter, lambda partitions: ledger.rebuild(partitions))
    ledger = _ledger(app, settings, answers)
    costs = Costs(app, settings, metrics=metrics, ledger=ledger)
    routes = Routes(
        settings,
        providers,
        economy=costs.economy,
        observed=lambda name, attempt: traced.provider(
            name, Metered(attempt, name=name, meter=metrics)
        ),
        observer=traced.observer(metrics),
    )
    metrics.watch_each(
        "breaker_state",
        "0 closed, 1 half open, 2 open: of a provider's worst target.",
        label="provider",
        read=routes.breaker_states,
    )
    metrics.watch(
        "partitions_unreadable",
        "Partitions that are held, since a batch in them cannot be read.",
        lambda: len(app.unreadable()),
    )
    prompts = _prompts(app, settings)
    variants = Variants()
    example_topic = ExampleTopic(settings)
    examples = _examples(settings, example_topic, routes)
    metrics.watch(
        "examples_degraded",
        "Sources of examples whose last refresh failed, or that cannot be compared.",
        lambda: len(examples.impaired()),
    )
    router = Router(
        registry=registry,
        prompts=PromptRegistry(prompts, examples=examples),
        routes=routes,
        deadline_s=settings.deadline_s,
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
        variants=variants,
    )
    problems = router.problems(PromptRegistry.of(files))
    if problems:
        raise ConfigurationError("; ".join(problems))
    handler = traced.router(router)
    http_calls = DrainableRouter(handler, deadline_s=settings.deadline_s, clock=time.monotonic)
    outcomes = OutcomeRecorder(metrics)
    requests = _raw_topic(app, settings, "requests")
    answering = RecordHandler(
        router=handler,
        ledger=ledger,
        emitter=traced.emitter(emitter),
        chunks=ChunkStreams(
            lambda *record: app.producer.send(*record),
            topic=settings.topic("chunks"),
            clock=time.monotonic,
        ),
        responses=_raw_topic(app, settings, "responses"),
        dead_letters=_raw_topic(app, settings, "requests-dlt"),
        outcomes=outcomes,
        now=time.time,
    )
    window = Window(
        traced.run(answering),
        seek=lambda tp, offset: app.consumer.seek(tp, offset),
        first_from=LogProbe(settings).first_from,
        on_fatal=app.fail,
        on_gap=metrics.gap,
        is_awake=lambda: app.watchdog.loop_lag_s < settings.session_timeout_s,
        only_waits=only_waits,
        max_in_flight=settings.max_in_flight,
        max_pending=settings.max_in_flight * PENDING_FACTOR,
        ordering=settings.ordering,
    )
    producer = RequestProducer(
        settings.topic("requests"),
        traced.send(lambda *record: app.producer.send(*record)),
        partitions=settings.partitions,
        ledger=ledger,
        window=window,
        committed=app.committed_here,
    )
    peers = Peers(
        app.peer_urls,
        key=settings.keys[0] if settings.keys else None,
        ssl=peer_tls_context(settings),
    )
    ssl_context = kafka_client_options(settings)["ssl_context"]
    app.bind(
        settings=settings,
        window=window,
        ledger=ledger,
        watchdog=Watchdog(
            lambda: broker_answers(settings.brokers, ssl_context=ssl_context, timeout_s=2.0),
            clock=time.monotonic,
        ),
        http_calls=http_calls.drain,
        preparing=(
            lambda: publish_files(settings, prompts.history, files, now=lambda: datetime.now(UTC)),
            lambda: examples.refresh(in_use(prompts.history.prompts)),
            lambda: costs.look_up(routes.targets),
        ),
        closing=(
            routes.aclose,
            costs.aclose,
            peers.aclose,
            example_topic.aclose,
            traced.aclose,
        ),
    )

    invalid_events = InvalidEventDeadLetters(
        prompts,
        lambda *record: app.producer.send(*record),
        dead_letters=settings.topic("requests-dlt"),
        is_mine=lambda: TP(settings.topic("requests"), 0) in window.partitions,
        now=lambda: datetime.now(UTC),
    )
    app.add_future(log_summaries(app, metrics.take))
    app.add_future(invalid_events.watch())
    app.add_future(examples.watch(lambda: in_use(prompts.history.prompts)))
    app.add_future(watch(Guard(variants, now=lambda: datetime.now(UTC)), prompts))

    @app.agent(requests, name="generate", concurrency=1)
    async def generate(stream: Any) -> None:
        """Hand every request record to the window."""
        async for event in events(stream.noack()):
            await window.take(event)

    @app.on_partitions_assigned.connect
    async def share_limits(sender: object, /, *args: Any, signal: Any, **kwargs: Any) -> None:
        """Keep this worker's part of every limit."""
        assigned: set[TP] = args[0]
        mine = sum(tp.topic == settings.topic("requests") for tp in assigned)
        routes.set_share(mine / settings.partitions)

    health = AppHealth(
        app,
        impaired=lambda: [
            *routes.impaired(),
            *costs.impaired(),
            *examples.impaired(),
            *answers.impaired(),
            *app.unreadable(),
        ],
    )
    install(
        app,
        handler=RecordingRouter(http_calls, outcomes),
        health=health,
        prompt_store=prompts,
        variants=variants,
        producer=producer,
        dead_letter_source=DeadLetterService(settings, lambda *record: app.producer.send(*record)),
        snapshots=WorkerSnapshots(
            app,
            settings=settings,
            metrics=metrics,
            outcomes=outcomes,
            health=health,
            open_targets=routes.impaired,
        ),
        metrics=metrics.text,
        peers=peers,
        records={type: registry.processor_for(type).record for type in registry.types},
        topics=topic_specs(settings),
        settings=settings,
        tiers=costs.economy.tiers,
    )
    return app


def _raw_topic(app: StreamApp, settings: Settings, name: str) -> Any:
    """Return a topic that carries bytes: decoding happens in the window, never in Faust."""
    return app.topic(
        settings.topic(name),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        allow_empty=True,
        partitions=settings.partitions,
    )


def _prompts(app: StreamApp, settings: Settings) -> PromptTable:
    # The topic exists before Faust looks for it: see streaming/broker/topics.py.
    table = PromptTable(
        app, topic=settings.topic("prompts"), first_from=LogProbe(settings).first_from
    )
    app.tables.add(table)
    return table


def _examples(settings: Settings, topic: ExampleTopic, routes: Routes) -> ExamplesManager:
    sources = Sources(
        directory=settings.prompts_dir,
        hosts=settings.allowed_example_hosts,
        from_topic=topic.fetch,
    )
    # A model for chat as the default route would refuse, and its breaker would hold all records.
    embed = Embedder(routes, clock=time.monotonic) if settings.embed_model else None
    return ExamplesManager(sources.fetch, clock=time.monotonic, embed=embed)


def _answers(
    app: StreamApp,
    settings: Settings,
    emitter: Emitter,
    on_recovered: Callable[[set[int]], None],
) -> AnswersTable:
    # The changelog topic exists before Faust looks for it: see streaming/broker/topics.py.
    table = AnswersTable(app, emitter, partitions=settings.partitions, on_recovered=on_recovered)
    app.tables.add(table)
    return table


def _ledger(app: StreamApp, settings: Settings, table: AnswersTable) -> Ledger:
    requests = settings.topic("requests")

    return Ledger(
        lambda: table.data,
        table.append,
        committed=lambda partition: app.committed(TP(requests, partition)),
        now=time.time,
        ttl_s=settings.ledger_ttl_s,
        max_bytes=settings.ledger_max_mb * 1_000_000,
    )
