"""A commit to the group: as often as wanted, within its generation, and topic by topic if need be.

aiokafka repeats a commit until it is taken, also behind a newer one, and past a rebalance in the
name of the next generation: an old offset would replace that of a partition's next owner. Nor
does it end for a topic that was deleted, and one that it may not read ends the worker. Here each
try is one request, in the generation that it began in.
"""

import asyncio
from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalGenerationError,
    InvalidCommitOffsetSizeError,
    KafkaError,
    OffsetMetadataTooLargeError,
    RebalanceInProgressError,
    TopicAuthorizationFailedError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)
from aiokafka.structs import OffsetAndMetadata

log = structlog.get_logger(__name__)

#: The group went on without this member, which commits nothing any more.
GONE = (
    CommitFailedError,
    IllegalGenerationError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
TOO_LARGE = (InvalidCommitOffsetSizeError, OffsetMetadataTooLargeError)

#: Between two tries of a commit that has to be taken, seconds.
RETRY_S = 0.2

#: What to change, by the error.
HINTS: Mapping[type[Exception], str] = {
    GroupAuthorizationFailedError: "grant the right Read on the group",
    TopicAuthorizationFailedError: "grant the right Read on the topic",
    UnknownTopicOrPartitionError: "the topic is gone: what was finished of it is not committed",
}

Offsets = Mapping[TopicPartition, OffsetAndMetadata]


class OffsetCommits:
    """Commits of one client; in its thread."""

    def __init__(self) -> None:
        self._takes_metadata = True
        self._refused: dict[str, type[Exception]] = {}

    async def commit(
        self, client: AIOKafkaConsumer, offsets: Offsets, *, until_taken: bool
    ) -> set[TopicPartition]:
        """Commit; return the partitions whose commits the group took.

        Args:
            client: The group's member.
            offsets: Of partitions that are assigned to it.
            until_taken: Whether an outage is waited out, for as long as the generation lasts.
        """
        generation = client._coordinator.generation
        if generation < 0:
            # An empty group would take it from anyone, also from a member that it gave up.
            return set()
        topics = {tp.topic for tp in offsets}
        while True:
            try:
                await self._commit_once(client, offsets, generation)
            except GONE as error:
                log.info("commit.refused", error=type(error).__name__)
                return set()
            except TOO_LARGE:
                if not self._give_up_metadata():
                    return set()
            except KafkaError as error:
                if error.retriable and not isinstance(error, UnknownTopicOrPartitionError):
                    if not until_taken:
                        return set()
                    await asyncio.sleep(RETRY_S)
                elif len(topics) == 1:
                    self._tell(topics.pop(), error)
                    return set()
                else:
                    break
            else:
                for topic in topics:
                    self._refused.pop(topic, None)
                return set(offsets)
        taken: set[TopicPartition] = set()
        for topic in topics:
            own = {tp: each for tp, each in offsets.items() if tp.topic == topic}
            taken |= await self.commit(client, own, until_taken=until_taken)
        return taken

    async def _commit_once(
        self, client: AIOKafkaConsumer, offsets: Offsets, generation: int
    ) -> None:
        coordinator = client._coordinator
        if not self._takes_metadata:
            offsets = {tp: OffsetAndMetadata(each.offset, "") for tp, each in offsets.items()}
        await coordinator.ensure_coordinator_known()
        async with coordinator._commit_lock:
            assignment = client.assignment()
            if coordinator.generation != generation or not offsets.keys() <= assignment:
                raise CommitFailedError
            await asyncio.shield(coordinator._do_commit_offsets(assignment, offsets))

    def _give_up_metadata(self) -> bool:
        """Commit offsets alone from now on; return whether they were not alone."""
        had, self._takes_metadata = self._takes_metadata, False
        if had:
            log.warning(
                "commit.without_metadata",
                hint="set the broker's offset.metadata.max.bytes to 4096: without it more is"
                " answered again after a crash",
            )
        return had

    def _tell(self, topic: str, error: KafkaError) -> None:
        """Log why nothing of a topic is committed, once."""
        if self._refused.get(topic) is not type(error):
            self._refused[topic] = type(error)
            hint = HINTS.get(type(error), "see the broker's log")
            log.error("commit.refused", topic=topic, error=type(error).__name__, hint=hint)
