"""`create_app`, which builds a whole app from settings; nothing else knows every concrete class."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from streamapp.bootstrap.calls import build_routes
from streamapp.bootstrap.costs import Costs
from streamapp.bootstrap.faust_app import faust_app
from streamapp.bootstrap.flows import Flows
from streamapp.bootstrap.limits import SharedLimits
from streamapp.bootstrap.prompting import Prompts
from streamapp.bootstrap.records import build_window, subscribe
from streamapp.bootstrap.serving import build_peers, serve
from streamapp.bootstrap.tools import Tools
from streamapp.bootstrap.tracing import traces
from streamapp.errors import ConfigurationError
from streamapp.llm.durable.observer import StepSpans
from streamapp.llm.durable.overdue import OverdueRecords
from streamapp.llm.durable.progress import RecordsInProgress
from streamapp.llm.provider import LLMProvider
from streamapp.llm.routing.routes import Routes
from streamapp.processors.drainable_router import DrainableRouter
from streamapp.processors.registry import Registry
from streamapp.processors.router import Router
from streamapp.prompts.files import PromptFile, load_files
from streamapp.prompts.registry import PromptRegistry
from streamapp.running_clock import RunningClock
from streamapp.settings import Settings
from streamapp.settings.loading import load_settings
from streamapp.settings.located import located_problems
from streamapp.streaming.app.faust_metrics import FaustMonitor, watch_faust
from streamapp.streaming.app.health import AppHealth
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.app.summary import log_summaries
from streamapp.streaming.app.watchdog import MOST_UNSEEN_S, Watchdog
from streamapp.streaming.broker.ping import broker_answers
from streamapp.streaming.broker.security import kafka_client_options
from streamapp.streaming.broker.topic_configs import require_configs
from streamapp.streaming.consumer.partition_flow import held_lines
from streamapp.streaming.delivery.outcomes import OutcomeRecorder
from streamapp.streaming.tables.ledger_renewal import LedgerRenewal
from streamapp.telemetry.metrics import Metrics
from streamapp.telemetry.outage import Outage
from streamapp.tools.loop import ToolLoop
from streamapp.tools.observer import MeteredTools
from streamapp.web.middleware import count_answers
from streamapp.web.openai.bound_client import bound_client


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
    with located_problems(settings):
        return _composed(settings, providers, metrics or Metrics())


def _composed(
    settings: Settings, providers: Mapping[str, LLMProvider] | None, metrics: Metrics
) -> StreamApp:
    """Build every part of the app, and bind them to each other."""
    registry = Registry.load(settings.processor_modules)
    files = load_files(settings.prompts_dir, must_exist="prompts_dir" in settings.model_fields_set)
    traced = traces(settings)

    monitor = FaustMonitor(metrics.registry)
    counted = count_answers(monitor.answered)
    app = faust_app(settings, middlewares=[counted, *traced.middlewares])
    watch_faust(app, monitor, metrics.registry)

    flows = Flows(app, settings, registry, metrics)
    costs = Costs(app, settings, metrics=metrics, ledgers=flows.ledgers)
    running = RunningClock()
    routes = build_routes(
        settings, providers, costs=costs, metrics=metrics, traced=traced, running=running
    )
    limits = SharedLimits(app, settings, routes, clock=running)
    prompts = Prompts(app, settings, files, routes=routes, metrics=metrics)
    tool_calls, records = traced.tools(MeteredTools(metrics)), RecordsInProgress(running)
    overdue = OverdueRecords(records)
    tools = Tools(settings, tool_calls, refuses=routes.refuses)
    router = _router(
        settings,
        registry,
        prompts,
        routes,
        files,
        metrics,
        tools.loop,
        traced.steps(),
        records,
        running,
    )

    handler, outcomes = traced.router(router), OutcomeRecorder(metrics)
    http_calls = DrainableRouter(handler, deadline_s=settings.deadline_s, clock=running)
    window = build_window(
        app,
        settings,
        handler=handler,
        outlets=flows.outlets(handler),
        outcomes=outcomes,
        metrics=metrics,
        traced=traced,
        running=running,
    )
    peers = build_peers(app, settings)
    app.bind(
        settings=settings,
        window=window,
        ledgers=flows.ledgers,
        watchdog=_watchdog(app, settings),
        on_log_change=metrics.log_changed,
        overdue=overdue.impaired,
        http_calls=http_calls.drain,
        inputs=flows.inputs,
        from_latest=flows.from_latest,
        preparing=(
            lambda: require_configs(settings),
            flows.prepare,
            tools.connect,
            prompts.publish_files,
            lambda: flows.look_for_prompts(prompts.registry),
            prompts.refresh_examples,
            lambda: costs.look_up(routes.targets),
        ),
        closing=(
            routes.aclose,
            tools.aclose,
            costs.aclose,
            limits.aclose,
            peers.aclose,
            prompts.aclose,
            flows.aclose,
            traced.aclose,
        ),
    )
    subscribe(app, flows.sources(), window=window)
    flows.share_limits(routes)
    prompts.watch(window)
    app.add_future(running.keep())
    for ledger in flows.ledgers:
        renewal = LedgerRenewal(ledger, lambda: window.lease, ttl_s=settings.ledger_ttl_s)
        app.add_future(renewal.watch())
    app.add_future(log_summaries(app, lambda: metrics.take() | routes.held()))
    metrics.watch(
        "partitions_unreadable",
        "Partitions that are held, since a batch in them cannot be read.",
        lambda: len(app.unreadable()),
    )

    metrics.watch(
        "partitions_held",
        "Partitions of which nothing more is taken behind a record that runs for 30 s or longer.",
        lambda: len(held_lines(window.partitions, now=time.monotonic())),
    )

    metrics.watch(
        "records_overdue",
        "Records whose processor awaits something of its own for longer than their deadline.",
        lambda: overdue.count,
    )
    app.add_future(overdue.watch())

    parts = (routes, costs, prompts, flows, tools, overdue, app.held, app.addresses)
    health = AppHealth(
        app,
        refused=flows.refused,
        untried=routes.untried,
        impaired=lambda: [
            *(name for part in parts for name in part.impaired()),
            *app.unreadable(),
            *held_lines(window.partitions, now=time.monotonic()),
        ],
    )
    app.add_future(health.watch())
    serve(
        app,
        settings,
        registry=registry,
        http_calls=http_calls,
        outcomes=outcomes,
        prompts=prompts,
        ledger=flows.requests.ledger,
        window=window,
        routes=routes,
        costs=costs,
        metrics=metrics,
        health=health,
        peers=peers,
        traced=traced,
        counts=flows.counts,
        records=records,
        tools=tools.loop.catalogue,
    )
    return app


def _router(
    settings: Settings,
    registry: Registry,
    prompts: Prompts,
    routes: Routes,
    files: Mapping[str, PromptFile],
    metrics: Metrics,
    tools: ToolLoop,
    spans: StepSpans | None,
    records: RecordsInProgress,
    running: RunningClock,
) -> Router:
    """Return the router of records to processors; raises where one of them cannot work."""
    router = Router(
        registry=registry,
        prompts=prompts.registry,
        routes=routes,
        deadline_s=settings.deadline_s,
        clock=running,
        now=lambda: datetime.now(UTC),
        variants=prompts.variants,
        observer=metrics,
        tools=tools,
        openai=bound_client,
        spans=spans,
        records=records,
        models_of={n: frozenset(key.models) for n, key in settings.keys.items() if key.models},
    )
    if problems := router.problems(PromptRegistry.of(files)):
        raise ConfigurationError("; ".join(problems))
    return router


def _watchdog(app: StreamApp, settings: Settings) -> Watchdog:
    ssl_context = kafka_client_options(settings)["ssl_context"]
    return Watchdog(
        lambda: broker_answers(settings.brokers, ssl_context=ssl_context, timeout_s=2.0),
        clock=RunningClock(most_s=MOST_UNSEEN_S),
        on_stuck=app.blocking.keep,
        outage=Outage(settings.brokers),
    )
