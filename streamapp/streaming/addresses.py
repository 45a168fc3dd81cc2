"""The web addresses of the group's workers, and which of them several workers name as their own.

An address that several have leads to one of them: what the others know is asked for in vain, and
nothing else shows it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Self, cast

import faust
import structlog
from faust.assignor.partition_assignor import PartitionAssignor

from streamapp.settings import PREFIX

log = structlog.get_logger(__name__)

#: Stands among the topics of an address and is none: how many workers have it, where more than one.
MEMBERS = "#members"
LOOK_S = 1.0

#: Partitions by topic, of each address.
Distribution = Mapping[str, Mapping[str, Sequence[int]]]


def together(parts: Iterable[Distribution]) -> dict[str, dict[str, list[int]]]:
    """Return what workers have, given one by one; of equal addresses all, and how many they are.

    Faust keeps what the last one of them has.
    """
    found: dict[str, dict[str, list[int]]] = {}
    members = Counter[str]()
    for part in parts:
        for url, topics in part.items():
            members[url] += 1
            held = found.setdefault(url, {})
            for topic, partitions in topics.items():
                held.setdefault(topic, []).extend(partitions)
    for url, count in members.items():
        if count > 1:
            found[url][MEMBERS] = [count]
    return found


def shared_line(url: str, members: int) -> str:
    """Return what it means that several workers have an address, and what to change."""
    return (
        f"{members} workers name {url} as their address, and one of them is asked there: what the"
        " others know is missing in ?wait=, GET /v1/requests/ID and /v1/workers; set"
        f" {PREFIX}WEB_URL of each worker to an address of its own, or leave it out where all run"
        f" on one machine (commands have --url and {PREFIX}WORKER_URL)"
    )


class GroupAddresses:
    """The addresses as of the last assignment.

    A worker that was killed and is back can be in its group twice until its old session has
    ended: several workers have an address only where that lasts. What was told before a rebalance
    may be over by then, so that its time does not count.

    Args:
        told: Returns what the group's leader said.
        own: Returns this worker's address; not asked before the command line has been read.
        patience_s: How long it has to last.
        is_rebalancing: Whether the group is about to tell anew.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        told: Callable[[], Distribution],
        own: Callable[[], str],
        *,
        patience_s: float,
        is_rebalancing: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._told = told
        self._own = own
        self._patience_s = patience_s
        self._is_rebalancing = is_rebalancing
        self._clock = clock
        self._since: dict[str, float] = {}
        self._shared: dict[str, int] = {}

    @classmethod
    def of(cls, app: faust.App) -> Self:
        """Return those of an app's group; none where it serves no HTTP, and so asks nobody."""

        def told() -> Distribution:
            assignor = cast(PartitionAssignor, app.assignor)
            return assignor.external_topic_distribution if app.conf.web_enabled else {}

        patience_s = 2 * app.conf.broker_session_timeout
        return cls(
            told,
            lambda: str(app.conf.canonical_url),
            patience_s=patience_s,
            is_rebalancing=lambda: app.rebalancing,
        )

    def others(self) -> list[str]:
        """Return where other workers are asked."""
        return [url for url in self._told() if url != self._own()]

    def partitions(self, topic: str) -> dict[str, list[int]]:
        """Return a topic's partitions by address; this worker's first, also while no member."""
        told, own = self._told(), self._own()
        urls = [own, *sorted(told.keys() - {own})]
        return {url: sorted(told.get(url, {}).get(topic, ())) for url in urls}

    def members(self, url: str) -> int:
        """Return how many workers have an address."""
        return self._shared.get(url, 1)

    def unasked(self) -> int:
        """Return how many workers nobody can ask: their address leads to another one."""
        return sum(self._shared.values()) - len(self._shared)

    def impaired(self) -> list[str]:
        """Return a line for each address that several workers have."""
        return [shared_line(url, count) for url, count in sorted(self._shared.items())]

    async def watch(self) -> None:
        """Look, again and again."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Note which addresses several workers have, and log each once."""
        now, before = self._clock(), self._shared
        if self._is_rebalancing():
            self._since = dict.fromkeys(before, -inf)
            return
        counts = {url: each[MEMBERS][0] for url, each in self._told().items() if MEMBERS in each}
        self._since = {url: self._since.get(url, now) for url in counts}
        lasting = (url for url, since in self._since.items() if now - since >= self._patience_s)
        self._shared = {url: counts[url] for url in lasting}
        for url, count in self._shared.items():
            if before.get(url) != count:
                log.warning("group.address_shared", reason=shared_line(url, count))
