"""The topics streamapp owns: created explicitly with their settings, verified at every start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import (
    InvalidPartitionsError,
    KafkaError,
    TopicAuthorizationFailedError,
    for_code,
)

from streamapp.errors import ConfigurationError
from streamapp.settings import Settings
from streamapp.settings.flows import REQUESTS
from streamapp.streaming.broker.security import kafka_client_options
from streamapp.streaming.tables.answers import answers_table

log = structlog.get_logger(__name__)

#: Longest key, value and headers of a record of ours, bytes. Apache Kafka takes 1,048,588 for
#: a batch by default (``message.max.bytes``); the rest is room for framing.
RECORD_LIMIT = 1_000_000

TOPIC_ALREADY_EXISTS = 36  # Kafka protocol error code
TABLE_SEGMENT_MS = 60_000
#: Chunks of answers are read while they are written, or not at all: a day.
CHUNKS_RETENTION_MS = 86_400_000
SPEND_SEGMENT_MS = 600_000
LIMITS_SEGMENT_MS = 600_000
#: A month, its longest window, and some days for who looks late.
SPEND_RETENTION_MS = 40 * 86_400_000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as streamapp wants it.

    Attributes:
        config: Kafka's topic settings; used at creation, never changed afterwards.
        is_fixed: Whether its partition count is no setting.
    """

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    is_fixed: bool = False


def answers_changelog(settings: Settings, flow: str = REQUESTS) -> str:
    """Return the name of the changelog topic of a flow's answers, as Faust forms it."""
    return f"{settings.app_id}-{answers_table(flow)}-changelog"


