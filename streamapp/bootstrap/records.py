"""The stream of request records: the ledger, the window over it, and the agent that feeds it."""

import time
from typing import Any

from faust.types import TP

from streamapp.bootstrap.faust_app import membership
from streamapp.bootstrap.tracing import Untraced
from streamapp.llm.deadline import only_waits
from streamapp.llm.routing.routes import Routes
from streamapp.processors.request_handler import RequestHandler
from streamapp.settings import Settings
from streamapp.streaming.app.consumer import events
from streamapp.streaming.app.fetched_records import unreadable_lines
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.broker.log_probe import LogProbe
from streamapp.streaming.broker.topics import answers_changelog
from streamapp.streaming.delivery.chunks import ChunkStreams
from streamapp.streaming.delivery.emitter import Emitter
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.outcomes import OutcomeRecorder
from streamapp.streaming.record_handler import RecordHandler
from streamapp.streaming.tables.answers import AnswersTable
from streamapp.streaming.tables.changelog_reader import ChangelogReader
from streamapp.streaming.tables.ledger_recovery import LedgerRecovery
from streamapp.streaming.window.partition_state import SpanBounds
from streamapp.streaming.window.window import Window
from streamapp.telemetry.metrics import Metrics

#: Records that may wait in the window, as a multiple of those that run: enough that one slow
#: key does not keep the other keys' records out.
PENDING_FACTOR = 8


class Answers:
    """The ledger and its table.

    Attributes:
        emitter: Delivers what is written for a record.
        table: The ledger's entries, on Kafka.
        ledger: What was answered.
    """

    def __init__(self, app: StreamApp, settings: Settings, metrics: Metrics) -> None:
        requests = settings.topic("requests")
        self.emitter = Emitter(app.produce)
        # The changelog topic exists before Faust looks for it: see streaming/broker/topics.py.
        self.table = AnswersTable(
            app,
            self.emitter,
            partitions=settings.partitions,
            recover=lambda partitions: self._recover(partitions),
        )
        app.tables.add(self.table)
        self.ledger = Ledger(
            lambda: self.table.data,
            self.table.append,
            committed=lambda partition: app.committed(TP(requests, partition)),
            now=time.time,
            ttl_s=settings.ledger_ttl_s,
            max_bytes=settings.ledger_max_mb * 1_000_000,
        )
        self._changelog = ChangelogReader(settings, answers_changelog(settings))
        self._recover = LedgerRecovery(
            self.ledger, self.table, self._changelog, look_up_committed=app.look_up_committed
        )
        metrics.watch(
            "ledger_unreadable_entries",
            "Entries of the ledger that could not be read, since the start.",
            lambda: self.ledger.unreadable,
        )

    def impaired(self) -> list[str]:
        """Return what the table does without, and what of it cannot be read."""
        return [*self.table.impaired(), *unreadable_lines(self._changelog.unreadable)]


def build_window(
    app: StreamApp,
    settings: Settings,
    *,
    handler: RequestHandler,
    answers: Answers,
    outcomes: OutcomeRecorder,
    metrics: Metrics,
    traced: Untraced,
) -> Window:
    """Return the window that brings request records to their outcomes."""
    handle = RecordHandler(
        router=handler,
        ledger=answers.ledger,
        emitter=traced.emitter(answers.emitter),
        chunks=ChunkStreams(app.produce, topic=settings.topic("chunks"), clock=time.monotonic),
        responses=raw_topic(app, settings, "responses"),
        dead_letters=raw_topic(app, settings, "requests-dlt"),
        outcomes=outcomes,
        now=time.time,
        refusal=app.blocking.refusal,
    )
    return Window(
        app.blocking.watched(traced.run(handle)),
        seek=lambda tp, offset: app.consumer.seek(tp, offset),
        first_from=LogProbe(settings).first_from,
        on_fatal=app.fail,
        on_gap=metrics.gap,
        on_hold=lambda tp: app.flow.hold(tp),
        membership=membership(settings),
        # Far below the ledger's time: whatever a crash repeats is then still remembered.
        bounds=SpanBounds(age_s=settings.ledger_ttl_s / 4),
        only_waits=only_waits,
        max_in_flight=settings.max_in_flight,
        max_pending=settings.max_in_flight * PENDING_FACTOR,
        ordering=settings.ordering,
    )


def subscribe(app: StreamApp, settings: Settings, *, window: Window, routes: Routes) -> None:
    """Register the agent that hands records to the window, and what each assignment changes."""
    requests = settings.topic("requests")

    @app.agent(raw_topic(app, settings, "requests"), name="generate", concurrency=1)
    async def generate(stream: Any) -> None:
        """Hand every request record to the window."""
        async for event in events(stream.noack()):
            await window.take(event)

    @app.on_partitions_assigned.connect
    async def share_limits(sender: object, /, *args: Any, signal: Any, **kwargs: Any) -> None:
        """Keep this worker's part of every limit."""
        assigned: set[TP] = args[0]
        routes.set_share(sum(tp.topic == requests for tp in assigned) / settings.partitions)


def raw_topic(app: StreamApp, settings: Settings, name: str) -> Any:
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
