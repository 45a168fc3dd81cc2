"""The checks of flows: their settings, their inputs, and what the schema registry says of them."""

from collections.abc import Iterator, Mapping

from aiokafka.errors import KafkaError

from streamapp.cli.finding import Finding
from streamapp.cli.kafka import answered
from streamapp.cli.prompt_findings import read_prompts
from streamapp.cli.terminal import counted
from streamapp.errors import ConfigurationError, RegistryUnavailable, SchemaRefused, StreamappError
from streamapp.flows.catalogue import load_flows
from streamapp.flows.flow import Start
from streamapp.flows.formats.choice import Formats
from streamapp.flows.formats.registry import ConfluentRegistry
from streamapp.flows.formats.schema_store import SchemaStore, Written
from streamapp.flows.references import unfilled_prompts, unknown_prompts
from streamapp.flows.topics import FlowTopics, flow_topics
from streamapp.processors.registry import Registry
from streamapp.prompts.files import load_files
from streamapp.prompts.registry import PromptRegistry, prompts_of
from streamapp.settings import Settings
from streamapp.streaming.broker.acls import require_rights
from streamapp.streaming.broker.topics import answers_changelog, partition_counts
from streamapp.streaming.flows.assignor import held_line, shrunk_line
from streamapp.streaming.flows.begun_flows import begun_topic
from streamapp.streaming.flows.state import flow_states
from streamapp.streaming.flows.topics import flow_rights, missing_inputs

#: What becomes of what is there already, by where a flow begins.
_OF_EARLIER: Mapping[Start, str] = {
    "latest": 'passed over, {}; from = "earliest", in Python start="earliest", answers them',
    "earliest": "answered and paid for, {}, also where a group of another STREAMAPP_APP_ID has"
    ' done so already; from = "latest", in Python start="latest", passes them over',
}


async def flows(settings: Settings, *, has_broker: bool) -> list[Finding]:
    """Look at the flows; none where there are none.

    Args:
        settings: Name them.
        has_broker: Whether a broker answers, that knows their topics and prompts.
    """
    store, starts = None, dict[str, Start]()
    try:
        registry = Registry.load(settings.processor_modules)
    except ConfigurationError:  # said of the processors already
        why = "not checked: a module of the processors is wrong, and may have their record types"
        return [Finding("flows", True, why, is_note=True)] if settings.flows else []
    try:
        if settings.schema_registry_url:
            store = SchemaStore(ConfluentRegistry(settings))
        formats = Formats(store)
        found = load_flows(settings, registry, formats)
        if not found:
            return []
        names = [Finding("flows", True, ", ".join(flow.name for flow in found))]
        starts = {flow.name: flow.start for flow in found}
        schemas = [] if store is None else await _schemas(formats, store)
    except ConfigurationError as error:
        names = [Finding("flows", False, line) for line in str(error).splitlines()]
        later = "schemas were not checked: mend the flows first"
        schemas = [] if store is None else [Finding("flows", True, later, is_note=True)]
    finally:
        if store is not None:
            await store.aclose()
    # Whatever else is wrong with a flow, its file names its topics and its prompt.
    topics = flow_topics(settings, registry)
    looked_up = (
        [*await _prompts(settings, registry), *await _inputs(settings, topics)]
        if has_broker
        else []
    )
    if has_broker and "latest" in starts.values():
        looked_up += await _begun(settings)
    if has_broker and starts:
        looked_up += await _before(settings, topics, starts)
    return [*names, *looked_up, *schemas]


async def _prompts(settings: Settings, registry: Registry) -> list[Finding]:
    """Look for the flows' prompts, on the topic and in files: a file's may be retired there."""
    if not any(flow.prompt for flow in settings.flows.values()):
        return []
    try:
        files = prompts_of(load_files(settings.prompts_dir))
    except ConfigurationError:
        return []  # said of the prompts already
    try:
        published = await read_prompts(settings)
    except (StreamappError, KafkaError):
        return []  # said of the broker, or of the topic, already
    prompts = PromptRegistry({**files, **published})
    wrong = unknown_prompts(settings.flows, prompts)
    unfilled = unfilled_prompts(settings.flows, prompts, registry)
    return [Finding("flows", False, line) for line in (*wrong, *unfilled)]


