"""Every page of a worker, with what it needs; called once by bootstrap."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import faust

from streamapp.flows.topics import FlowTopics
from streamapp.llm.caching.cache import CacheTier
from streamapp.processors.request_handler import RequestHandler
from streamapp.prompts.variants import Variants
from streamapp.records.request import Request
from streamapp.settings import Settings
from streamapp.streaming.app.health import AppHealth
from streamapp.streaming.app.history import SnapshotHistory
from streamapp.streaming.app.snapshot import WorkerSnapshots
from streamapp.streaming.broker.topics import TopicSpec
from streamapp.streaming.dead_letters.service import DeadLetterService
from streamapp.streaming.delivery.request_producer import RequestProducer
from streamapp.streaming.flows.rates import FlowRates
from streamapp.tools.catalogue import ToolCatalogue
from streamapp.web.admission import Admission
from streamapp.web.asyncapi import asyncapi
from streamapp.web.cache_lookup import cache_lookup
from streamapp.web.concurrency_limit import ConcurrencyLimit
from streamapp.web.dead_letters import dead_letters
from streamapp.web.documents import documents
from streamapp.web.flows import flows as flows_of
from streamapp.web.generate import generate
from streamapp.web.group import Group
from streamapp.web.history import history_of
from streamapp.web.input_records import RecordSource, input_records
from streamapp.web.live import live
from streamapp.web.openai.views import openai
from streamapp.web.openapi import openapi
from streamapp.web.operations import OPERATIONS
from streamapp.web.own_key import own_key
from streamapp.web.peers import Peers
from streamapp.web.probes import probes
from streamapp.web.prompt_examples import FindExamples, prompt_examples
from streamapp.web.prompt_stats import stats
from streamapp.web.prompts import PromptStore, prompts
from streamapp.web.requests import requests
from streamapp.web.tools import tools as tools_of

#: Requests over HTTP that wait for one of the running ones, as a multiple of those.
WAITING_FACTOR = 4


def install(
    app: faust.App,
    *,
    handler: RequestHandler,
    health: AppHealth,
    producer: RequestProducer,
    dead_letter_source: DeadLetterService,
    snapshots: WorkerSnapshots,
    history: SnapshotHistory,
    metrics: Callable[[], bytes],
    peers: Peers,
    prompt_store: PromptStore,
    examples_of: FindExamples,
    variants: Variants,
    records: Mapping[str, type[Request]],
    topics: Sequence[TopicSpec],
    settings: Settings,
    rates: FlowRates,
    inputs: RecordSource,
    flows: Mapping[str, FlowTopics] = MappingProxyType({}),
    tiers: Sequence[CacheTier] = (),
    tools: ToolCatalogue | None = None,
    turned_away: Callable[[str, str], None] = lambda code, message: None,
) -> None:
    """Register all views on ``app``.

    ``handler`` is the router that the stream uses: limits and budgets are shared through it,
    but HTTP runs up to ``MAX_IN_FLIGHT`` records of its own at once. ``records`` are the record
    classes by type and ``topics`` what is created at the start: the documents tell of them.
    ``examples_of`` returns the examples that a version of a prompt names. ``flows`` are the
    user's, by name; ``rates`` tell what they do and ``inputs`` what stands on their inputs.
    ``tiers`` are those of the cache, and ``tools`` what agents may call. ``turned_away`` hears, by
    code and message, of requests that end before there is a record.
    """
    running = settings.max_in_flight
    admission = Admission(
        health=health,
        gate=ConcurrencyLimit(running, running * WAITING_FACTOR),
        models=settings.models,
        deadline_s=settings.deadline_s,
        turned_away=turned_away,
    )
    group = Group(snapshots, peers)
    blueprints = [
        probes(health, settings),
        generate(handler=handler, admission=admission),
        openai(
            handler=handler,
            admission=admission,
            models=settings.models,
            pass_through=_pass_through(settings),
        ),
        requests(
            handler=handler,
            admission=admission,
            producer=producer,
            peers=peers,
            longest_wait_s=settings.deadline_s,
        ),
        prompts(store=prompt_store, admission=admission),
        prompt_examples(store=prompt_store, find=examples_of, admission=admission),
        stats(store=prompt_store, variants=variants, peers=peers, admission=admission),
        cache_lookup(tiers=tiers, url=snapshots.own_url, peers=peers, admission=admission),
        dead_letters(
            source=dead_letter_source,
            handler=handler,
            admission=admission,
            longest_s=settings.deadline_s,
        ),
        own_key(),
        live(group=group, metrics=metrics),
        flows_of(rates=rates, group=group, admission=admission),
        input_records(source=inputs, admission=admission),
        tools_of(tools or ToolCatalogue()),
        history_of(history=history, url=snapshots.own_url, peers=peers),
        documents(
            openapi=lambda: openapi(OPERATIONS, records=records, has_keys=settings.has_keys),
            asyncapi=lambda with_flows: asyncapi(
                settings, topics=topics, records=records, flows=flows if with_flows else {}
            ),
        ),
    ]
    for blueprint in blueprints:
        blueprint.register(app)


def _pass_through(settings: Settings) -> dict[str, frozenset[str]]:
    """Return, by route, the fields of callers that one of its targets takes."""
    return {
        name: frozenset(
            field
            for target in route.all_targets
            if (provider := settings.providers.get(target.partition("/")[0]))
            for field in provider.pass_through
        )
        for name, route in settings.models.items()
    }
