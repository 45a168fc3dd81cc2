"""The web views of an app, and the other workers that they ask."""

from collections.abc import Mapping

from streamapp.bootstrap.costs import Costs
from streamapp.bootstrap.prompting import Prompts
from streamapp.bootstrap.tracing import Untraced
from streamapp.flows.topics import flow_topics
from streamapp.llm.durable.progress import RecordsInProgress
from streamapp.llm.routing.routes import Routes
from streamapp.processors.drainable_router import DrainableRouter
from streamapp.processors.registry import Registry
from streamapp.settings import Settings
from streamapp.streaming.app.health import AppHealth
from streamapp.streaming.app.history import SnapshotHistory
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.app.snapshot import WorkerSnapshots
from streamapp.streaming.broker.topics import topic_specs
from streamapp.streaming.dead_letters.service import DeadLetterService
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.outcomes import OutcomeRecorder, RecordingRouter
from streamapp.streaming.delivery.request_producer import RequestProducer
from streamapp.streaming.flows.input_records import InputRecords
from streamapp.streaming.flows.rates import FlowRates
from streamapp.streaming.window.window import Window
from streamapp.telemetry.metrics import Metrics
from streamapp.tools.catalogue import ToolCatalogue
from streamapp.web.peers import Peers
from streamapp.web.routes import install
from streamapp.web.tls import peer_tls_context


def build_peers(app: StreamApp, settings: Settings) -> Peers:
    """Return the other workers of the group; whoever asks for it closes it."""
    app.add_future(app.addresses.watch())
    return Peers(
        app.addresses.others,
        unasked=app.addresses.unasked,
        key=settings.peer_token,
        ssl=peer_tls_context(settings),
    )


def serve(
    app: StreamApp,
    settings: Settings,
    *,
    registry: Registry,
    http_calls: DrainableRouter,
    outcomes: OutcomeRecorder,
    prompts: Prompts,
    ledger: Ledger,
    window: Window,
    routes: Routes,
    costs: Costs,
    metrics: Metrics,
    health: AppHealth,
    peers: Peers,
    traced: Untraced,
    counts: Mapping[str, int],
    records: RecordsInProgress,
    tools: ToolCatalogue,
) -> None:
    """Register every view, with what it reads."""
    producer = RequestProducer(
        settings.topic("requests"),
        traced.send(app.produce),
        partitions=settings.partitions,
        ledger=ledger,
        window=window,
        committed=app.committed_here,
        steps=records.steps_of,
    )
    snapshots = WorkerSnapshots(
        app,
        settings=settings,
        metrics=metrics,
        outcomes=outcomes,
        health=health,
        types=registry.types,
        open_targets=routes.impaired,
        records=records,
    )
    flows = flow_topics(settings, registry)
    history = SnapshotHistory(snapshots.now)
    app.add_future(history.watch())
    install(
        app,
        handler=RecordingRouter(http_calls, outcomes),
        health=health,
        prompt_store=prompts.table,
        examples_of=prompts.examples_of,
        variants=prompts.variants,
        producer=producer,
        dead_letter_source=DeadLetterService(settings, app.produce, flows=flows, counts=counts),
        snapshots=snapshots,
        history=history,
        metrics=metrics.text,
        peers=peers,
        records={type: registry.processor_for(type).record for type in registry.types},
        topics=topic_specs(settings),
        settings=settings,
        rates=FlowRates(settings, flows),
        inputs=InputRecords(settings, flows),
        flows=flows,
        tiers=costs.economy.tiers,
        tools=tools,
        turned_away=outcomes.turned_away,
    )
