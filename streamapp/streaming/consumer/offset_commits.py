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

from streamapp.streaming.protocol.group_codes import HINTS as BY_CODE
from streamapp.streaming.protocol.group_codes import code_of, name_of

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

#: What to change, by the error; of the others the code tells.
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
        self,
        client: AIOKafkaConsumer,
        offsets: Offsets,
        *,
        until_taken: bool,
        first_in: int | None = None,
    ) -> Offsets:
        """Commit; return what the group took, without the metadata where it took none.

        Args:
            client: The group's member.
            offsets: Of partitions that are assigned to it.
            until_taken: Whether an outage is waited out, for as long as the generation lasts.
            first_in: The generation in which nobody had begun the partitions, which may be those
                of other members; nothing is committed in another one.
        """
        generation = client._coordinator.generation if first_in is None else first_in
        if generation < 0:
            # An empty group would take it from anyone, also from a member that it gave up.
            return {}
        is_first = first_in is not None
        return await self._commit(
            client, offsets, generation, until_taken=until_taken, is_first=is_first
        )

    async def _commit(
        self,
        client: AIOKafkaConsumer,
        offsets: Offsets,
        generation: int,
        *,
        until_taken: bool,
        is_first: bool,
    ) -> Offsets:
        topics = {tp.topic for tp in offsets}
        while True:
            sent = offsets if self._takes_metadata else _bare(offsets)
            try:
                await commit_once(client, sent, generation, is_first=is_first)
            except GONE as error:
                log.info("commit.refused", error=type(error).__name__)
                return {}
            except KafkaError as error:
                if isinstance(error, TOO_LARGE) and sent is offsets:
                    self._give_up_metadata()
                elif error.retriable and not isinstance(error, UnknownTopicOrPartitionError):
                    if not until_taken:
                        return {}
                    await asyncio.sleep(RETRY_S)
                elif len(topics) == 1:
                    self._tell(topics.pop(), error)
                    return {}
                else:
                    break
            else:
                for topic in topics:
                    self._refused.pop(topic, None)
                return sent
        taken: dict[TopicPartition, OffsetAndMetadata] = {}
        for topic in topics:
            own = {tp: each for tp, each in offsets.items() if tp.topic == topic}
            taken |= await self._commit(
                client, own, generation, until_taken=until_taken, is_first=is_first
            )
        return taken

    def _give_up_metadata(self) -> None:
        """Commit offsets alone from now on."""
        if self._takes_metadata:
            self._takes_metadata = False
            log.warning(
                "commit.without_metadata",
                hint="set the broker's offset.metadata.max.bytes to 4096: without it more is"
                " answered again after a crash, and a topic that is made anew may be begun at a"
                " place of the old one",
            )

    def _tell(self, topic: str, error: KafkaError) -> None:
        """Log why nothing of a topic is committed, once."""
        if self._refused.get(topic) is not type(error):
            self._refused[topic] = type(error)
            code = code_of(error)
            hint = HINTS.get(type(error)) or BY_CODE.get(code, "see the broker's log")
            name = name_of(code) if code else type(error).__name__
            log.error("commit.refused", topic=topic, error=name, hint=hint)


async def commit_once(
    client: AIOKafkaConsumer, offsets: Offsets, generation: int, *, is_first: bool
) -> None:
    """Commit by one request.

    Args:
        client: The group's member.
        offsets: What is sent.
        generation: In which it is; nothing is sent in another one.
        is_first: Whether partitions of other members may be among them.

    Raises:
        KafkaError: The group did not take all of it.
    """
    coordinator = client._coordinator
    await coordinator.ensure_coordinator_known()
    async with coordinator._commit_lock:
        assignment = client.assignment()
        is_own = is_first or offsets.keys() <= assignment
        if coordinator.generation != generation or not is_own:
            raise CommitFailedError
        await asyncio.shield(coordinator._do_commit_offsets(assignment, offsets))


def _bare(offsets: Offsets) -> Offsets:
    return {tp: OffsetAndMetadata(each.offset, "") for tp, each in offsets.items()}
