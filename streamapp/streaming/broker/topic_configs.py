"""The configurations of existing topics that would lose or refuse records of ours."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from streamapp.errors import ConfigurationError
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import (
    RECORD_LIMIT,
    TopicSpec,
    admin_client,
    answers_changelog,
    topic_specs,
)

log = structlog.get_logger(__name__)

#: Kafka's limit is for a batch with its framing, ours for key, value and headers; bytes.
BATCH_LIMIT = RECORD_LIMIT + 1_000

#: Topics whose records would replace one another, and what that would mean.
_NOT_COMPACTED = {
    "requests": "records of equal keys would vanish before they are answered",
    "responses": "answers of equal keys would vanish, and those without a key be refused",
    "requests-dlt": "dead letters of equal keys would vanish, and those without a key be refused",
    "prompts": "the versions of a prompt would vanish",
}


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One configuration that does not fit.

    Attributes:
        detail: What is wrong and what to set.
        loses: Whether records would be lost or paid twice: the worker does not start then.
        is_note: Whether all goes on as in the version that made the topic.
    """

    detail: str
    loses: bool
    is_note: bool = False


async def topic_configs(settings: Settings, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the configuration of each topic that exists and may be described.

    A broker that does not tell, or grants no right to ask, is believed to fit.

    Raises:
        KafkaError: No broker answered.
    """
    admin = admin_client(settings)
    try:
        await admin.start()
        try:
            answers = await admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
            )
        except KafkaError as error:
            log.debug("topics.configs_unknown", error=type(error).__name__)
            return {}
    finally:
        await admin.close()
    return {
        name: {entry[0]: entry[1] for entry in entries if entry[1] is not None}
        for answer in answers
        for code, _, _, name, entries in answer.resources
        if not code
    }


def config_problems(
    settings: Settings, configs: Mapping[str, Mapping[str, str]]
) -> list[ConfigProblem]:
    """Return what does not fit in the topics' configurations, by topic; what is not told fits."""
    return [
        problem
        for spec in topic_specs(settings)
        if spec.name in configs
        for problem in _problems(settings, spec, configs[spec.name])
    ]


def _problems(
    settings: Settings, spec: TopicSpec, config: Mapping[str, str]
) -> Iterator[ConfigProblem]:
    policies = _policies(config)
    for part, loss in _NOT_COMPACTED.items():
        if spec.name == settings.topic(part) and is_compacted(config):
            detail = f"topic {spec.name} has cleanup.policy={config['cleanup.policy']}: {loss}"
            yield ConfigProblem(f"{detail}; set cleanup.policy=delete", loses=True)
    if spec.name == answers_changelog(settings) and is_compacted(config):
        yield ConfigProblem(compacted_changelog(spec.name), loses=False, is_note=True)
    if "delete" in policies:
        for name in ("retention.ms", "retention.bytes"):
            wanted = spec.config.get(name)
            if wanted is None or name not in config:
                continue
            if _is_less(int(config[name]), int(wanted)):
                yield ConfigProblem(
                    f"topic {spec.name} has {name}={config[name]}: what a worker needs after a"
                    f" restart would be deleted; set {name}={wanted} or more",
                    loses=True,
                )
    limit = int(config.get("max.message.bytes", BATCH_LIMIT))
    if limit < BATCH_LIMIT:
        yield ConfigProblem(
            f"topic {spec.name} has max.message.bytes={limit}: what is larger becomes a dead"
            f" letter too_large, after it was paid for; set {BATCH_LIMIT} or more",
            loses=False,
        )


def compacted_changelog(name: str) -> str:
    """Return what is to be done about a ledger's changelog that an earlier version made."""
    return (
        f"topic {name} is compacted, as earlier versions made it: of two entries of an id it may"
        " keep the late one of a worker that was cut off, and an equal record is answered"
        " otherwise; set cleanup.policy=delete"
    )


def is_compacted(config: Mapping[str, str]) -> bool:
    """Whether records of a topic with that configuration replace earlier ones of their key."""
    return "compact" in _policies(config)


def _policies(config: Mapping[str, str]) -> set[str]:
    return set(config.get("cleanup.policy", "").replace(" ", "").split(","))


def _is_less(kept: int, wanted: int) -> bool:
    """Whether less is kept than wanted; -1 is without a limit."""
    return kept >= 0 and (wanted < 0 or kept < wanted)


async def require_configs(settings: Settings) -> None:
    """Check the topics, which exist.

    Raises:
        ConfigurationError: A configuration would lose records; all of them are named.
        KafkaError: No broker answered.
    """
    configs = await topic_configs(settings, [spec.name for spec in topic_specs(settings)])
    problems = config_problems(settings, configs)
    for problem in problems:
        if not problem.loses:
            log.warning("topics.unfit", reason=problem.detail)
    if lost := [problem.detail for problem in problems if problem.loses]:
        raise ConfigurationError("\n".join(lost))
