"""The dry run of a record: everything a worker does with it except the provider call."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from streamapp.cli.counted_turns import CountedTurns
from streamapp.cli.decoding import request_decoder
from streamapp.cli.file_ids import FileIds
from streamapp.cli.flow_samples import FlowSamples
from streamapp.cli.kept_answers import SharedAnswers
from streamapp.cli.lines import Line
from streamapp.errors import Failure, InternalError, StreamappError
from streamapp.flows.coroutine_flow import FlowRequest
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.prices import added_usd, prices_of
from streamapp.llm.limits.token_estimate import ANSWER_TOKENS, estimated_tokens
from streamapp.llm.providers.offline import OfflineProvider
from streamapp.llm.routing.economy import Economy
from streamapp.llm.routing.routes import Routes
from streamapp.processors.registry import Registry
from streamapp.processors.router import Router
from streamapp.prompts.registry import PromptRegistry, PromptVersion
from streamapp.records.codec import recover_id
from streamapp.records.request import Request
from streamapp.records.response import PromptUse, Response, Usage
from streamapp.settings import Settings
from streamapp.settings.checks import listed
from streamapp.telemetry.frames import told_by_place
from streamapp.tools.catalogue import ToolCatalogue, load_tools
from streamapp.tools.offered import OfferedTool
from streamapp.web.openai.bound_client import bound_client


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would become of one record.

    Attributes:
        problem: Kind and message of its dead letter; the rest is empty then.
        targets: ``provider/model`` of each call, where nothing fails.
        cache: Of each call. ``off``: its answer is for itself; ``line N``: it is that line's;
            ``hit`` or ``miss``: the worker that the record comes to keeps it, or does not;
            ``possible``: nobody knows, and it is taken for one that is paid.
        cache_note: What is known of that beyond the word.
        tokens: Estimate of questions and answers together, without those from the cache.
        cost_usd: Estimate, likewise; None where a price is unknown.
        more_calls: Most calls of a model with tools that may follow its first, by what these give:
            neither tokens nor price have them.
        unknown_from: Name of the processor's own step that the dry run ended at: such coroutines
            act on the world outside, so that none is run. What is told is what came before.
        unknown_why: Kind and message of what the processor made of an answer by rules, where that
            failed: of the model's own it may make something else. What is told is the first call.
        steps: Of the record of that id, where a worker runs it now: its last ones so far.
        missing_tools: Those of its prompt that no MCP server offers the worker that was asked.
        skipped: Whether the flow that reads it passes it over; the rest is empty then.
        request: What a flow of the file makes of it.
        writes: What a flow writes for it, with an answer by rules in place of a model's.
    """

    line: int
    id: str
    type: str = ""
    problem: str = ""
    processor: str = ""
    prompt: str = ""
    targets: tuple[str, ...] = ()
    cache: str = ""
    cache_note: str = ""
    tokens: int = 0
    cost_usd: Decimal | None = None
    more_calls: int = 0
    unknown_from: str = ""
    unknown_why: str = ""
    steps: Sequence[Mapping[str, Any]] = ()
    missing_tools: Sequence[str] = ()
    skipped: bool = False
    request: Mapping[str, Any] | None = None
    writes: Sequence[Mapping[str, Any]] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the explanation for machines; money as text."""
        cost = None if self.cost_usd is None else format(self.cost_usd, "f")
        return asdict(self) | {"cost_usd": cost, "targets": list(self.targets)}


class DryRun:
    """Explains records one after the other; calls no provider.

    Args:
        settings: Names the processors, routes and prices.
        prompts: What references are looked up in.
        answers: Those that are there already; none of a worker's is known where None.
        flow: Name of the flow whose input the records stand on; None for request records.
        offered: By MCP server, what it offers a worker; None where that is not known.

    Raises:
        ConfigurationError: There is no such flow.
    """

    def __init__(
        self,
        settings: Settings,
        prompts: PromptRegistry,
        *,
        answers: SharedAnswers | None = None,
        flow: str | None = None,
        offered: Mapping[str, Sequence[OfferedTool]] | None = None,
    ) -> None:
        self._is_offer_known = offered is not None
        sources = [_Unasked(name, (offered or {}).get(name, ())) for name in settings.mcp]
        self._registry = Registry.load(settings.processor_modules)
        self._decode = request_decoder(settings, self._registry)
        self.samples = None if flow is None else FlowSamples(settings, self._registry, flow)
        self._ids = FileIds()
        self._calls: list[tuple[str, Call]] = []
        self._prices = prices_of(settings)
        self._answers = answers or SharedAnswers(ttl_s=settings.cache_ttl_s)
        self._turns = CountedTurns(ToolCatalogue(load_tools(listed(settings.tools)), sources))
        self._router = Router(
            registry=self._registry,
            prompts=prompts,
            routes=Routes(
                _unlimited(settings),
                {name: _Noting(name, self._calls) for name in settings.providers},
                economy=Economy(prices=self._prices),  # gives calls their fingerprints
            ),
            deadline_s=settings.deadline_s,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
            tools=self._turns,
            openai=bound_client,
            spans=_NoOwnSteps(),
        )

    async def explain(self, line: Line, key: bytes | None) -> Explanation:
        """Return what a worker would do with the record of that line."""
        self._calls.clear()
        self._turns.more = 0
        id = recover_id(line.value) or f"line {line.number}"
        use: PromptUse | PromptVersion | None = None
        unknown_from, unknown_why, flow = "", "", self.samples
        missing: Sequence[str] = ()
        writes: Sequence[Mapping[str, Any]] = ()
        response: Response | None = None
        try:
            if flow is None:
                request = self._decode(line.value)
            else:
                source = flow.source(line, key)
                id = flow.own_id(source) or f"line {line.number}"
                read = flow.read(source)
                if read is None:
                    return Explanation(line.number, id, skipped=True)
                request, id = read, read.id or id
            self._ids.check(request.id, line)
            response = (await self._router.answer(request, id=id, key=key)).response
            use = response.prompt
            missing = response.missing_tools or () if self._is_offer_known else ()
            if flow is not None:
                writes = flow.written(source, response)
        except Failure as failure:
            problem = f"{failure.kind.value}: {failure}"
            if isinstance(failure, InternalError) and failure.__cause__:
                problem += f" ({told_by_place(failure.__cause__)})"
            if isinstance(failure.__cause__, _StepNotRun):
                unknown_from = str(failure.__cause__)
            elif self._calls and response is None:
                del self._calls[1:]  # what was asked next may follow from the answer
                unknown_why = problem
            else:
                return Explanation(line.number, id, problem=problem)
            use = self._router.prompt_of(request, id=id, key=key)
        self._ids.keep(request.id, line)
        shared = [
            await self._answers.word(call, line=line.number, key=key) for _, call in self._calls
        ]
        paid = [made for made, one in zip(self._calls, shared, strict=True) if one.word in _PAID]
        label = f" @{use.label}" if use and use.label else ""
        return Explanation(
            line=line.number,
            id=id,
            type=request.type,
            processor=self._registry.processor_for(request.type).origin,
            prompt=f"{use.name}:{use.version}{label}" if use else "",
            targets=tuple(f"{provider}/{call.model}" for provider, call in self._calls),
            cache=", ".join(dict.fromkeys(one.word for one in shared)),
            cache_note="; ".join(dict.fromkeys(one.note for one in shared if one.note)),
            tokens=round(sum(estimated_tokens(call) for _, call in paid)),
            cost_usd=self._cost(paid),
            more_calls=self._turns.more,
            unknown_from=unknown_from,
            unknown_why=unknown_why,
            missing_tools=missing,
            request=None if flow is None else _asked(request),
            writes=writes,
        )

    def _cost(self, calls: Sequence[tuple[str, Call]]) -> Decimal | None:
        total: Decimal | None = Decimal(0)
        for provider, call in calls:
            parameters: Mapping[str, Any] = call.parameters
            bound = parameters.get("max_completion_tokens") or parameters.get("max_tokens")
            written = round(bound or ANSWER_TOKENS) if call.operation == "chat" else 0
            read = max(round(estimated_tokens(call)) - written, 0)
            usage = Usage(input_tokens=read, output_tokens=written)
            cost = self._prices.cost_usd(
                usage, provider=provider, asked=call.model, answered=call.model
            )
            total = added_usd(total, cost)
        return total


def _asked(request: Request) -> Mapping[str, Any] | None:
    """Return a request as a producer would write it; None for a flow's own in Python."""
    if isinstance(request, FlowRequest):
        return None
    fields = request.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {"type": request.type, **fields}


