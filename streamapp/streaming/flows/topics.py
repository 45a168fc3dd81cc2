"""The topics of flows: inputs that exist already, and what is created beside them."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

import structlog

from streamapp.errors import ConfigurationError
from streamapp.flows.catalogue import written_by
from streamapp.flows.flow import Flow
from streamapp.flows.topics import FlowTopics
from streamapp.settings import Settings
from streamapp.streaming.broker.acls import BOTH, READ, WRITE, require_rights
from streamapp.streaming.broker.topic_configs import (
    compacted_changelog,
    is_compacted,
    topic_configs,
)
from streamapp.streaming.broker.topics import (
    TopicSpec,
    answers_changelog,
    answers_config,
    create_topics,
    grow_topics,
    partition_counts,
)
from streamapp.streaming.flows.assignor import shrunk_line
from streamapp.streaming.flows.begun_flows import begun_topic, create_begun_topic

log = structlog.get_logger(__name__)

#: Returns the configurations of topics, as `topic_configs`.
AskConfigs = Callable[[Settings, Sequence[str]], Awaitable[Mapping[str, Mapping[str, str]]]]


def flow_topic_names(settings: Settings, flows: Iterable[Flow]) -> list[str]:
    """Return every topic that flows read or write, each once."""
    names = [
        name
        for flow in flows
        for name in (
            flow.input,
            *flow.outputs,
            *flow.reply_topics,
            flow.dead_letters,
            answers_changelog(settings, flow.name),
        )
    ]
    return list(dict.fromkeys(names))


def flow_rights(
    settings: Settings, flows: Mapping[str, Flow | FlowTopics]
) -> Mapping[str, Collection[str]]:
    """Return what the workers do with each topic of flows: ``Read``, ``Write``.

    Records go back to an input only by a replay, which says by itself that it may not.
    """
    written = written_by(flows.values())
    rights: dict[str, Collection[str]] = dict.fromkeys(written, WRITE)
    for name, flow in flows.items():
        rights[flow.input] = BOTH if flow.input in written else READ
        rights[flow.dead_letters] = rights[answers_changelog(settings, name)] = BOTH
    return rights


def missing_inputs(flows: Mapping[str, Flow | FlowTopics], existing: Iterable[str]) -> list[str]:
    """Return a line for each input that neither exists nor is another flow's output."""
    known = {*existing, *written_by(flows.values())}
    return [
        f"[flows.{name}] input: there is no topic {flow.input}: create it, or mend the name"
        for name, flow in flows.items()
        if flow.input not in known
    ]


async def compacted_outputs(
    settings: Settings, flows: Sequence[Flow], *, ask: AskConfigs = topic_configs
) -> set[str]:
    """Return the outputs and reply topics that are compacted; raises as `compacted_among`.

    A ledger's changelog that is compacted is told in the log.

    Raises:
        KafkaError: No broker answered.
    """
    names = [*written_by(flows), *(flow.dead_letters for flow in flows)]
    changelogs = {answers_changelog(settings, flow.name) for flow in flows}
    configs = await ask(settings, [*names, *changelogs])
    found = compacted_among(flows, configs)
    for name in sorted(found & changelogs):
        log.warning("topics.unfit", reason=compacted_changelog(name))
    return found - changelogs


def compacted_among(flows: Sequence[Flow], configs: Mapping[str, Mapping[str, str]]) -> set[str]:
    """Return the outputs and reply topics that are compacted: they take no record without a key.

    Args:
        flows: Of the app.
        configs: The configurations of their topics, by name; what is not told is not compacted.

    Raises:
        ConfigurationError: A topic of dead letters is compacted: some of them would vanish.
    """
    found = {name for name, config in configs.items() if is_compacted(config)}
    if lost := [
        f"[flows.{flow.name}] dead_letters: {flow.dead_letters} is compacted: those of equal keys"
        " would vanish, and those without a key be refused; set its cleanup.policy=delete"
        for flow in flows
        if flow.dead_letters in found
    ]:
        raise ConfigurationError("\n".join(lost))
    return found


async def ensure_flow_topics(settings: Settings, flows: Sequence[Flow]) -> dict[str, int]:
    """Create what is missing beside the inputs, and let changelogs grow with them.

    Args:
        settings: Say how topics are created.
        flows: Each after those that it reads from.

    Returns:
        The partition count of every topic of the flows.

    Raises:
        ConfigurationError: An input does not exist, a changelog has too many partitions, or a
            right is missing.
        KafkaError: No broker answered.
    """
    names, by_name = flow_topic_names(settings, flows), {flow.name: flow for flow in flows}
    begun = begun_topic(settings)
    there = await partition_counts(settings, [*names, begun.name])
    counts = {name: count for name, count in there.items() if name != begun.name}
    if problems := missing_inputs(by_name, counts):
        # Topics that we may not see look as if there were none.
        inputs = {flow.input: READ for flow in flows if flow.input not in counts}
        await require_rights(settings, inputs)
        raise ConfigurationError("\n".join(problems))
    missing, short = [], {}
    for flow in flows:
        count = counts[flow.input]
        changelog = answers_changelog(settings, flow.name)
        if counts.get(changelog, 0) > count:
            line = shrunk_line(flow.input, count, changelog, counts[changelog])
            raise ConfigurationError(
                f"[flows.{flow.name}] input: {line}, or give the flow another name"
            )
        if 0 < counts.get(changelog, 0) < count:
            short[changelog] = count
        specs = [
            *(TopicSpec(output, count) for output in (*flow.outputs, *flow.reply_topics)),
            TopicSpec(flow.dead_letters, count),
            TopicSpec(changelog, count, answers_config(settings)),
        ]
        for spec in specs:
            if spec.name not in counts:
                missing.append(spec)
                counts[spec.name] = count
    if missing:
        await create_topics(settings, missing)
    if short:
        await grow_topics(settings, short)
        counts |= short
    await require_rights(settings, flow_rights(settings, by_name))
    if begun.name not in there and any(flow.start == "latest" for flow in flows):
        await create_begun_topic(settings)
    return counts
