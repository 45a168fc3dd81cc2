"""The checks of `streamapp check`: each returns all it found and changes nothing."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

from streamapp.cli.finding import Finding
from streamapp.cli.kafka import answered
from streamapp.cli.prompt_findings import examples_of_files, staged, taken_back, unpublished
from streamapp.cli.terminal import counted, own_command
from streamapp.cli.tool_findings import mcp_findings, tool_findings
from streamapp.errors import ConfigurationError, StreamappError
from streamapp.llm.costs.prices import prices_of
from streamapp.llm.provider import LLMProvider
from streamapp.llm.providers.factory import build_provider
from streamapp.llm.providers.offline import OfflineProvider
from streamapp.llm.routing.routes import DEFAULT, Routes
from streamapp.processors.registry import Registry
from streamapp.processors.start_checks import StartChecks
from streamapp.prompts.files import read_files
from streamapp.prompts.prompt import Prompt
from streamapp.prompts.registry import PromptRegistry, prompts_of
from streamapp.settings import PREFIX, Settings
from streamapp.settings.checks import listed
from streamapp.settings.embed_route import embed_route
from streamapp.settings.keys import SHORTEST
from streamapp.streaming.broker.acls import BOTH, require_rights
from streamapp.streaming.broker.group_state import missing_coordinator
from streamapp.streaming.broker.topic_configs import config_problems, topic_configs
from streamapp.streaming.broker.topics import (
    answers_changelog,
    broker_count,
    grown_line,
    partition_counts,
    topic_specs,
    wrong_partition_counts,
)
from streamapp.streaming.flows.assignor import held_line
from streamapp.streaming.flows.state import unread_line
from streamapp.tools.catalogue import ToolCatalogue, load_tools
from streamapp.tools.mcp_server import mcp_servers

#: How long the group's coordinator is asked for, seconds: its topic may have to be made first.
COORDINATOR_S = 6.0


def own_parts(
    settings: Settings, published: Mapping[str, Prompt] = MappingProxyType({})
) -> list[Finding]:
    """Look at processors, prompts and routes, and at what one names of the other.

    Args:
        settings: Name them.
        published: The prompts on the topic, by name, beside those of the files.
    """
    findings: list[Finding] = []

    @contextmanager
    def looking_at(name: str) -> Iterator[None]:
        try:
            yield
        except ConfigurationError as error:
            findings.extend(Finding(name, False, line) for line in str(error).splitlines())

    registry, routes = Registry.load(), None  # the built-in ones where others are wrong
    with looking_at("processors"):
        registry = Registry.load(settings.processor_modules)
        findings.append(Finding("processors", True, ", ".join(registry.types)))
    files, unread = read_files(
        settings.prompts_dir, must_exist="prompts_dir" in settings.model_fields_set
    )
    prompts = PromptRegistry.of(files)
    findings += [Finding("prompts", False, line) for line in unread]
    if not unread:
        findings.append(Finding("prompts", True, ", ".join(prompts.names)))
    findings += examples_of_files(settings, prompts)
    notes = [*unpublished(files, published), *staged(published), *taken_back(published)]
    findings += [Finding("prompts", True, note, is_note=True) for note in notes]
    built: dict[str, LLMProvider] = {}
    for name, provider in settings.providers.items():
        built[name] = OfflineProvider(name)  # stands in for one that cannot be built
        with looking_at("models"):
            built[name] = build_provider(name, provider)
    with looking_at("models"):
        routes = Routes(settings, built)
        if not any(found.name == "models" for found in findings):
            findings.append(Finding("models", True, ", ".join(routes.names)))
    if routes:
        with looking_at("prices"):
            findings += _prices(settings, routes.targets)
    catalogue = None
    with looking_at("tools"):
        catalogue = ToolCatalogue(load_tools(listed(settings.tools)), mcp_servers(settings.mcp))
        findings += tool_findings(catalogue, None if unread else prompts)
    findings += [*mcp_findings(settings.mcp), *_short_keys(settings), *_cut_short(settings)]
    findings += _passed_over(settings)
    checks = StartChecks(registry, tuple(settings.models), catalogue)
    found = checks.problems(prompts, are_whole=not unread)
    if published:
        # A worker publishes the files that are not there yet.
        in_use = PromptRegistry({**prompts_of(files), **published})
        problems = checks.problems(in_use, are_whole=not unread)
        needed = {processor.prompt for processor in registry.processors}
        found += _of_topic(problems, said=found, needed=needed)
    return [*findings, *(Finding("prompts", False, problem) for problem in found)]


def _of_topic(
    problems: Sequence[str], *, said: Sequence[str], needed: Collection[str | None]
) -> Iterator[str]:
    """Yield what is wrong with the versions in use on the topic, where no file is at fault."""
    tails = {line.partition(": ")[2] for line in said}
    for line in problems:
        place, _, problem = line.partition(": ")
        name = place.partition("'")[2].partition("'")[0]
        retire = f"; or `{own_command()} prompts retire {name}`, where no record is to name it"
        if problem not in tails:
            line = f"{place} of the version in use on the topic: {problem}"
            yield line if name in needed else f"{line}{retire}"


def _short_keys(settings: Settings) -> Iterator[Finding]:
    """Note keys without a name that can be guessed; one with a name is refused."""
    if short := sum(len(key) < SHORTEST for key in settings.api_tokens):
        few = f"{counted(short, 'key')} of fewer than {SHORTEST} characters can be guessed"
        make = "make another one: `streamapp keys hash --new` prints one"
        yield Finding("keys", True, f"{PREFIX}API_KEYS: {few}; {make}", is_note=True)


def _passed_over(settings: Settings) -> Iterator[Finding]:
    """Note a model of the environment where the file has a route: it may be of another time."""
    route = settings.models.get(DEFAULT)
    if settings.model and route and all(settings.model != _model(one) for one in route.targets):
        told = f"{PREFIX}MODEL is passed over: [models.{DEFAULT}] names the targets; remove it"
        yield Finding("models", True, told, is_note=True)


def _model(target: str) -> str:
    return target.partition("/")[2]


def _cut_short(settings: Settings) -> Iterator[Finding]:
    """Note times of an attempt that end with the record's."""
    own = dict[str, float]()
    for name, provider in settings.providers.items():
        if provider.timeout_s in (None, settings.timeout_s):
            own[f"{PREFIX}TIMEOUT_S"] = settings.timeout_s
        else:
            own[f"providers.{name}.timeout_s"] = provider.timeout_s or 0
        for model, each in provider.models.items():
            own[f"providers.{name}.models.{model}.timeout_s"] = each.timeout_s or 0
    for place, seconds in own.items():
        if seconds > settings.deadline_s:
            less = f"{PREFIX}DEADLINE_S={settings.deadline_s:g} ends an attempt before it"
            yield Finding("models", True, f"{place} = {seconds:g}: {less}", is_note=True)


