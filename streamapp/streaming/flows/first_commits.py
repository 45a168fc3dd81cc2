"""Commits of partitions that nobody has begun, in the client's thread: also of those of others.

One is sent in the generation in which it was looked that nothing is there, and again only after
another look. So a worker that was frozen meanwhile, and that the group went on without, replaces
nothing; and one that is slow replaces what others commit between its look and its request alone.
"""

import asyncio
from collections.abc import Collection, Mapping

from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.consumer import ensure_TP
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, ensure_aiokafka_TP
from faust.types import TP

from streamapp.streaming.consumer.offset_commits import (
    RETRY_S,
    OffsetCommits,
    commit_once,
)
from streamapp.streaming.protocol.topic_ids import changed
from streamapp.streaming.window.finished_offsets import decode, encode
from streamapp.streaming.window.partition_state import Progress

#: Tries of a first commit, with a look before each: for a minute.
TRIES = 300


class FirstCommits(AIOKafkaConsumerThread):
    """Faust's thread of the client, for offsets of partitions that this worker may not have.

    What is committed of a topic that was made anew since counts as nothing.
    """

    abstract = True

    committed: Mapping[TP, Progress]
    read_of: dict[TP, bytes]
    made_anew: Mapping[TP, bytes]
    _commits: OffsetCommits

    async def stored(self, partitions: Collection[TP]) -> Mapping[TP, Progress]:
        """Return what the group has, also of partitions of other workers."""
        return await self.call_thread(self._stored, partitions)  # type: ignore[no-any-return]  # as Faust's

    async def _stored(self, partitions: Collection[TP]) -> Mapping[TP, Progress]:
        asked = [ensure_aiokafka_TP(tp) for tp in partitions]
        found = await self._ensure_consumer()._coordinator.fetch_committed_offsets(asked)
        return {
            ensure_TP(tp): Progress(each.offset, each.metadata or "")
            for tp, each in found.items()
            if each.offset >= 0
        }

    async def commit_first(self, offsets: Mapping[TP, int]) -> Mapping[TP, int]:
        """Commit of the partitions that have nothing; return what the group has of all of them.

        Raises:
            IllegalStateError: The group has gone on: there is another assignment, or will be.
            KafkaError: It takes none.
        """
        return await self.call_thread(self._commit_first, offsets)  # type: ignore[no-any-return]  # as Faust's

    async def _commit_first(self, offsets: Mapping[TP, int]) -> Mapping[TP, int]:
        client = self._ensure_consumer()
        coordinator = client._coordinator
        generation = coordinator.generation
        for _ in range(TRIES):
            stored = await self._stored(offsets)
            ids = {tp: self.read_of.get(tp, b"") for tp in offsets}
            there = {tp: e.offset for tp, e in stored.items() if not _is_old(e, tp, ids[tp])}
            due = {
                ensure_aiokafka_TP(tp): OffsetAndMetadata(at, encode(at, (), topic_id=ids[tp]))
                for tp, at in offsets.items()
                if tp not in there
            }
            taken = await self._commits.commit(client, due, until_taken=False, first_in=generation)
            mine = {ensure_TP(tp): Progress(e.offset, e.metadata) for tp, e in taken.items()}
            self.committed = {**self.committed, **mine}
            if len(taken) == len(due):
                return there | {tp: each.offset for tp, each in mine.items()}
            if generation < 0 or coordinator.generation != generation:
                raise IllegalStateError("the group went on before a new flow was begun")
            await asyncio.sleep(RETRY_S)
        raise KafkaError("the first offsets of a new flow were not committed")

    def note_anew(self, partitions: Collection[TP]) -> None:
        """Note that partitions were begun anew, of whatever topic they are read now."""
        self.made_anew = {
            **self.made_anew,
            **{tp: self.read_of.get(tp, b"") for tp in partitions},
        }

    async def commit_beside(self, place: TP, text: str) -> None:
        """Commit metadata at the beginning of a partition that nobody reads.

        Raises:
            IllegalStateError: This worker is no member.
            KafkaError: The group does not take it.
        """
        await self.call_thread(self._commit_beside, place, text)

    async def _commit_beside(self, place: TP, text: str) -> None:
        client = self._ensure_consumer()
        generation = client._coordinator.generation
        if generation < 0:
            raise IllegalStateError("no member of the group")
        offsets = {ensure_aiokafka_TP(place): OffsetAndMetadata(0, text)}
        await commit_once(client, offsets, generation, is_first=True)


def _is_old(stored: Progress, tp: TP, id: bytes) -> bool:
    """Whether a commit is of another topic than the one with that id, which is read."""
    return bool(changed({tp: decode(stored.offset, stored.metadata).topic_id}, {tp.topic: id}))
