"""The prompts of an app: their table, examples, roll-backs, and dead letters of invalid events."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from faust.types import TP

from streamapp.llm.embedder import Embedder
from streamapp.llm.routing.routes import Routes
from streamapp.llm.timeout import time_limit
from streamapp.prompts.example_set import Examples
from streamapp.prompts.example_sources import Sources
from streamapp.prompts.examples import ExamplesManager, in_use
from streamapp.prompts.files import PromptFile
from streamapp.prompts.guard import Guard
from streamapp.prompts.history import History
from streamapp.prompts.registry import PromptRegistry
from streamapp.prompts.settings import ExampleSettings
from streamapp.prompts.variants import Variants
from streamapp.settings import Settings
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.broker.log_probe import LogProbe
from streamapp.streaming.prompts.auto_rollback import watch
from streamapp.streaming.prompts.event_log import publish_files
from streamapp.streaming.prompts.example_topic import ExampleTopic
from streamapp.streaming.prompts.invalid_events import InvalidEventDeadLetters
from streamapp.streaming.prompts.table import PromptTable
from streamapp.streaming.window.window import Window
from streamapp.telemetry.metrics import Metrics


class Prompts:
    """What records and views know of prompts.

    Attributes:
        table: All versions and labels.
        registry: Renders them, with their examples.
        variants: How each version does, for splits.
    """

    def __init__(
        self,
        app: StreamApp,
        settings: Settings,
        files: Mapping[str, PromptFile],
        *,
        routes: Routes,
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._settings = settings
        self._files = files
        self._topic = ExampleTopic(settings)
        self._examples = _examples(settings, self._topic, routes)
        # The topic exists before Faust looks for it: see streaming/broker/topics.py.
        self.table = PromptTable(
            app,
            topic=settings.topic("prompts"),
            first_from=LogProbe(settings).first_from,
            renew=self._renewed,
        )
        app.tables.add(self.table)
        self.variants = Variants()
        self.registry = PromptRegistry(self.table, examples=self._examples)
        metrics.watch(
            "examples_degraded",
            "Sources of examples whose last refresh failed, or that cannot be compared.",
            lambda: len(self.impaired()),
        )

    async def publish_files(self) -> None:
        """Publish the files whose content is on the topic in no version yet."""
        await self._publish(self.table.history)

    async def _renewed(self) -> History:
        history = History({})
        await self._publish(history)
        return history

    async def _publish(self, history: History) -> None:
        await publish_files(self._settings, history, self._files, now=lambda: datetime.now(UTC))

    async def refresh_examples(self) -> None:
        """Fetch the examples that the prompts in use name."""
        await self._examples.refresh(in_use(self.table.history.prompts))

    async def examples_of(self, settings: ExampleSettings) -> Examples:
        """Return all examples of a source; raises ``PromptError`` where none ever arrived."""
        return await self._examples.whole_set(settings)

    def watch(self, window: Window) -> None:
        """Keep examples fresh, roll back what fails, dead-letter invalid events, while it runs.

        Args:
            window: Whose worker owns the requests' first partition writes those dead letters.
        """
        first = TP(self._settings.topic("requests"), 0)
        invalid_events = InvalidEventDeadLetters(
            self.table,
            self._app.produce,
            dead_letters=self._settings.topic("requests-dlt"),
            is_mine=lambda: first in window.partitions,
            now=lambda: datetime.now(UTC),
        )
        guard = Guard(self.variants, now=lambda: datetime.now(UTC))
        self._app.add_future(invalid_events.watch())
        self._app.add_future(self._examples.watch(lambda: in_use(self.table.history.prompts)))
        self._app.add_future(watch(guard, self.table))

    def impaired(self) -> Sequence[str]:
        """Return the sources of examples that fail."""
        return self._examples.impaired()

    async def aclose(self) -> None:
        """Close the reader of examples."""
        await self._topic.aclose()


def _examples(settings: Settings, topic: ExampleTopic, routes: Routes) -> ExamplesManager:
    sources = Sources(
        directory=settings.prompts_dir,
        hosts=settings.allowed_example_hosts,
        from_topic=topic.fetch,
    )
    # A model for chat as the default route would refuse, and its breaker would hold all records.
    embed = Embedder(routes, clock=time.monotonic) if settings.embed_model else None
    return ExamplesManager(sources.fetch, clock=time.monotonic, embed=embed, time_limit=time_limit)
