"""The streams of records: their ledgers, the window over them, and the agents that read them."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from faust.types import TP

from streamapp.bootstrap.faust_app import membership
from streamapp.bootstrap.tracing import Untraced
from streamapp.llm.deadline import only_waits
from streamapp.processors.request_handler import RequestHandler
from streamapp.running_clock import RunningClock
from streamapp.settings import Settings
from streamapp.settings.flows import REQUESTS
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.broker.log_probe import LogProbe
from streamapp.streaming.broker.topics import answers_changelog
from streamapp.streaming.consumer.consumer import Consumer, events
from streamapp.streaming.consumer.fetched_records import unreadable_lines
from streamapp.streaming.consumer.raw_schema import RawSchema
from streamapp.streaming.delivery.chunks import ChunkStreams
from streamapp.streaming.delivery.emitter import Emitter
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.delivery.outcomes import OutcomeRecorder
from streamapp.streaming.delivery.producer import Producer
from streamapp.streaming.flows.handlers import RecordHandlers
from streamapp.streaming.flows.outlet import Outlet
from streamapp.streaming.record_handler import RecordHandler
from streamapp.streaming.tables.answers import AnswersTable
from streamapp.streaming.tables.changelog_reader import ChangelogReader
from streamapp.streaming.tables.ledger_recovery import LedgerRecovery
from streamapp.streaming.window.partition_state import SpanBounds
from streamapp.streaming.window.shares import InputBounds
from streamapp.streaming.window.window import Window
from streamapp.telemetry.metrics import Metrics

#: Records that may wait in the window, as a multiple of those that run: enough that one slow
#: key does not keep the other keys' records out.
PENDING_FACTOR = 8


class FlowLedger:
    """The ledger of a flow and its table.

    Args:
        app: The worker's.
        settings: Bound the ledger.
        input: The topic whose records it remembers.
        flow: That reads it.

    Attributes:
        emitter: Delivers what is written for a record.
        table: The ledger's entries, on Kafka.
        ledger: What was answered.
    """

    def __init__(
        self, app: StreamApp, settings: Settings, input: str, *, flow: str = REQUESTS
    ) -> None:
        self.emitter = Emitter(
            app.produce,
            send_alone=lambda *record: cast(Producer, app.producer).send_alone(*record),
        )
        # The changelog topic exists before Faust looks for it: see streaming/broker/topics.py.
        self.table = AnswersTable(
            app,
            self.emitter,
            flow=flow,
            partitions=settings.partitions if flow == REQUESTS else None,
            mine=lambda: {tp.partition for tp in app.consumer.assignment() if tp.topic == input},
            recover=lambda partitions: self._recover(partitions),
        )
        app.tables.add(self.table)
        app.held.changelogs[input] = answers_changelog(settings, flow)
        if flow == REQUESTS:
            app.held.requests = input
        self.ledger = Ledger(
            lambda: self.table.entries,
            self.table.append,
            redeliverable=lambda partition, offset: cast(Consumer, app.consumer).may_redeliver(
                TP(input, partition), offset
            ),
            now=time.time,
            ttl_s=settings.ledger_ttl_s,
            session_s=settings.session_timeout_s,
            max_bytes=settings.ledger_max_mb * 1_000_000,
        )
        self._changelog = ChangelogReader(settings, answers_changelog(settings, flow))
        self._recover = LedgerRecovery(
            self.ledger,
            self.table,
            self._changelog,
            look_up_committed=app.look_up_committed,
            membership=lambda: app.membership,
            session_s=settings.session_timeout_s,
            there=lambda: app.held.kept(input),
            on_unread=lambda partitions: app.held.unread.update({input: partitions}),
            on_fatal=app.fail,
        )
        app.add_future(self._recover.watch())

    def impaired(self) -> list[str]:
        """Return what the table does without, and what of it cannot be read."""
        return [*self.table.impaired(), *unreadable_lines(self._changelog.unreadable)]


def build_window(
    app: StreamApp,
    settings: Settings,
    *,
    handler: RequestHandler,
    outlets: Mapping[str, tuple[Outlet, FlowLedger]],
    outcomes: OutcomeRecorder,
    metrics: Metrics,
    traced: Untraced,
    running: RunningClock,
) -> Window:
    """Return the window that brings records to their outcomes.

    Args:
        app: The worker's.
        settings: Bound the window.
        handler: Answers requests.
        outlets: Each flow and its ledger, by input.
        outcomes: Hear how records end.
        metrics: Count gaps.
        traced: Puts spans around each record.
        running: Of the process: what it stood still for is no record's time.
    """
    chunks = ChunkStreams(app.produce, topic=settings.topic("chunks"), clock=time.monotonic)
    dead_letters = {outlet.dead_letters.get_topic_name() for outlet, _ in outlets.values()}
    handlers = {
        input: RecordHandler(
            router=handler,
            ledger=answers.ledger,
            emitter=traced.emitter(answers.emitter, dead_letters=dead_letters),
            chunks=chunks,
            outlet=outlet,
            outcomes=outcomes.of(outlet.name),
            accepting=answers.emitter.accepting,
            now=time.time,
            clock=running,
            refusal=app.blocking.refusal,
            keys=settings.keys,
        )
        for input, (outlet, answers) in outlets.items()
    }
    return Window(
        app.blocking.watched(traced.run(RecordHandlers(handlers))),
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
        inputs=_inputs(outlets),
    )


def _inputs(outlets: Mapping[str, tuple[Outlet, FlowLedger]]) -> dict[str, InputBounds]:
    """Return what each flow may use of the window, by input."""
    bounds = {input: outlet.bounds for input, (outlet, _) in outlets.items()}
    return {
        input: InputBounds(one.weight, one.max_in_flight, one.ordering)
        for input, one in bounds.items()
    }


def subscribe(app: StreamApp, topics: Sequence[tuple[str, Any]], *, window: Window) -> None:
    """Register an agent for each input, by its name, that hands its records to the window.

    Each has its own stream: Faust pauses the partitions of one whose queue is full, and of no
    other.
    """
    for name, topic in topics:

        @app.agent(topic, name=name, concurrency=1)
        async def take(stream: Any) -> None:
            """Hand every record to the window."""
            async for event in events(stream.noack()):
                await window.take(event)


def raw_topic(app: StreamApp, name: str, *, partitions: int | None = None) -> Any:
    """Return a topic that carries bytes: decoding happens in the window, never in Faust."""
    return app.topic(name, schema=RawSchema(), partitions=partitions)
