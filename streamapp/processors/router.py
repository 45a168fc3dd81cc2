"""The router: brings a record through its processor, with expiry, prompt and route."""

import asyncio
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from pydantic_core import to_json

from streamapp.errors import Expired, ModelForbidden
from streamapp.llm.caller import CALLER
from streamapp.llm.chunks import ChunkSink
from streamapp.llm.client import LLMClient
from streamapp.llm.completion import Call, Completion
from streamapp.llm.costs.record_bills import RECORD_BILLS, RecordBills
from streamapp.llm.deadline import DEADLINE, Deadline, trouble_so_far
from streamapp.llm.durable.observer import StepObserver, StepSpans
from streamapp.llm.durable.progress import RecordProgress, RecordsInProgress
from streamapp.llm.durable.scope import is_cancelled
from streamapp.llm.durable.steps import Steps
from streamapp.llm.durable.stored_step import StepStore
from streamapp.llm.routing.routes import DEFAULT, Routes
from streamapp.processors.outcome import failure_of
from streamapp.processors.registry import Processor, Registry
from streamapp.processors.start_checks import StartChecks
from streamapp.prompts.registry import PromptRegistry, PromptVersion
from streamapp.prompts.variants import Variants
from streamapp.records.request import Request
from streamapp.records.response import Response
from streamapp.tools.catalogue import ToolCatalogue
from streamapp.tools.loop import ToolLoop


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request.

    Attributes:
        fingerprint: Of the one call that ``response`` answers as it is, where the answer may be
            given to equal calls; else None.
    """

    response: Response
    fingerprint: str | None


class Router:
    """Answers records of every type.

    Args:
        registry: The processors.
        prompts: What their prompts are looked up in, once per record.
        routes: What their models are looked up in.
        deadline_s: Longest active time of a record, seconds.
        clock: Monotonic, seconds.
        now: Wall clock, aware.
        variants: Counts the results of each version of a prompt.
        observer: Hears of the steps of records.
        tools: Runs models with tools; none are known where None.
        openai: Makes OpenAI's own client of a record's, for those who use it.
        spans: Puts the steps of records that make several into spans.
        records: Where views read how far each record is.
        models_of: By the name of an HTTP key, the routes that its records may use; all where it
            is not among them.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        prompts: PromptRegistry,
        routes: Routes,
        deadline_s: float,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        variants: Variants | None = None,
        observer: StepObserver | None = None,
        tools: ToolLoop | None = None,
        openai: Callable[[LLMClient, Routes], Any] | None = None,
        spans: StepSpans | None = None,
        records: RecordsInProgress | None = None,
        models_of: Mapping[str, Container[str]] = MappingProxyType({}),
    ) -> None:
        self._models_of = models_of
        self._spans = spans
        self._records = records or RecordsInProgress(clock)
        self._tools = tools or ToolLoop(ToolCatalogue())
        self._openai = openai
        self._observer = observer
        self._variants = variants or Variants()
        self._registry = registry
        self._prompts = prompts
        self._routes = routes
        self._embedder = _Route(routes, None)
        self._deadline_s = deadline_s
        self._clock = clock
        self._now = now

    def decode(self, value: bytes | None) -> Request:
        """Return the request that a record's bytes hold; raises as `Registry.decode`."""
        return self._registry.decode(value)

    async def answer(
        self,
        request: Request,
        *,
        id: str,
        key: bytes | None,
        deadline: Deadline | None = None,
        chunks: ChunkSink | None = None,
        store: StepStore | None = None,
    ) -> Answer:
        """Return the response of ``request``.

        Args:
            request: As decoded.
            id: The record's id, its own or the default one.
            key: The record's key; decides between variants of a prompt.
            deadline: One that runs already, as that of an HTTP request does.
            chunks: Takes the text of the record's calls while they are answered.
            store: Keeps its finished calls for the case of a redelivery.

        Raises:
            Failure: Why there is no response; nothing else but a cancellation.
        """
        if request.is_expired(self._now()):
            raise Expired("field 'deadline': it has passed")
        with self._records.running(id, request.type) as progress:
            return await self._answer(
                request, progress, id=id, key=key, deadline=deadline, chunks=chunks, store=store
            )

    async def _answer(
        self,
        request: Request,
        progress: RecordProgress,
        *,
        id: str,
        key: bytes | None,
        deadline: Deadline | None,
        chunks: ChunkSink | None,
        store: StepStore | None,
    ) -> Answer:
        processor = self._registry.processor_for(request.type)
        deadline = deadline or Deadline(self._deadline_s, self._clock)
        steps = Steps(
            store,
            deadline=deadline,
            observer=self._observer,
            is_single=processor.is_single_call,
            spans=self._spans,
            progress=progress,
        )
        prompt = self.prompt_of(request, id=id, key=key, began_with=steps.prompt)
        model = request.model or (prompt.model if prompt else None)
        self._check_model(model or DEFAULT)
        DEADLINE.set(deadline)
        RECORD_BILLS.set(bills := RecordBills())
        progress.deadline = deadline
        call = Call(
            model=model or DEFAULT,
            deadline=deadline,
            chunks=chunks,
            answer_bytes=store.limit_bytes if store else None,
            tenant=_tenant(request),
            caller=CALLER.get(),
            prompt=f"{prompt.name}:{prompt.version}" if prompt else "",
            cache=request.cache and (prompt is None or prompt.settings.cache),
            cache_ttl_s=_cache_ttl_s(request, prompt),
        )
        label = f"@{prompt.label}" if prompt and prompt.label else ""
        steps.prompt = call.prompt + label
        llm = LLMClient(
            steps=steps,
            id=id,
            provider=_Route(self._routes, model),
            call=call,
            prompt=prompt,
            embedder=self._embedder,
            tools=self._tools,
            openai=self._openai_client,
        )
        try:
            output = await self._run(processor, request, llm)
        except (Exception, asyncio.CancelledError, SystemExit, KeyboardInterrupt) as error:
            # What a processor raises of its own accord must not end the worker.
            if is_cancelled(error):
                raise
            failure = failure_of(error, processor)
            failure.attempts = max(failure.attempts, llm.tally.attempts, deadline.failures)
            if prompt:
                self._variants.failed(
                    *(prompt.name, prompt.version, prompt.label, failure),
                    usage=bills.usage,
                    cost_usd=bills.cost_usd,
                )
            raise failure from failure.__cause__
        finally:
            steps.end()
        tally, last = llm.tally, llm.tally.last
        response = Response(
            id=id,
            type=request.type,
            output=output,
            model=llm.model,
            provider=llm.provider,
            prompt=prompt.use if prompt else None,
            tool_calls=[dict(call) for call in last.tool_calls] or None if last else None,
            missing_tools=sorted(llm.missing_tools) or None,
            logprobs=dict(last.logprobs) if last and last.logprobs else None,
            usage=tally.usage,
            original_usage=tally.original_usage,
            cost_usd=tally.cost_usd,
            cached=tally.cached,
            attempts=tally.attempts,
            duration_s=round(deadline.spent_s(), 4),
            finish_reason=last.finish_reason if last else None,
            metadata=request.metadata,
            created_at=self._now(),
        )
        self._variants.answered(response)
        return Answer(response, tally.fingerprint_of(output))

    async def _run(self, processor: Processor, request: Request, llm: LLMClient) -> Any:
        """Run the processor, until the record's own deadline where it has one.

        It ends every wait: for a limit, for a provider that is down, for an answer.
        """
        if request.deadline is None:
            return await processor.output(request, llm)
        left_s = (request.deadline - self._now()).total_seconds()
        try:
            async with asyncio.timeout(left_s) as limit:
                return await processor.output(request, llm)
        except TimeoutError:
            if limit.expired():
                late = f"field 'deadline': it passed before there was an answer{trouble_so_far()}"
                raise Expired(late) from None
            raise

    def problems(self, prompts: PromptRegistry | None = None) -> list[str]:
        """Return what would fail records: missing prompts, variables and routes, wrong schemas.

        Args:
            prompts: Those to look at, where the router's own are not known yet.
        """
        checks = StartChecks(self._registry, self._routes.names, self._tools.catalogue)
        return checks.problems(prompts or self._prompts)

    def prompt_of(
        self, request: Request, *, id: str, key: bytes | None, began_with: str = ""
    ) -> PromptVersion | None:
        """Return the version of a record's prompt, or None; raises where there is no such prompt.

        ``began_with`` names the version and label that it was given before, on a redelivery.
        """
        reference, _, label = began_with.partition("@")
        default = self._registry.processor_for(request.type).prompt
        reference = reference or request.prompt or default or ""
        sticky = id.encode() if key is None else key
        found = self._prompts.resolve(reference, sticky=sticky) if reference else None
        return replace(found, label=label) if found and label else found

    def _check_model(self, model: str) -> None:
        """Raise where the caller's key may not use it: a prompt may name any, at any time."""
        allowed = self._models_of.get(CALLER.get())
        if allowed is not None and model not in allowed:
            raise ModelForbidden("model: the key may not use the one that this leads to")

    def _openai_client(self, llm: LLMClient) -> Any:
        if self._openai is None:
            raise RuntimeError("this router was made without OpenAI's own client")
        return self._openai(llm, self._routes)


class _Route:
    """Finds the route at the call: without a model's name it depends on the operation."""

    def __init__(self, routes: Routes, model: str | None) -> None:
        self._routes = routes
        self._model = model

    async def complete(self, call: Call) -> Completion:
        route = self._routes.resolve(self._model, operation=call.operation)
        return await route.complete(call)


def _cache_ttl_s(request: Request, prompt: PromptVersion | None) -> float | None:
    if request.cache_ttl_s is not None:
        return request.cache_ttl_s
    return prompt.settings.cache_ttl_s if prompt else None


def _tenant(request: Request) -> str:
    """Return ``metadata.tenant`` as text; empty without one."""
    tenant = request.metadata.get("tenant") or ""
    return tenant if isinstance(tenant, str) else to_json(tenant).decode()
