"""The topics that take no record of ours now: since when, why, and what to change."""

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog

from streamapp.llm.deadline import only_waiting

log = structlog.get_logger(__name__)

#: Longest wait before a refused record is tried again, seconds; and how often one record is begun
#: where no refused one is left to try.
REFUSED_S = 10.0

#: A topic that took nothing for so long is told, seconds: a leader's election is shorter.
UNDELIVERED_S = 15.0


@dataclass(slots=True)
class _Failing:
    since: float
    error: str
    #: What to change; None for an outage.
    hint: str | None = None
    #: Records that try again.
    trying: int = 0


class TopicFailures:
    """Remembers the failures of topics until each takes a record."""

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
        """Return a line for each topic that took nothing for long, whatever the reason."""
        if not self._topics:
            return []
        now = asyncio.get_running_loop().time()
        return [
            f"topic {topic} has taken no record for {now - failing.since:.0f} s: {failing.error}"
            for topic, failing in self._topics.items()
            if failing.hint is None and now - failing.since >= UNDELIVERED_S
        ]

    def note(self, topic: str, error: str, hint: str | None, *, is_first: bool) -> None:
        """Note that a record was not delivered and will try again.

        Args:
            topic: Its name.
            error: Name of the error.
            hint: What to change where the topic refuses it.
            is_first: Whether it is the record's first failure.
        """
        failing = self._topics.get(topic)
        if failing is None:
            now = asyncio.get_running_loop().time()
            failing = self._topics[topic] = _Failing(now, error)
        if hint is not None and failing.hint is None:
            log.critical("emitter.refused", topic=topic, error=error, hint=hint)
        failing.error, failing.hint = error, hint or failing.hint
        failing.trying += is_first

    def leave(self, topic: str) -> None:
        """Note that a record tries no more: it was delivered, or given back."""
        failing = self._topics.get(topic)
        if failing is not None:
            failing.trying -= 1
            if failing.trying <= 0 and failing.hint is None:
                del self._topics[topic]
        self._changed.set()

    def delivered(self, topic: str) -> None:
        """Note that the topic took a record."""
        failing = self._topics.pop(topic, None)
        if failing is not None and failing.hint is not None:
            log.info("emitter.accepted_again", topic=topic)
        self._changed.set()

    async def accepting(self) -> None:
        """Wait until no topic refuses records.

        Only a record tells that a topic takes them again. Where none is left that tries, since a
        rebalance took it away, one is let through now and then.
        """
        loop = asyncio.get_running_loop()
        with only_waiting():
            while refusing := [each for each in self._topics.values() if each.hint is not None]:
                is_tried = any(failing.trying > 0 for failing in refusing)
                if not is_tried and loop.time() - self._probed_at >= REFUSED_S:
                    self._probed_at = loop.time()
                    return
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(REFUSED_S):
                        await self._changed.wait()
