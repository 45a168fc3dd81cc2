"""All flows of an app, looked at together: names, inputs, outputs, and no circle."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from streamapp.errors import ConfigurationError
from streamapp.flows.file_flow import FileFlow
from streamapp.flows.flow import Flow
from streamapp.flows.formats.choice import Formats
from streamapp.flows.python_flow import PythonFlow
from streamapp.flows.references import unknown_models
from streamapp.flows.topics import FlowTopics, flow_topics
from streamapp.processors.registry import Registry
from streamapp.settings import Settings
from streamapp.settings.flows import REQUESTS

#: Topics that the app writes for itself; requests may come from flows, too.
_OWN = (
    "responses", "requests-dlt", "requests-dlt-replays", "usage", "chunks", "prompts", "examples",
    "spend", "limits",
)  # fmt: skip


def load_flows(
    settings: Settings, registry: Registry, formats: Formats | None = None
) -> list[Flow]:
    """Return the flows, each after those that it reads from.

    Args:
        settings: Name those of the file.
        registry: Knows those in Python, and the record types.
        formats: Read and write their topics; plain ones alone where None.

    Raises:
        ConfigurationError: A flow is wrong, or two do not go together; a line for each.
    """
    formats = formats or Formats()
    flows: list[Flow] = []
    problems = []
    for one in registry.processors:
        if isinstance(one, PythonFlow):
            try:
                flows.append(one.with_formats(formats))
            except ConfigurationError as error:
                problems.append(str(error))
    problems += [
        f"[flows.{flow.name}]: a flow in Python has that name already"
        for flow in flows
        if flow.name in settings.flows
    ]
    for name, table in settings.flows.items():
        try:
            flows.append(FileFlow(name, table, registry, formats))
        except ConfigurationError as error:
            problems.append(str(error))
    if settings.models:  # the settings of a start always have some
        problems += unknown_models(settings.flows, settings.models)
    problems += problems_of(
        flow_topics(settings, registry),  # of those that are wrong, too
        requests=settings.topic("requests"),
        responses=settings.topic("responses"),
        own=map(settings.topic, _OWN),
        app_id=settings.app_id,
    )
    if problems:
        raise ConfigurationError("\n".join(problems))
    return in_order(flows)


def problems_of(
    flows: Mapping[str, FlowTopics],
    *,
    requests: str,
    responses: str = "",
    own: Iterable[str] = (),
    app_id: str = "streamapp",
) -> Iterator[str]:
    """Yield what keeps flows from going together, a line for each.

    Args:
        flows: The topics of each, by its name.
        requests: The topic of the built-in flow.
        responses: What that writes to.
        own: Topics that the app writes for itself.
        app_id: How the names of its changelogs begin.
    """
    own = frozenset(own)
    reader, writer = {requests: REQUESTS}, dict.fromkeys(own, "streamapp itself")
    for name, flow in flows.items():
        place = f"[flows.{name}]"
        if name == REQUESTS:
            yield f"{place}: the name is that of the built-in flow: take another one"
        if (other := reader.setdefault(flow.input, name)) != name:
            yield (
                f"{place} input: the flow '{other}' reads {flow.input} already: run one of them"
                " in workers of another STREAMAPP_APP_ID and STREAMAPP_TOPIC_PREFIX"
            )
        for topic in (*flow.outputs, *flow.reply_topics, flow.dead_letters):
            if topic.startswith(f"{app_id}-") and topic.endswith("-changelog"):
                yield f"{place}: {topic} is a changelog of streamapp itself: take another topic"
        for output in flow.outputs:
            if (other := writer.setdefault(output, name)) != name:
                yield f"{place} output: {output} is written by {_named(other)} already"
    written = written_by(flows.values())
    for name, flow in flows.items():
        for topic in flow.reply_topics:
            if topic in writer:
                yield (
                    f"[flows.{name}] reply_topics: {topic} is written by"
                    f" {_named(writer[topic])} already"
                )
        dead = flow.dead_letters
        if dead in own:
            yield (
                f"[flows.{name}] dead_letters: {dead} is written by streamapp itself: take"
                " another topic"
            )
        elif dead in written or dead in reader or dead in writer:
            yield (
                f"[flows.{name}] dead_letters: {dead} is an input or output"
                " of a flow: take another topic"
            )
    ways: dict[str, Sequence[str]] = {requests: (responses,)}
    ways |= {flow.input: (*flow.outputs, *flow.reply_topics) for flow in flows.values()}
    if circle := _circle(ways):
        yield f"flows go in a circle: {' -> '.join(circle)}; a record would never end"


def in_order(flows: Sequence[Flow]) -> list[Flow]:
    """Return the flows, each after those that write what it reads."""
    ordered: list[Flow] = []
    left = list(flows)
    while left:
        written = written_by(left)
        ready = [flow for flow in left if flow.input not in written] or left
        ordered += ready
        left = [flow for flow in left if flow not in ready]
    return ordered


def written_by(flows: Iterable[Flow | FlowTopics]) -> set[str]:
    """Return the topics that flows write to, those of replies among them."""
    return {topic for flow in flows for topic in (*flow.outputs, *flow.reply_topics)}


def _named(writer: str) -> str:
    return writer if " " in writer else f"the flow '{writer}'"


def _circle(outputs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the topics of a circle, the first one again at its end; empty where there is none."""
    done: set[str] = set()

    def walk(topic: str, way: tuple[str, ...]) -> list[str]:
        if topic in way:
            return [*way[way.index(topic) :], topic]
        if topic in done:
            return []
        done.add(topic)
        found = (walk(output, (*way, topic)) for output in outputs.get(topic, ()))
        return next(filter(None, found), [])

    return next(filter(None, (walk(topic, ()) for topic in outputs)), [])
