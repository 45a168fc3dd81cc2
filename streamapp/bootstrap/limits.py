"""The learned limits of an app's workers, shared on `llm.limits`."""

import time
from collections.abc import Callable
from uuid import uuid4

from streamapp.llm.limits.learned_limits import LearnedLimits
from streamapp.llm.routing.routes import Routes
from streamapp.settings import Settings
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.tables.limits import LimitsTable


class SharedLimits:
    """The table of learned limits of an app."""

    def __init__(
        self, app: StreamApp, settings: Settings, routes: Routes, *, clock: Callable[[], float]
    ) -> None:
        # Under a new name with each start: what it told before is news to it as well.
        learned = LearnedLimits(uuid4().hex, routes.limits, now=time.time, clock=clock)
        self._table = LimitsTable(app, topic=settings.topic("limits"), learned=learned)
        app.tables.add(self._table)

    async def aclose(self) -> None:
        """Write what is not written yet."""
        await self._table.append_last()
