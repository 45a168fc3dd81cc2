"""The topics that take no record of ours now: since when, why, and what to change."""

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from streamapp.llm.deadline import only_waiting

log = structlog.get_logger(__name__)

#: Longest wait before a refused record is tried again, seconds; and how often one record is begun
#: where no refused one is left to try.
REFUSED_S = 10.0

#: A topic that did not take a record for so long is told, seconds: a leader's election is shorter.
UNDELIVERED_S = 15.0


@dataclass(slots=True, eq=False)
class WaitingRecord:
    """A record that a topic did not take, and that tries again.

    Attributes:
        partition: That it is for; None where its key decides.
        since: When it first failed, seconds of the loop's clock.
    """

    partition: int | None
    since: float


@dataclass(slots=True)
class _Failing:
    error: str
    #: What to change; None for an outage.
    hint: str | None = None
    waiting: set[WaitingRecord] = field(default_factory=set)


class TopicFailures:
    """Remembers the failures of topics until each takes the records that it did not take.

    One partition can fail for long while others take all that comes: what these take says nothing
    of the records that wait.
    """

    def __init__(self) -> None:
        self._topics: dict[str, _Failing] = {}
        self._changed = asyncio.Event()
        self._probed_at = -math.inf

    def __bool__(self) -> bool:
        """Whether any topic fails."""
        return bool(self._topics)

    @property
    def refused(self) -> Mapping[str, str]:
        """Topics that refuse records until somebody changes something, by what that is."""
        return {
            topic: f"topic {topic}: {failing.error}: {failing.hint}"
            for topic, failing in self._topics.items()
            if failing.hint is not None
        }

    def undelivered(self) -> list[str]:
        """Return a line for each topic that did not take a record for long, whatever the reason."""
        if not self._topics:
            return []
        now, lines = asyncio.get_running_loop().time(), []
        for topic, failing in self._topics.items():
            late = [each for each in failing.waiting if now - each.since >= UNDELIVERED_S]
            if failing.hint is None and late:
                longest_s = now - min(each.since for each in late)
                partitions = sorted({each.partition for each in late if each.partition is not None})
                where = f" in partitions {', '.join(map(str, partitions))}" if partitions else ""
                lines.append(
                    f"topic {topic} has taken no record for {longest_s:.0f} s{where}:"
                    f" {failing.error}"
                )
        return lines

    def note(
        self,
        topic: str,
        error: str,
        hint: str | None,
        *,
        partition: int | None = None,
        waiting: WaitingRecord | None = None,
    ) -> WaitingRecord:
        """Note that a record was not delivered and will try again; return what it is known by.

        Args:
            topic: Its name.
            error: Name of the error.
            hint: What to change where the topic refuses it.
            partition: That the record is for; None where its key decides.
            waiting: What was returned at its last failure; None at its first.
        """
        failing = self._topics.setdefault(topic, _Failing(error))
        if hint is not None and failing.hint is None:
            log.critical("emitter.refused", topic=topic, error=error, hint=hint)
        # What is refused stays the reason, whatever fails beside it.
        if hint is not None or failing.hint is None:
            failing.error, failing.hint = error, hint
        if waiting is None:
            waiting = WaitingRecord(partition, asyncio.get_running_loop().time())
        failing.waiting.add(waiting)
        return waiting

    def leave(self, topic: str, waiting: WaitingRecord) -> None:
        """Note that a record tries no more: it was delivered, or given back."""
        failing = self._topics.get(topic)
        if failing is not None:
            failing.waiting.discard(waiting)
            if not failing.waiting and failing.hint is None:
                del self._topics[topic]
        self._changed.set()

    def delivered(self, topic: str, waiting: WaitingRecord | None) -> None:
        """Note that the topic took a record.

        Args:
            topic: Its name.
            waiting: Of a record that had failed before; None for one that had not.
        """
        failing = self._topics.get(topic)
        if failing is None or (waiting is None and failing.waiting):
            return
        if failing.hint is not None:
            failing.hint = None
            log.info("emitter.accepted_again", topic=topic)
        if waiting is None:
            del self._topics[topic]
            self._changed.set()
        else:
            self.leave(topic, waiting)

    async def accepting(self) -> None:
        """Wait until no topic refuses records.

        Only a record tells that a topic takes them again. Where none is left that tries, since a
        rebalance took it away, one is let through now and then.
        """
        loop = asyncio.get_running_loop()
        with only_waiting():
            while refusing := [each for each in self._topics.values() if each.hint is not None]:
                is_tried = any(failing.waiting for failing in refusing)
                if not is_tried and loop.time() - self._probed_at >= REFUSED_S:
                    self._probed_at = loop.time()
                    return
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(REFUSED_S):
                        await self._changed.wait()