def _prices(settings: Settings, targets: Sequence[str]) -> list[Finding]:
    """Look for targets without a price: only a budget in dollars needs one."""
    prices = prices_of(settings, on_unknown=lambda provider, model: None)  # the finding says it
    in_dollars = [name for name, b in settings.budgets.items() if b.limit_usd is not None]
    loss = f"budgets.{in_dollars[0]} does not count them" if in_dollars else "their cost is null"
    found = []
    if unknown := prices.look_up(targets):
        where = f"{PREFIX}PRICES_FILE, or `price` of [providers.NAME.models.MODEL]"
        detail = f"unknown for {', '.join(unknown)}, so {loss}: put them into {where}"
        for target in unknown:
            for name in prices.like(target, targets=targets):
                detail = f"{detail}; {name} has one and is no target: did you mean {target}?"
        found.append(Finding("prices", not in_dollars, detail, is_note=not in_dollars))
    for target, lacks in prices.halves().items():
        if target in targets and (lacks != "output" or target in _chat_targets(settings)):
            tokens = f"of {target} for {lacks} tokens, so answers with such have none: {loss}"
            detail = f"unknown {tokens}; add `{lacks}` to its price"
            found.append(Finding("prices", not in_dollars, detail, is_note=not in_dollars))
    return found or [Finding("prices", True, "known for every target")]


