"""The flows of an app: the built-in one and the user's, each with its topics and ledger."""

from typing import Any, cast

import structlog
from faust.types import TP

from streamapp.bootstrap.records import FlowLedger, raw_topic
from streamapp.errors import ConfigurationError, RegistryUnavailable, SchemaRefused
from streamapp.flows.catalogue import load_flows, written_by
from streamapp.flows.formats.choice import Formats
from streamapp.flows.formats.registry import ConfluentRegistry
from streamapp.flows.formats.schema_store import SchemaStore
from streamapp.flows.references import unfilled_prompts, unknown_prompts
from streamapp.llm.routing.routes import Routes
from streamapp.processors.registry import FLOW_TYPE, Registry
from streamapp.processors.request_handler import RequestHandler
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings import Settings
from streamapp.settings.flows import REQUESTS
from streamapp.settings.located import located, located_problems
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.flows.assignor import LedgerBoundAssignor
from streamapp.streaming.flows.outlet import FlowOutlet, Outlet, RequestsOutlet
from streamapp.streaming.flows.partition_counts import PartitionCounts
from streamapp.streaming.flows.topics import compacted_outputs, ensure_flow_topics
from streamapp.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)


class Flows:
    """Every flow of the app.

    Attributes:
        requests: What the built-in flow remembers.
        own: The user's flows, each after those that it reads from.
        counts: Partitions of the user's topics; known after `prepare`.

    Raises:
        ConfigurationError: A flow is wrong.
    """

    def __init__(
        self, app: StreamApp, settings: Settings, registry: Registry, metrics: Metrics
    ) -> None:
        self._app = app
        self._settings = settings
        self._registry = registry
        self._requests_topic = settings.topic("requests")
        self.requests = FlowLedger(app, settings, self._requests_topic)
        self._formats = Formats(_schema_store(settings, metrics))
        self.own = load_flows(settings, registry, self._formats)
        self._answers = {
            flow.name: FlowLedger(app, settings, flow.input, flow=flow.name) for flow in self.own
        }
        metrics.expect_records(REQUESTS, registry.types)
        for flow in self.own:
            table = settings.flows.get(flow.name)
            metrics.expect_records(flow.name, [table.type if table else FLOW_TYPE + flow.name])
        self.counts = PartitionCounts()
        self._compacted: set[str] = set()
        metrics.watch(
            "ledger_unreadable_entries",
            "Entries of the ledgers that could not be read, since the start.",
            lambda: sum(ledger.unreadable for ledger in self.ledgers),
        )

    @property
    def inputs(self) -> list[str]:
        """The topics that the user's flows read."""
        return [flow.input for flow in self.own]

    @property
    def from_latest(self) -> list[str]:
        """Those of them that begin at their end."""
        return [flow.input for flow in self.own if flow.start == "latest"]

    @property
    def ledgers(self) -> list[Ledger]:
        """The ledgers of all flows."""
        return [answers.ledger for answers in (self.requests, *self._answers.values())]

    def impaired(self) -> list[str]:
        """Return what the tables do without, and what of them cannot be read."""
        all = (self.requests, *self._answers.values())
        store = self._formats.store
        waiting = [] if store is None else store.impaired()
        found = (name for answers in all for name in answers.impaired())
        return [*dict.fromkeys(found), *waiting]

    def refused(self) -> list[str]:
        """Return which topics take no record of ours, and what to change where that is known."""
        emitters = [each.emitter for each in (self.requests, *self._answers.values())]
        return [line for each in emitters for line in (*each.refused.values(), *each.undelivered())]

    async def prepare(self) -> None:
        """Create what is missing beside the inputs, and register schemas where that is wanted.

        Raises:
            ConfigurationError: As `ensure_flow_topics` and `compacted_outputs`, or the registry
                refuses a schema.
        """
        with located_problems(self._settings):
            await self._refuse_schemas()
            if self.own:
                self.counts.update(await ensure_flow_topics(self._settings, self.own))
                self._compacted.update(await compacted_outputs(self._settings, self.own))

    async def look_for_prompts(self, prompts: PromptRegistry) -> None:
        """Tell which flows name prompts that are not there, or that they cannot fill.

        They may be published later.

        Args:
            prompts: Those of the files and those on the topic, as they are now.
        """
        flows = self._settings.flows
        for line in located(self._settings, unknown_prompts(flows, prompts)):
            log.error("flows.prompt_missing", hint=line)
        for line in located(self._settings, unfilled_prompts(flows, prompts, self._registry)):
            log.error("flows.prompt_unfilled", hint=line)

    def outlets(self, handler: RequestHandler) -> dict[str, tuple[Outlet, FlowLedger]]:
        """Return each flow with its ledger, by input."""
        found: dict[str, tuple[Outlet, FlowLedger]] = {
            self._requests_topic: (
                RequestsOutlet(
                    handler,
                    responses=self._topic("responses"),
                    dead_letters=self._topic("requests-dlt"),
                ),
                self.requests,
            )
        }
        written = written_by(self.own)
        for flow in self.own:
            names = (*flow.outputs, *flow.reply_topics, flow.dead_letters)
            outlet = FlowOutlet(
                flow,
                topics={name: raw_topic(self._app, name) for name in names},
                counts=self.counts,
                compacted=self._compacted,
                is_chained=flow.input in written,
            )
            found[flow.input] = (outlet, self._answers[flow.name])
        return found

    def sources(self) -> list[tuple[str, Any]]:
        """Return the name of each agent, and the topic that it reads."""
        own = ((f"flow-{flow.name}", raw_topic(self._app, flow.input)) for flow in self.own)
        return [("generate", self._topic("requests")), *own]

    def share_limits(self, routes: Routes) -> None:
        """Keep this worker's part of every limit: that of its partitions of all inputs."""
        inputs = frozenset((self._requests_topic, *self.inputs))

        @self._app.on_partitions_assigned.connect
        async def share(sender: object, /, *args: Any, signal: Any, **kwargs: Any) -> None:
            assigned: set[TP] = args[0]
            total = self._settings.partitions + sum(self.counts[name] for name in self.inputs)
            # More where an input has grown since.
            assignor = cast(LedgerBoundAssignor, self._app.assignor)
            total = max(total, assignor.assigned_to_all(inputs))
            routes.set_share(min(1.0, sum(tp.topic in inputs for tp in assigned) / total))

    async def aclose(self) -> None:
        """Close the schema registry."""
        if self._formats.store is not None:
            await self._formats.store.aclose()

    async def _refuse_schemas(self) -> None:
        """Raise where the registry does not take what is to be written; one away is waited for."""
        store, problems = self._formats.store, []
        for flow, written in self._formats.written:
            assert store is not None
            try:
                await store.find_written(written)
            except SchemaRefused as error:
                problems.append(f"[flows.{flow}] output: {error}")
            except RegistryUnavailable as error:
                log.warning("flows.waits_for_schemas", reason=str(error))
                break
        if problems:
            raise ConfigurationError("\n".join(problems))

    def _topic(self, name: str) -> Any:
        settings = self._settings
        return raw_topic(self._app, settings.topic(name), partitions=settings.partitions)


def _schema_store(settings: Settings, metrics: Metrics) -> SchemaStore | None:
    if not settings.schema_registry_url:
        return None
    return SchemaStore(ConfluentRegistry(settings), on_error=metrics.registry_failed)
