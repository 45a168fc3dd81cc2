"""The mark of the flows that have begun, beside the offsets of their inputs.

Kafka deletes a group's offsets with their topic. An input that was deleted and made anew then looks
like one of a new flow, and what it holds would be passed over. So the group commits which flows
with ``from = "latest"`` have begun: on a topic that nothing is written to, at offset 0, as short
hashes of their inputs and of the ids of these topics in the metadata. The mark lives as long as the
group's offsets do: where the group is deleted, or given up by its broker, its flows are new.

    1f:<base64 of hashes>

A group that runs loses what it has of topics that no member subscribes to, after the broker's
``offsets.retention.minutes`` (7 days): the mark is committed again each hour. Flows that the
worker does not know are left out then; one that knows them looks each minute, and at each
assignment. One whose offsets are lost in that way, with its topic as it
was, is new: its topic has the id of the mark.
"""

import time
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from hashlib import blake2b

import structlog
from aiokafka.errors import IllegalStateError, KafkaError
from faust.types import TP

from streamapp.errors import ConfigurationError
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import TopicSpec, create_topics
from streamapp.streaming.flows.first_commits import FirstCommits

log = structlog.get_logger(__name__)

VERSION = "1f:"
#: Bytes of a hash. A broker takes 4,096 characters of metadata, which is some 500 flows.
HASH_BYTES, MOST = 6, 500
#: Of them those of the input's name; the others are of the topic's id.
NAME_BYTES = 4

#: From one commit of the mark to the next, and from one look at it, seconds.
RENEW_S, LOOK_S = 3600.0, 60.0
#: Tries of one commit: another worker may write the mark between our look at it and our own.
TRIES = 5

#: Creates topics, as `create_topics`.
Create = Callable[[Settings, Sequence[TopicSpec]], Awaitable[None]]

HINT = (
    "create the topic with one partition, and grant Read on it: without it a flow whose input is"
    " deleted and made anew while workers stop or start begins at its end, and not at its beginning"
)


def begun_topic(settings: Settings) -> TopicSpec:
    """Return the topic whose offset carries the mark; it stays empty."""
    return TopicSpec(settings.topic("flows"), 1, is_fixed=True)


async def create_begun_topic(settings: Settings, *, create: Create = create_topics) -> None:
    """Create it; where that is refused, flows begin as in versions that had none.

    Raises:
        KafkaError: No broker answered.
    """
    spec = begun_topic(settings)
    try:
        await create(settings, [spec])
    except ConfigurationError as error:
        log.warning("flows.begin_not_noted", topic=spec.name, reason=str(error), hint=HINT)


def encode(hashes: Collection[bytes]) -> str:
    """Return the metadata; of more flows than it holds some are left out."""
    return VERSION + b64encode(b"".join(sorted(hashes)[:MOST])).decode()


def decode(text: str) -> frozenset[bytes]:
    """Return the hashes; none of what is no mark."""
    version, _, encoded = text.partition(":")
    if f"{version}:" != VERSION:
        return frozenset()
    try:
        hashes = b64decode(encoded, validate=True)
    except ValueError:
        return frozenset()
    ends = range(HASH_BYTES, len(hashes) + 1, HASH_BYTES)
    return frozenset(hashes[end - HASH_BYTES : end] for end in ends)


class BegunFlows:
    """What of the flows has begun, as far as this worker knows.

    Args:
        inputs: Of all flows of this worker that begin at the end.
        topic: Whose offset carries the mark.
        thread: Of the client.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        inputs: Iterable[str],
        topic: str,
        thread: FirstCommits,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = {input: _hash(input.encode(), NAME_BYTES) for input in inputs}
        self._place = TP(topic, 0)
        self._thread = thread
        self._clock = clock
        self._begun: dict[str, bytes] = {}
        self._told: dict[str, bytes] = {}
        self._noted: frozenset[bytes] = frozenset()
        self._due_at = self._look_at = clock()
        self._is_told = False

    def is_made_anew(self, input: str, id: bytes) -> bool:
        """Whether a flow has begun whose input was another topic.

        Args:
            input: Of which the group has no offset.
            id: Of its topic as it is now; empty where brokers tell none, and any may be another.
        """
        begun = self._begun.get(input, self._told.get(input))
        return begun is not None and (not id or begun != _of(id))

    async def look(self) -> None:
        """Learn from the mark what has begun."""
        self._noted = await self._stored()
        ids = {each[:NAME_BYTES]: each[NAME_BYTES:] for each in self._noted}
        self._told = {input: ids[name] for input, name in self._names.items() if name in ids}

    async def note(self, ids: Mapping[str, bytes]) -> None:
        """Mark flows as begun, once their first offsets are committed.

        Args:
            ids: Of the inputs of which this worker has partitions; what it knew of others is past.
        """
        before = self._begun
        # A broker that tells no id for a moment takes none away.
        self._begun = {
            input: _of(id) if id else before.get(input, _of(id))
            for input, id in ids.items()
            if input in self._names
        }
        await self._keep()

    async def renew(self) -> None:
        """Commit the mark again where it is time to: it would expire, or another worker cut it."""
        if self._clock() >= self._look_at:
            await self._keep()

    async def _keep(self) -> None:
        self._look_at = self._clock() + LOOK_S
        self._noted = await self._stored()
        is_due = bool(self._begun or self._noted) and self._clock() >= self._due_at
        if is_due or not self._own <= self._noted:
            await self._commit(drops_unknown=is_due)

    @property
    def _own(self) -> frozenset[bytes]:
        return frozenset(
            sorted(self._names[input] + id for input, id in self._begun.items())[:MOST]
        )

    async def _commit(self, *, drops_unknown: bool) -> None:
        try:
            for _ in range(TRIES):
                mine, known = {each[:NAME_BYTES] for each in self._own}, set(self._names.values())
                others = {
                    each
                    for each in await self._stored()
                    if each[:NAME_BYTES] not in mine
                    and (each[:NAME_BYTES] in known or not drops_unknown)
                }
                await self._thread.commit_beside(self._place, encode(others | self._own))
                self._noted = await self._stored()
                # A broker that keeps no metadata, as the embedded one, has none however often.
                if self._own <= self._noted or not self._noted:
                    self._due_at = self._clock() + RENEW_S
                    return
        except IllegalStateError:
            pass  # the group goes on; the next assignment looks again
        except KafkaError as error:
            self._tell(error)

    async def _stored(self) -> frozenset[bytes]:
        try:
            stored = await self._thread.stored({self._place})
        except KafkaError as error:
            self._tell(error)
            return frozenset()
        return decode(stored[self._place].metadata) if self._place in stored else frozenset()

    def _tell(self, error: KafkaError) -> None:
        """Log once that nothing is noted: it is not needed before an input is made anew."""
        if not self._is_told:
            self._is_told = True
            topic, name = self._place.topic, type(error).__name__
            log.warning("flows.begin_not_noted", topic=topic, reason=name, hint=HINT)


def _of(id: bytes) -> bytes:
    return _hash(id, HASH_BYTES - NAME_BYTES)


def _hash(value: bytes, size: int) -> bytes:
    return blake2b(value, digest_size=size).digest()