def _chat_targets(settings: Settings) -> set[str]:
    """Return what routes have, but for the one that is for embeddings: these write nothing."""
    own = embed_route(settings.embed_model, providers=settings.providers, models=settings.models)
    routes = (route for route in settings.models.values() if route != own)
    return {target for route in routes for target in route.all_targets}


async def topics(settings: Settings) -> list[Finding]:
    """Compare the topics' partition counts with the wanted ones, and ask what we may do."""
    specs = topic_specs(settings)
    names = [spec.name for spec in specs]
    try:
        counts = await answered(settings, partition_counts(settings, names))
    except StreamappError as error:
        return [Finding("broker", False, f"{error}; topics were not checked")]
    broker = Finding("broker", True, settings.broker)
    wrong = wrong_partition_counts(specs, counts)
    requests = specs[0]
    count, kept = (counts.get(name, 0) for name in (requests.name, answers_changelog(settings)))
    # As many as the ledger will have once a worker has begun.
    kept = max(kept, requests.partitions)
    if kept < count:
        wrong.append(held_line(requests.name, count, kept, is_set=True))
    if wrong:
        return [broker, *(Finding("topics", False, problem) for problem in wrong)]
    missing = ", ".join(name for name in names if name not in counts)
    detail = f"a worker will create {missing} at its start" if missing else ", ".join(names)
    found = [broker, Finding("topics", True, detail)]
    if line := grown_line(requests, counts):
        found.append(Finding("topics", True, line, is_note=True))
    try:
        if missing:
            brokers = await answered(settings, broker_count(settings))
            found += _too_few(settings.replication_factor, brokers)
        configs = await answered(settings, topic_configs(settings, list(counts)))
        found += [
            Finding("topics", problem.is_note, problem.detail, is_note=problem.is_note)
            for problem in config_problems(settings, configs)
        ]
        there = [name for name in names if name in counts]
        await answered(settings, require_rights(settings, dict.fromkeys(there, BOTH)))
    except StreamappError as error:
        return [*found, Finding("rights", False, str(error))]
    found.append(Finding("rights", True, "read and write the topics, join the group"))
    group = await _group(settings)
    return [*found, group, *(await _unread(settings) if group.ok else [])]


def _too_few(replicas: int, brokers: int) -> Iterator[Finding]:
    """Note that Apache Kafka creates no topic with more replicas than it has brokers."""
    if replicas > brokers:
        there = f"the cluster has {counted(brokers, 'broker')}"
        detail = f"{PREFIX}REPLICATION_FACTOR={replicas}, and {there}: Kafka refuses such topics"
        yield Finding("topics", True, detail, is_note=True)


async def _group(settings: Settings) -> Finding:
    """Ask for who coordinates the group: without one no worker joins, whatever its rights."""
    try:
        asked = missing_coordinator(settings, patience_s=COORDINATOR_S)
        missing = await answered(settings, asked)
    except StreamappError as error:
        return Finding("group", False, str(error))
    if missing:
        return Finding("group", False, f"nobody coordinates {settings.app_id!r}: {missing}")
    return Finding("group", True, f"a broker coordinates {settings.app_id!r}")


async def _unread(settings: Settings) -> list[Finding]:
    """Tell of records that a new group would answer from the first on."""
    try:
        line = await answered(settings, unread_line(settings))
    except StreamappError:
        return []  # told by those before
    return [Finding("group", True, line, is_note=True)] if line else []