def answers_config(settings: Settings) -> dict[str, str]:
    """Return the settings of such a topic."""
    retention_ms = int(settings.ledger_ttl_s * 1000)
    # The active segment is not deleted: small ones keep the changelog, and with it the time to
    # recover, flat whatever has flowed.
    segment_ms = min(TABLE_SEGMENT_MS, max(10_000, retention_ms // 2))
    return {
        # Never compacted: of an id's entries the last one in the log may be of a worker that was
        # cut off, and an earlier one what the id was answered.
        "cleanup.policy": "delete",
        "retention.ms": str(retention_ms),
        "segment.ms": str(segment_ms),
        # By the broker's clock: the entries of a worker whose own is behind would be deleted at
        # once.
        "message.timestamp.type": "LogAppendTime",
    }


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Return every topic that must exist before a record is taken."""
    count = settings.partitions
    return [
        TopicSpec(settings.topic("requests"), count),
        TopicSpec(settings.topic("responses"), count),
        TopicSpec(settings.topic("requests-dlt"), count),
        # Notes of which records were sent again: see streaming/dead_letters/replay.py.
        TopicSpec(settings.topic("requests-dlt-replays"), count),
        TopicSpec(settings.topic("usage"), count),
        TopicSpec(settings.topic("chunks"), count, {"retention.ms": str(CHUNKS_RETENTION_MS)}),
        TopicSpec(answers_changelog(settings), count, answers_config(settings)),
        # The history of all prompts: ordered by its one partition, never shortened.
        TopicSpec(
            settings.topic("prompts"),
            1,
            {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"},
            is_fixed=True,
        ),
        TopicSpec(
            settings.topic("spend"),
            1,
            {
                "cleanup.policy": "compact,delete",
                "retention.ms": str(SPEND_RETENTION_MS),
                "segment.ms": str(SPEND_SEGMENT_MS),
                "min.cleanable.dirty.ratio": "0.1",
            },
            is_fixed=True,
        ),
        TopicSpec(settings.topic("examples"), 1, {"cleanup.policy": "compact"}, is_fixed=True),
        TopicSpec(
            settings.topic("limits"),
            1,
            {
                "cleanup.policy": "compact",
                "segment.ms": str(LIMITS_SEGMENT_MS),
                "min.cleanable.dirty.ratio": "0.1",
            },
            is_fixed=True,
        ),
    ]


async def partition_counts(settings: Settings, names: Sequence[str]) -> dict[str, int]:
    """Return how many partitions each topic has; a missing topic is left out.

    Raises:
        KafkaError: No broker answered.
    """
    admin = admin_client(settings)
    try:
        await admin.start()
        # All topics: a broker creates those that a metadata request names.
        found = await admin.describe_topics()
        counts = {t["topic"]: len(t["partitions"]) for t in found if not t["error_code"]}
        return {name: counts[name] for name in names if name in counts}
    finally:
        await admin.close()


async def broker_count(settings: Settings) -> int:
    """Return how many brokers the cluster has; raises `KafkaError` where none answered."""
    admin = admin_client(settings)
    try:
        await admin.start()
        return len((await admin.describe_cluster())["brokers"])
    finally:
        await admin.close()


def wrong_partition_counts(specs: Sequence[TopicSpec], counts: Mapping[str, int]) -> list[str]:
    """Return one line for each topic whose partition count no worker can begin with.

    The first topic is the requests'. The others follow it: one that has fewer partitions gets
    more, see `short_topics`.
    """
    requests, wrong = specs[0].name, []
    for spec in specs:
        count = counts.get(spec.name, spec.partitions)
        if spec.is_fixed and count != spec.partitions:
            wrong.append(
                f"topic {spec.name} has {count} partitions, not {spec.partitions}: a worker did not"
                " create it so, but a broker does by itself, for a program that asks for it. End"
                " all workers, delete it (end the embedded broker and start it again), and start"
                " them"
            )
        elif spec.name == requests and count < spec.partitions:
            wrong.append(
                f"topic {spec.name} has {count} partitions, not {spec.partitions}: set"
                f" STREAMAPP_PARTITIONS={count}, or add partitions to it"
            )
        elif not spec.is_fixed and count > max(counts.get(requests, count), spec.partitions):
            wrong.append(
                f"topic {spec.name} has {count} partitions, more than {requests} with"
                f" {counts[requests]}: recreate it"
            )
    return wrong


def short_topics(specs: Sequence[TopicSpec], counts: Mapping[str, int]) -> dict[str, int]:
    """Return the topics that have fewer partitions than the settings say, with that number."""
    return {
        spec.name: spec.partitions
        for spec in specs
        if not spec.is_fixed and counts.get(spec.name, spec.partitions) < spec.partitions
    }


def grown_line(requests: TopicSpec, counts: Mapping[str, int]) -> str | None:
    """Return what to set where the topic of requests has more partitions than the settings say.

    They are answered, once their ledger has as many; what is made anew would have too few.
    """
    count = counts.get(requests.name, 0)
    if count <= requests.partitions:
        return None
    return (
        f"topic {requests.name} has {count} partitions, not {requests.partitions}: set"
        f" STREAMAPP_PARTITIONS={count}, by which topics are made"
    )


async def ensure_topics(settings: Settings) -> None:
    """Create what is missing, verify what exists, and let it grow with the requests.

    Raises:
        ConfigurationError: A topic has another partition count than a worker can begin with, or
            the broker refuses to create one.
        KafkaError: No broker answered.
    """
    specs = topic_specs(settings)
    counts = await partition_counts(settings, [spec.name for spec in specs])
    wrong = wrong_partition_counts(specs, counts)
    if wrong:
        raise ConfigurationError("; ".join(wrong))
    if line := grown_line(specs[0], counts):
        # Not louder: commands come here too, and need not have the workers' settings.
        log.info("topics.partitions_not_set", hint=line)
    if short := short_topics(specs, counts):
        await grow_topics(settings, short)
    missing = [spec for spec in specs if spec.name not in counts]
    if missing:
        await create_topics(settings, missing)


async def grow_topics(settings: Settings, counts: Mapping[str, int]) -> None:
    """Add partitions to topics; where another worker does so at the same time, that is as well.

    Args:
        settings: Say how the broker is reached.
        counts: How many each topic is to have.

    Raises:
        ConfigurationError: The broker refuses to.
        KafkaError: No broker answered.
    """
    admin = admin_client(settings)
    refused: KafkaError | None = None
    try:
        await admin.start()
        await admin.create_partitions(
            {name: NewPartitions(total_count=count) for name, count in counts.items()}
        )
    except (InvalidPartitionsError, TopicAuthorizationFailedError) as error:
        refused = error
    finally:
        await admin.close()
    found = await partition_counts(settings, list(counts))
    for name, count in counts.items():
        if refused is not None and found.get(name, 0) < count:
            raise ConfigurationError(
                f"topic {name} needs {count} partitions and the broker adds none"
                f" ({type(refused).__name__}): add them yourself"
            )
        log.info("topics.grown", topic=name, partitions=count)


async def create_topics(settings: Settings, specs: Sequence[TopicSpec]) -> None:
    """Create topics; one that another worker creates at the same time is as well.

    Raises:
        ConfigurationError: The broker refuses to create one.
        KafkaError: No broker answered.
    """
    admin = admin_client(settings)
    try:
        await admin.start()
        answer = await admin.create_topics(
            [
                NewTopic(
                    name=spec.name,
                    num_partitions=spec.partitions,
                    replication_factor=settings.replication_factor,
                    topic_configs=dict(spec.config),
                )
                for spec in specs
            ]
        )
    finally:
        await admin.close()
    for name, code, *message in answer.topic_errors:
        if code == TOPIC_ALREADY_EXISTS:  # another worker starts at the same time
            continue
        if code:
            reason = message[0] if message and message[0] else for_code(code).__name__
            raise ConfigurationError(f"topic {name} cannot be created: {reason}")
        log.info("topics.created", topic=name)


def admin_client(settings: Settings) -> AIOKafkaAdminClient:
    """Return a client that is not started yet; whoever asks for it closes it."""
    return AIOKafkaAdminClient(
        client_id=f"{settings.app_id}-admin", **kafka_client_options(settings)
    )
