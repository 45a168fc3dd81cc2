"""The table of prompts: global, and its changelog is the history itself, ``llm.prompts``.

Whoever changes a prompt appends an event to the topic; every worker's table reads the topic as
its changelog and folds it. Why so, and not an agent that writes a table with a changelog of its
own, is told in docs/decisions/0005-prompts-topic-is-the-changelog.md.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted, ProducerSendError
from faust.tables.manager import TableManager
from faust.types import TP, EventT
from mode import Service

from streamapp.errors import DeliveryFailed
from streamapp.prompts.events import Event, encode
from streamapp.prompts.fold import EventOutcome
from streamapp.prompts.history import History
from streamapp.streaming.consumer.consumer import Consumer
from streamapp.streaming.prompts.event_log import PARTITION
from streamapp.streaming.tables.topic_table import TopicTable
from streamapp.streaming.window.partition_state import PartitionState, Verdict

log = structlog.get_logger(__name__)

TABLE_PROMPTS = "prompts"
POLL_INTERVAL_S = 0.2
#: An event of the topic that is not here after so many seconds was skipped by Faust.
SKIPPED_S = 0.3
#: Seeks after which what is missing at the end is no event, but a transaction's marker.
TRIES = 20


class PromptTable(TopicTable):
    """Prompts by name.

    Args:
        app: Its workers all hold the whole table.
        topic: The history, one partition, never compacted.
        first_from: Returns the first offset at or above the given one at which the log holds
            an event, read past Faust; None where it cannot be told now.
        renew: Publishes the files on a topic that was made anew, and returns what it tells;
            raises ``KafkaError``.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        app: faust.App,
        *,
        topic: str,
        first_from: Callable[[TP, int], Awaitable[int | None]],
        renew: Callable[[], Awaitable[History]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first_from = first_from
        self._renew = renew
        self._clock = clock
        super().__init__(app, name=TABLE_PROMPTS, topic=topic)
        self.tp = TP(topic, PARTITION)
        self._history: History | None = None
        self._partition = PartitionState(self.tp, 0)
        self._written: dict[int, asyncio.Future[EventOutcome]] = {}
        self._standing = (-1, -1, 0.0)
        self._tries = 0

    @property
    def history(self) -> History:
        """What the topic told so far; its prompts are the table's data."""
        if self._history is None:
            self._history = History(cast(Any, self.data).data)  # the store's own dict
        return self._history

    def get(self, name: Any, default: Any = None) -> Any:
        """Return a prompt, past Faust's sensors: this is asked for every record."""
        return self.history.prompts.get(name, default)

    async def on_changelog_event(self, event: EventT[Any]) -> None:
        """Apply the next event of the topic; seek back over what Faust skipped.

        Around a rebalance Faust drops fetched events: it clears the changelog's queue.
        """
        history, message = self.history, event.message
        self._partition.expected = history.position
        verdict = self._partition.judge(message.offset)
        if verdict.is_ahead and getattr(message, "follows", message.offset) <= history.position:
            self._partition.pass_hole(message.offset)
            verdict = Verdict.NEXT
        if verdict is Verdict.COMEBACK:
            first = await self._first_from(self.tp, history.position)
            if first == message.offset:  # a transaction's marker stands between
                self._partition.pass_hole(first)
                verdict = Verdict.NEXT
        if verdict is Verdict.NEXT:
            history.apply(message.offset, message.key, message.value, message.headers)
            waiting = self._written.pop(message.offset, None)
            if waiting and not waiting.done():
                waiting.set_result(cast(EventOutcome, history.outcome(message.offset)))
        elif verdict is not Verdict.REDELIVERY:
            self._forget_seen()
            if verdict is not Verdict.BEYOND_GAP:
                await self._seek_back()

    async def begin_anew(self) -> None:
        """Take what the new topic tells for all there is, with the prompts of files in it."""
        renewed = await self._renew()
        gone = self.history.prompts.keys() - renewed.prompts.keys()
        self.history.replace(renewed)
        self._partition = PartitionState(self.tp, 0)
        log.critical(
            "prompts.made_anew",
            topic=self._topic,
            kept=len(renewed.prompts),
            gone=len(gone),
            hint="the topic was deleted and made anew, or lost events: prompts of files are"
            " published again, others that it does not hold are gone; publish them once more",
        )

    def apply_changelog_batch(self, batch: Any) -> None:
        """Leave the data alone: ``on_changelog_event`` has folded the events into it."""

    async def write(self, name: str, event: Event, *, timeout_s: float) -> EventOutcome:
        """Append an event and return what became of it, once this worker has read it back.

        Raises:
            DeliveryFailed: The broker did not take it.
            TimeoutError: It was taken, and was not read back in time.
        """
        try:
            delivery = await self.changelog_topic.send(
                key=name.encode(),
                value=encode(event),
                partition=PARTITION,
                key_serializer="raw",
                value_serializer="raw",
            )
            written = await asyncio.shield(delivery)
        except (KafkaError, ProducerSendError) as error:
            raise DeliveryFailed(f"{self._topic}: {type(error).__name__}") from error
        outcome = self.history.outcome(written.offset)
        if outcome is not None:
            return outcome
        waiting = self._written.setdefault(
            written.offset, asyncio.get_running_loop().create_future()
        )
        try:
            async with asyncio.timeout(timeout_s):
                return await waiting
        finally:
            self._written.pop(written.offset, None)

    @Service.task
    async def _watch_the_end(self) -> None:
        """Notice skipped events that no later one follows."""
        while not self.should_stop:
            await asyncio.sleep(POLL_INTERVAL_S)  # mode's own would make a task for each wait
            try:
                await self._seek_skipped()
            except (KafkaError, ConsumerNotStarted) as error:
                # Partitions come and go in a rebalance; the next look sees.
                log.debug("prompts.look_skipped", error=type(error).__name__)

    async def _seek_skipped(self) -> None:
        position, now = self.history.position, self._clock()
        # In a rebalance nothing is fetched, and recovery at its end begins where we stand.
        is_fetched = not self.app.rebalancing and self.tp in self.app.consumer.assignment()
        end = (self.app.consumer.highwater(self.tp) if is_fetched else None) or 0
        consumer = cast(Consumer, self.app.consumer)
        if is_fetched and (hole_end := consumer.hole_at_end(self.tp, position)):
            position = hole_end
        if position >= end or (position, end) != self._standing[:2]:
            self._standing, self._tries = (position, end, now), 0
        elif now - self._standing[2] > SKIPPED_S and self._tries < TRIES:
            self._standing, self._tries = (position, end, now), self._tries + 1
            self._forget_seen()
            await self._seek_back()

    async def _seek_back(self) -> None:
        log.info("prompts.sought_back", offset=self.history.position)
        await self.app.consumer.seek(self.tp, self.history.position)

    def _forget_seen(self) -> None:
        """Let Faust pass on events again that it believes to have passed on."""
        recovery = cast(TableManager, self.app.tables).recovery
        recovery.active_offsets[self.tp] = self.history.position - 1