#: Words for calls that a provider would be asked for.
_PAID = frozenset({"off", "possible", "miss"})


class _Noting:
    """Notes each call and answers it by rules, so that a processor of many calls goes on."""

    def __init__(self, name: str, calls: list[tuple[str, Call]]) -> None:
        self._name = name
        self._calls = calls
        self._offline = OfflineProvider(name)

    async def complete(self, call: Call) -> Completion:
        self._calls.append((self._name, call))
        # Tools act on the world outside: none is called.
        asked = {name: value for name, value in call.parameters.items() if name != "tools"}
        return await self._offline.complete(call.but(parameters=asked))

    async def aclose(self) -> None:
        """Nothing to close."""


class _StepNotRun(StreamappError):
    """The processor came to a step of its own; the message is its name."""


class _NoOwnSteps:
    """Ends a dry run at the first coroutine of `llm.step`."""

    def made(self, kind: str, name: str, number: str) -> AbstractContextManager[object]:
        if kind == "step":
            raise _StepNotRun(name)
        return nullcontext()

    def replayed(self, kind: str, name: str, number: str) -> None:
        """Nothing is stored here."""


class _Unasked:
    """An MCP server that a dry run does not connect to: it offers what a worker was told."""

    is_away, is_awaited = True, False

    def __init__(self, name: str, known: Sequence[OfferedTool]) -> None:
        self.name, self.known = name, known

    async def tools(self) -> Sequence[OfferedTool]:
        """Return what is known."""
        return self.known


def _unlimited(settings: Settings) -> Settings:
    """Return the settings without limits: a dry run waits for nobody."""
    none = {"requests_per_minute": None, "tokens_per_minute": None, "max_concurrency": None}
    return settings.model_copy(
        update={
            "global_requests_per_minute": None,
            "global_tokens_per_minute": None,
            "providers": {
                name: provider.model_copy(update=none)
                for name, provider in settings.providers.items()
            },
        }
    )
