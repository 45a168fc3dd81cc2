"""The whole group as one worker shows it: the numbers and last outcomes of all its workers."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from streamapp.streaming.app.snapshot import WorkerSnapshots
from streamapp.web.peers import Peers

#: The others are asked at most so often, seconds, however many look on.
EVERY_S = 1.0
#: What was said longer ago is forgotten when somebody looks again, seconds.
STALE_S = 5.0
#: Outcomes of others that are kept for whoever looks on.
KEPT = 1_000

Outcomes = tuple[int, list[dict[str, Any]]]


class Group:
    """What the workers of the group say of themselves; asked only while somebody looks.

    Args:
        clock: Monotonic, seconds.
    """

    def __init__(
        self,
        snapshots: WorkerSnapshots,
        peers: Peers,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._snapshots = snapshots
        self._peers = peers
        self._clock = clock
        self._numbers: dict[str, dict[str, Any]] = {}
        self._seen: dict[str, int] = {}
        self._count = 0
        self._outcomes: deque[tuple[int, dict[str, Any]]] = deque(maxlen=KEPT)
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    def own(self, after: int) -> dict[str, Any]:
        """Return this worker's numbers, with its outcomes after a number."""
        last, outcomes = self._snapshots.tail(after)
        return {"now": self._snapshots.now(), "last": last, "outcomes": outcomes}

    def workers(self, now: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return each worker's address, partitions and last numbers (None without one), own first.

        ``now`` are this worker's numbers where the caller has them already. Workers that have one
        address are one here; ``members`` says how many.
        """
        own, *others = self._snapshots.workers().items()
        numbers = {**self._numbers, own[0]: now or self._snapshots.now()}
        return [
            {
                "url": url,
                "members": self._snapshots.members(url),
                "partitions": partitions,
                "now": numbers.get(url),
            }
            for url, partitions in (own, *others)
        ]

    def tail(self, after: int) -> Outcomes:
        """Return the last number, and how records ended at the others after a number."""
        return self._count, [fields for number, fields in self._outcomes if number > after]

    def ask(self) -> "asyncio.Task[None] | None":
        """See to it that the others are asked, unless they just were; return what is under way."""
        since_s = self._clock() - self._asked_at
        if self._asking is None and since_s >= EVERY_S:
            if since_s >= STALE_S:
                self._numbers.clear()
            self._asked_at = self._clock()
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._done)
        return self._asking

    def _done(self, task: asyncio.Task[None]) -> None:
        self._asking = None

    async def _ask(self) -> None:
        _, *others = self._snapshots.workers()
        self._seen = {url: self._seen.get(url, 0) for url in others}
        numbers = await asyncio.gather(*(self._ask_one(url) for url in others))
        self._numbers = {url: now for url, now in zip(others, numbers, strict=True) if now}

    async def _ask_one(self, url: str) -> dict[str, Any] | None:
        """Return a worker's numbers; keep how records ended there since it was last asked."""
        answer: Any = await self._peers.get_json_of(url, f"/v1/workers?after={self._seen[url]}")
        try:
            now, last, outcomes = answer["now"], answer["last"], answer["outcomes"]
        except (LookupError, TypeError):  # no answer, or a worker of another version
            return None
        # A worker that was started again counts from the beginning.
        self._seen[url] = last if last >= self._seen[url] else 0
        for fields in outcomes:
            self._count += 1
            self._outcomes.append((self._count, fields))
        return now if isinstance(now, dict) else None