async def _inputs(settings: Settings, flows: Mapping[str, FlowTopics]) -> list[Finding]:
    inputs, rights = [flow.input for flow in flows.values()], flow_rights(settings, flows)
    try:
        counts = await answered(settings, partition_counts(settings, list(rights)))
    except StreamappError:
        return []  # said of the broker already
    there = {name: what for name, what in rights.items() if name in counts or name in inputs}
    try:
        await answered(settings, require_rights(settings, there))
    except StreamappError as error:
        return [Finding("rights of flows", False, str(error))]
    missing = missing_inputs(flows, counts)
    if missing:
        return [Finding("flows", False, line) for line in missing]
    ledgers = _ledgers(settings, flows, counts)
    return [Finding("flow inputs", True, ", ".join(inputs)), *ledgers]


def _ledgers(
    settings: Settings, flows: Mapping[str, FlowTopics], counts: Mapping[str, int]
) -> Iterator[Finding]:
    """Compare the partitions of inputs with those of their ledgers."""
    for name, flow in flows.items():
        changelog = answers_changelog(settings, name)
        count, kept = counts.get(flow.input, 0), counts.get(changelog, 0)
        if 0 < kept < count:  # for a start to mend, which this must not stop
            line = held_line(flow.input, count, kept, is_set=False)
            yield Finding("flows", True, f"[flows.{name}] input: {line}", is_note=True)
        elif 0 < count < kept:
            line = shrunk_line(flow.input, count, changelog, kept)
            told = f"[flows.{name}] input: {line}, or give the flow another name"
            yield Finding("flows", False, told)


async def _begun(settings: Settings) -> list[Finding]:
    topic = begun_topic(settings).name
    try:
        counts = await answered(settings, partition_counts(settings, [topic]))
    except StreamappError:
        return []  # said of the broker already
    detail = f"a worker will create {topic} where it may; else create it, with one partition"
    return [] if topic in counts else [Finding("flows", True, detail)]


async def _before(
    settings: Settings, flows: Mapping[str, FlowTopics], starts: Mapping[str, Start]
) -> list[Finding]:
    """Tell what becomes of the records that stand before flows which have not begun."""
    try:
        states = await answered(settings, flow_states(settings, flows))
    except StreamappError:
        return []  # said of the broker already
    return [
        Finding(
            "flows",
            True,
            f"[flows.{state.name}] has not begun: what stands in {state.topics.input} is"
            f" {_OF_EARLIER[starts[state.name]].format(counted(state.lag, 'record'))}",
            is_note=True,
        )
        for state in states
        if state.lag and not state.is_begun and state.name in starts
    ]


async def _schemas(formats: Formats, store: SchemaStore) -> list[Finding]:
    findings = []
    for flow, written in formats.written:
        name = f"schema of flow {flow}"
        try:
            findings.append(Finding(name, True, await _told(store, written)))
        except (RegistryUnavailable, SchemaRefused) as error:
            findings.append(Finding(name, False, str(error)))
    return findings


async def _told(store: SchemaStore, written: Written) -> str:
    """Return what the registry has of what is written; nothing is registered.

    Raises:
        RegistryUnavailable: It does not answer.
        SchemaRefused: The subject does not have it, or would not take it.
    """
    if written.schema is not None and written.register:
        if not await store.is_compatible(written):
            raise SchemaRefused(
                f"the schema registry finds it incompatible with {written.subject}: change the"
                " schema, or take another topic"
            )
        return f"{written.subject} takes it"
    id, _ = await store.find_written(written)
    return f"{written.subject}, schema {id}"
