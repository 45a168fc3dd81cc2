"""The answers that workers keep, and whether the one that a record comes to has its answer."""

import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka.partitioner import DefaultPartitioner

from streamapp.errors import StreamappError
from streamapp.llm.completion import Call

#: The tier that all workers of a group have in common.
COMMON_TIER = "redis"


class KeptAnswer(NamedTuple):
    """An answer that a worker has: by its address, where, and since when (seconds, epoch)."""

    url: str
    tier: str
    created_at: float


class CacheWord(NamedTuple):
    """A word for a call's answer, as `Explanation.cache` has it, and what is known beyond it."""

    word: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class WorkerPartitions:
    """The workers of a group, and to which of them a record comes.

    Attributes:
        partitions: Those of the records' topic, by the worker's address.
        count: Of all partitions of the topic; None where it is not known.
    """

    partitions: Mapping[str, Collection[int]] = field(default_factory=dict)
    count: int | None = None

    def of(self, key: bytes | None) -> str | None:
        """Return the address of the worker that a record of that key comes to, where it is known.

        Where there is one worker it is that one's.
        """
        if len(self.partitions) == 1:
            return next(iter(self.partitions))
        if key is None or not self.count:
            return None
        every = range(self.count)
        partition = DefaultPartitioner()(key, [*every], [*every])
        owners = (url for url, partitions in self.partitions.items() if partition in partitions)
        return next(owners, None)


class SharedAnswers:
    """Tells of the calls of a file's records whether their answers are there already.

    That a call costs nothing is told only where the worker is known that makes it: each has a
    cache of its own.

    Args:
        ttl_s: How long answers are kept, seconds; 0 for not at all.
        kept: Returns who keeps the answer of a fingerprint; None where no worker can be asked. A
            `StreamappError` of it means that none can be any more.
        workers: The group; empty where none can be asked.
    """

    def __init__(
        self,
        *,
        ttl_s: float,
        kept: Callable[[str], Awaitable[Sequence[KeptAnswer]]] | None = None,
        workers: WorkerPartitions | None = None,
    ) -> None:
        self._ttl_s = ttl_s
        self._kept = kept
        self._workers = workers or WorkerPartitions()
        self._asked_by: dict[str, dict[Hashable, int]] = {}

    async def word(self, call: Call, *, line: int, key: bytes | None) -> CacheWord:
        """Return what is known of the answer of a call of the record in that line."""
        if not (call.fingerprint and self._ttl_s):
            return CacheWord("off")
        # Without a group, equal keys come to one worker all the same.
        place: Hashable = self._workers.of(key) if self._workers.partitions else key
        earlier = self._asked_by.setdefault(call.fingerprint, {})
        if place is not None and place in earlier:
            return CacheWord(f"line {earlier[place]}")
        found = await self._found(call, place)
        if earlier and found.word != "hit":
            [first, *_] = earlier.values()
            note = f"line {first} asks the same, and pays for both where one worker has both"
            found = CacheWord("possible", note)
        earlier.setdefault(place, line)
        return found

    async def _found(self, call: Call, place: Hashable) -> CacheWord:
        """Return what the workers tell of an answer."""
        if self._kept is None:
            return CacheWord("possible")
        try:
            kept = await self._kept(call.fingerprint)
        except StreamappError:  # a worker in a rebalance, say
            return CacheWord("possible")
        ttl_s = self._ttl_s if call.cache_ttl_s is None else call.cache_ttl_s
        fresh = [one for one in kept if one.created_at + ttl_s > time.time()]
        having = {one.url for one in fresh}
        if not having:
            return CacheWord("miss")
        if place in having or any(one.tier == COMMON_TIER for one in fresh):
            return CacheWord("hit")
        if place is not None:
            return CacheWord(
                "miss", "kept by another worker than the one of the record's partition"
            )
        everyone = self._workers.partitions.keys()
        if everyone and everyone <= having:
            return CacheWord("hit")
        some = f"{len(having)} of {len(everyone)} workers" if everyone else "some workers"
        return CacheWord("possible", f"kept by {some}; to which one the record comes is not known")
