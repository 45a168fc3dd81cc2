"""The watch over the assignment: a worker that takes no records says so, and why."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.tables.manager import TableManager
from faust.types import TP

from streamapp.errors import StreamappError
from streamapp.settings import Settings
from streamapp.streaming.broker.group_state import GroupState, group_state
from streamapp.streaming.window.window import Window

log = structlog.get_logger(__name__)

#: After so long without being ready the first line is written, then one each so often, seconds:
#: no wait of 30 s goes without one, however late it is noticed.
FIRST_S, AGAIN_S = 28.0, 120.0
POLL_INTERVAL_S = 1.0


class AssignmentWatch:
    """Tells of a group that stands still.

    A wait lasts until records can be taken: an assignment that comes and goes, or whose tables
    are still read, ends none.

    Args:
        describe: Asks the group's coordinator.
        clock: Monotonic, seconds.
        sleep: Between two looks, seconds.
    """

    def __init__(
        self,
        describe: Callable[[], Awaitable[GroupState]],
        clock: Callable[[], float],
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._describe = describe
        self._clock = clock
        self._sleep = sleep
        self._since: float | None = None
        self._told_at: float | None = None

    @classmethod
    def of(cls, settings: Settings, clock: Callable[[], float]) -> "AssignmentWatch":
        """Return the watch that asks the brokers of the settings."""
        return cls(lambda: group_state(settings), clock)

    async def watch(self, app: faust.App, window: Window) -> None:
        """Look at the assignment of ``app`` every second, until it stops.

        Args:
            app: The worker's.
            window: Takes records from the partitions that there are.
        """
        while not app.should_stop:
            if self.is_due(is_ready=is_assigned(app) and window.is_open):
                await self.tell(
                    is_assigned=is_assigned(app),
                    is_recovered=is_recovered(app),
                    refusal=window.membership.refusal,
                )
            await self._sleep(POLL_INTERVAL_S)

    def is_due(self, *, is_ready: bool) -> bool:
        """Note whether records are taken; return whether that none are is to be told now."""
        now = self._clock()
        if is_ready:
            if self._told_at is not None:
                log.info("group.ready", waited_s=round(self.waited_s, 1))
            self._since = self._told_at = None
            return False
        if self._since is None:
            self._since = now
        is_due = (
            now - self._since >= FIRST_S
            if self._told_at is None
            else now - self._told_at >= AGAIN_S
        )
        if is_due:
            self._told_at = now
        return is_due

    @property
    def waited_s(self) -> float:
        """Seconds since records were last taken, or since the start."""
        return 0.0 if self._since is None else self._clock() - self._since

    async def tell(self, *, is_assigned: bool, is_recovered: bool, refusal: str = "") -> None:
        """Log for how long no records have been taken, and what the group does.

        Args:
            is_assigned: Whether the group has given partitions at this moment.
            is_recovered: Whether the tables are read.
            refusal: Why the group does not take this worker, with what to change.
        """
        waited_s = round(self.waited_s, 1)
        event = "group.not_ready" if is_assigned else "group.not_assigned"
        more = {} if not is_assigned else {"reason": _reason(is_recovered=is_recovered)}
        if refusal:
            more["refusal"] = refusal
        try:
            found = await self._describe()
        except (KafkaError, StreamappError, OSError) as error:
            log.warning(
                event, waited_s=waited_s, state="unknown", error=type(error).__name__, **more
            )
            return
        log.warning(
            event,
            waited_s=waited_s,
            **more,
            state=found.state,
            meaning=found.meaning,
            members=list(found.members),
        )


def _reason(*, is_recovered: bool) -> str:
    if is_recovered:
        # Faust takes its tables for read before the ledgers are.
        return "it has partitions, and reads their ledgers; or they came and went before it had"
    return "it has partitions, and reads their tables"


def is_assigned(app: faust.App) -> bool:
    """Whether the group has given partitions, and takes none away right now."""
    # Not by the generation: the first one of a group can be 0.
    return app.rebalancing_count > 0 and not app.rebalancing


def is_recovered(app: faust.App) -> bool:
    """Whether the tables hold what their changelogs hold."""
    recovery = cast(TableManager, app.tables).recovery
    return recovery.completed.is_set() and not app.in_recovery


def tell_opened(generation: int, positions: Mapping[TP, int]) -> None:
    """Log which partitions this worker has taken over, and where each goes on."""
    log.info(
        "window.opened",
        generation=generation,
        partitions=len(positions),
        **{"from": begins(positions)},
    )


def begins(positions: Mapping[TP, int]) -> dict[str, str]:
    """Return by topic where its partitions begin, each as ``PARTITION@OFFSET``."""
    found: dict[str, list[str]] = {}
    for tp, offset in sorted(positions.items()):
        found.setdefault(tp.topic, []).append(f"{tp.partition}@{offset}")
    return {topic: " ".join(places) for topic, places in found.items()}
