"""The checks of `streamapp check`: each returns all it found and changes nothing."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MappingProxyType

from streamapp.cli.finding import Finding
from streamapp.cli.kafka import answered
from streamapp.cli.prompt_findings import examples_of_files, staged, unpublished
from streamapp.cli.tool_findings import mcp_findings, tool_findings
from streamapp.errors import ConfigurationError, StreamappError
from streamapp.llm.costs.prices import prices_of
from streamapp.llm.provider import LLMProvider
from streamapp.llm.providers.factory import build_provider
from streamapp.llm.routing.routes import Routes
from streamapp.processors.registry import Registry
from streamapp.processors.router import Router
from streamapp.prompts.files import load_files
from streamapp.prompts.prompt import Prompt
from streamapp.prompts.registry import PromptRegistry, prompts_of
from streamapp.settings import PREFIX, Settings
from streamapp.settings.checks import listed
from streamapp.streaming.broker.acls import BOTH, require_rights
from streamapp.streaming.broker.topic_configs import config_problems, topic_configs
from streamapp.streaming.broker.topics import (
    answers_changelog,
    partition_counts,
    topic_specs,
    wrong_partition_counts,
)
from streamapp.streaming.flows.assignor import held_line
from streamapp.tools.catalogue import ToolCatalogue, load_tools
from streamapp.tools.loop import ToolLoop
from streamapp.tools.mcp_server import mcp_servers


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
            findings.append(Finding(name, False, str(error)))

    registry, prompts, routes = None, None, None
    with looking_at("processors"):
        registry = Registry.load(settings.processor_modules)
        findings.append(Finding("processors", True, ", ".join(registry.types)))
    with looking_at("prompts"):
        prompts = PromptRegistry.load(settings.prompts_dir)
        load_files(settings.prompts_dir, must_exist="prompts_dir" in settings.model_fields_set)
        findings.append(Finding("prompts", True, ", ".join(prompts.names)))
        findings += examples_of_files(settings, prompts)
        notes = [*unpublished(load_files(settings.prompts_dir), published), *staged(published)]
        findings += [Finding("prompts", True, note, is_note=True) for note in notes]
    with looking_at("models"):
        built: dict[str, LLMProvider] = {
            name: build_provider(name, provider) for name, provider in settings.providers.items()
        }
        routes = Routes(settings, built)
        findings.append(Finding("models", True, ", ".join(routes.names)))
    if routes:
        with looking_at("prices"):
            findings.append(_prices(settings, routes.targets))
    catalogue = None
    with looking_at("tools"):
        catalogue = ToolCatalogue(load_tools(listed(settings.tools)), mcp_servers(settings.mcp))
        findings += tool_findings(catalogue, prompts) + mcp_findings(settings.mcp)
    if registry and prompts and routes and catalogue:
        router = Router(
            registry=registry,
            prompts=prompts,
            routes=routes,
            deadline_s=settings.deadline_s,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
            tools=ToolLoop(catalogue),
        )
        found = router.problems()
        found += _of_topic(router, settings, published, said=found)
        findings += [Finding("prompts", False, problem) for problem in found]
    return findings


def _of_topic(
    router: Router, settings: Settings, published: Mapping[str, Prompt], *, said: Sequence[str]
) -> Iterator[str]:
    """Yield what is wrong with the versions in use on the topic, where no file is at fault."""
    if not published:
        return
    # A worker publishes the files that are not there yet.
    prompts = PromptRegistry({**prompts_of(load_files(settings.prompts_dir)), **published})
    tails = {line.partition(": ")[2] for line in said}
    for line in router.problems(prompts):
        place, _, problem = line.partition(": ")
        if problem not in tails:
            yield f"{place} of the version in use on the topic: {problem}"


def _prices(settings: Settings, targets: Sequence[str]) -> Finding:
    """Look for targets without a price: only a budget in dollars needs one."""
    prices = prices_of(settings, on_unknown=lambda provider, model: None)  # the finding says it
    unknown = ", ".join(prices.look_up(targets))
    if not unknown:
        return Finding("prices", True, "known for every target")
    in_dollars = [name for name, b in settings.budgets.items() if b.limit_usd is not None]
    loss = f"budgets.{in_dollars[0]} does not count them" if in_dollars else "their cost is null"
    where = f"{PREFIX}PRICES_FILE, or `price` of [providers.NAME.models.MODEL]"
    detail = f"unknown for {unknown}, so {loss}: put them into {where}"
    return Finding("prices", not in_dollars, detail)


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
    if count > requests.partitions:
        # As many as the ledger will have once a worker has begun.
        kept = max(kept, requests.partitions)
        wrong.append(
            held_line(requests.name, count, kept, is_set=True)
            if kept < count
            else f"topic {requests.name} has {count} partitions, not {requests.partitions}: set"
            f" STREAMAPP_PARTITIONS={count}"
        )
    if wrong:
        return [broker, *(Finding("topics", False, problem) for problem in wrong)]
    missing = ", ".join(name for name in names if name not in counts)
    detail = f"a worker will create {missing}" if missing else ", ".join(names)
    found = [broker, Finding("topics", True, detail)]
    try:
        configs = await answered(settings, topic_configs(settings, list(counts)))
        found += [
            Finding("topics", False, problem.detail)
            for problem in config_problems(settings, configs)
        ]
        there = [name for name in names if name in counts]
        await answered(settings, require_rights(settings, dict.fromkeys(there, BOTH)))
    except StreamappError as error:
        return [*found, Finding("rights", False, str(error))]
    return [*found, Finding("rights", True, "read and write the topics, join the group")]
