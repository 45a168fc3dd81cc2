"""The bounded loop: the model, the tools that it calls, the model again, until it answers."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from pydantic_core import from_json, to_json

from streamapp.errors import BudgetExceeded, Failure, RetriesExhausted, StepLimit, ToolError
from streamapp.llm.client import LLMClient
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.durable.fingerprint import fingerprint_of
from streamapp.llm.timeout import time_limit
from streamapp.tools.catalogue import ToolCatalogue
from streamapp.tools.observer import MeteredTools, ToolObserver
from streamapp.tools.offered import OfferedTool, ToolResult, shape_of, wire_name

log = structlog.get_logger(__name__)

#: Most calls of the model, and of tools, for one answer.
MAX_STEPS, MAX_TOOL_CALLS = 8, 32
#: Tools of one turn that run at once.
AT_ONCE = 8
#: Longest result of one call, characters.
RESULT_CHARS = 50_000


class ToolLoop:
    """Runs the model with tools.

    Args:
        catalogue: The tools that prompts may name; an attribute, too.
        observer: Puts spans around agents and tools, and counts them.
        refuses: Whether a call would be refused now whatever it asks: it waits for no tools.
        clock: Monotonic, seconds.
    """

    def __init__(
        self,
        catalogue: ToolCatalogue,
        observer: ToolObserver | None = None,
        *,
        refuses: Callable[[Call], bool] = lambda call: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.catalogue = catalogue
        self._clock = clock
        self._observer = observer or MeteredTools()
        self._refuses = refuses

    async def answer(
        self,
        llm: LLMClient,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[str | OfferedTool],
        max_steps: int | None = None,
        max_tool_calls: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the model's answer.

        Args:
            llm: The record's client; each call of the model and of a tool is a step of its.
            messages: The turns so far.
            tools: What the model may call: tools, or names and patterns of the catalogue.
            max_steps: Most calls of the model.
            max_tool_calls: Most calls of tools.
            parameters: By OpenAI's names.
            schema: JSON Schema of the answer.

        Raises:
            StepLimit: It has no answer within the bounds, the deadline or the budget.
            PromptError: There is no tool of a name.
            Failure: As of the client, and of what tools raise besides `ToolError`.
        """
        most_steps, most_calls = max_steps or MAX_STEPS, max_tool_calls or MAX_TOOL_CALLS
        await self._await_servers(llm, tools)
        found = self.catalogue.chosen(tools)
        self._tell_missing(llm, self.catalogue.missing(tools, found))
        offered = {wire_name(one.name): one for one in found}
        shapes = [shape_of(one) for one in offered.values()]
        turns, called = list(messages), 0
        prompt = llm.calls.common.prompt.rpartition(":")[0]
        with self._observer.agent(prompt, llm.calls.common.model):
            for step in range(1, most_steps + 1):
                completion = await _completion(
                    llm, turns, shapes, parameters or {}, schema, is_first=step == 1
                )
                calls = completion.tool_calls
                if not calls:
                    return completion.output
                called += len(calls)
                if called > most_calls:
                    raise StepLimit(f"the model wants more than {most_calls} calls of tools")
                if step < most_steps:
                    results = await self._results(llm, calls, offered)
                    # A list of its own: the call before may not be stored yet, by what it asked.
                    turns = [*turns, _said(completion), *results]
        raise StepLimit(f"the model still calls tools after {most_steps} steps")

    async def _await_servers(self, llm: LLMClient, tools: Sequence[str | OfferedTool]) -> None:
        """Wait for the servers of these tools that may still come, and tell for how long."""
        awaited = self.catalogue.awaited(tools)
        if not awaited or self._refuses(llm.calls.common):
            return
        self.catalogue.chosen(tools)  # a name that nobody can have is told at once
        with llm.calls.common.deadline.extended():
            for server in awaited:
                began_at = self._clock()
                await server.tools()
                self._observer.waited(server.name, self._clock() - began_at)

    def _tell_missing(self, llm: LLMClient, missing: Sequence[str]) -> None:
        """Say of a record, once, which tools it is answered without."""
        news = [name for name in missing if name not in llm.missing_tools]
        llm.missing_tools.update(news)
        if news:
            self._observer.missed(news)

    async def _results(
        self, llm: LLMClient, calls: Sequence[Mapping[str, Any]], offered: Mapping[str, OfferedTool]
    ) -> list[dict[str, Any]]:
        """Return the turns of the tools, in the order of their calls."""
        places = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._step(llm, call["function"], offered, places))
                    for call in calls
                ]
        except BaseExceptionGroup as errors:
            first: BaseException = errors
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            raise first from first.__cause__
        return [
            {"role": "tool", "tool_call_id": call["id"], "content": task.result().text}
            for call, task in zip(calls, tasks, strict=True)
        ]

    async def _step(
        self,
        llm: LLMClient,
        function: Mapping[str, Any],
        offered: Mapping[str, OfferedTool],
        places: asyncio.Semaphore,
    ) -> ToolResult:
        """Return what one call gives; one step of the record."""

        async def make() -> ToolResult:
            with llm.calls.common.deadline.steps.put_off():
                await places.acquire()
            try:
                return await self._call(llm, function["name"], function["arguments"], offered)
            finally:
                places.release()

        return await llm.calls.steps.run(
            "tool",
            lambda: fingerprint_of(function["name"], function["arguments"]),
            make,
            encode=lambda result: to_json({"text": result.text, "outcome": result.outcome}),
            decode=lambda value: ToolResult(**from_json(value)),
            name=_known_name(function["name"], offered),
        )

    async def _call(
        self, llm: LLMClient, name: str, arguments: str, offered: Mapping[str, OfferedTool]
    ) -> ToolResult:
        """Run a tool within its bounds, and say how long it took."""
        found = offered.get(name)
        if found is None:
            # Its name is the model's own text, which does not belong into a log.
            log.info("tools.unknown")
            return ToolResult(f"there is no such tool; there are: {', '.join(offered)}", "unknown")
        started_at, outcome = self._clock(), "failed"
        number = llm.calls.steps.scope.prefix.rstrip(".")
        with self._observer.tool(found.name, number):
            try:
                result = await _within_bounds(found, llm, arguments)
                outcome = result.outcome
            finally:
                duration_s = self._clock() - started_at
                self._observer.called(found.name, outcome, duration_s)
                took_s = round(duration_s, 2)
                log.info("tools.called", tool=found.name, outcome=outcome, duration_s=took_s)
        return result


def _known_name(wanted: str, offered: Mapping[str, OfferedTool]) -> str:
    """Return the name of a tool; of one that there is not none: it is the model's own text."""
    found = offered.get(wanted)
    return found.name if found is not None else ""


async def _within_bounds(tool: OfferedTool, llm: LLMClient, arguments: str) -> ToolResult:
    """Return the result of a tool; too long a time or result is one for the model to hear of."""
    try:
        given = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return ToolResult("the arguments are not valid JSON", "invalid")
    if not isinstance(given, dict):
        return ToolResult("the arguments are no JSON object", "invalid")
    limit_s = min(tool.timeout_s, max(llm.calls.common.deadline.remaining_s(), 0))
    try:
        async with time_limit(limit_s) as limit:
            text = await tool.call(given, llm)
    except ToolError as error:
        return ToolResult(_storable(str(error)[:RESULT_CHARS]), "error")
    except TimeoutError:
        if not limit.expired():
            raise
        return ToolResult(f"it gave no result within {tool.timeout_s:g} s", "timeout")
    if len(text) > RESULT_CHARS:
        problem = f"its result has {len(text):,} characters, more than {RESULT_CHARS:,}"
        return ToolResult(f"{problem}: ask for less", "too_large")
    return ToolResult(_storable(text))


def _storable(text: str) -> str:
    """Return a text without halves of surrogates, which models write as escapes."""
    return text.encode(errors="replace").decode()


async def _completion(
    llm: LLMClient,
    turns: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any],
    schema: Mapping[str, Any] | None,
    *,
    is_first: bool,
) -> Completion:
    """Return the model's next turn; what ends the record behind the first is a bound of steps."""
    deadline = llm.calls.common.deadline
    try:
        if not is_first and deadline.remaining_s() <= 0:
            raise StepLimit(_out_of_time(deadline))
        return await llm.calls.complete(
            turns, parameters=parameters, tools=tools, schema=schema, is_streamed=False
        )
    except BudgetExceeded as failure:
        if is_first:
            raise
        raise _limit("a budget is spent before the model came to an answer", failure) from failure
    except RetriesExhausted as failure:
        if is_first or deadline.remaining_s() > 0:
            raise
        raise _limit(_out_of_time(deadline), failure) from failure


def _out_of_time(deadline: Deadline) -> str:
    return (
        f"its {round(deadline.limit_s, 1):g} s of active time were over before it had an answer:"
        " raise STREAMAPP_DEADLINE_S, or deadline_s of its flow"
    )


def _limit(reason: str, failure: Failure) -> StepLimit:
    limit = StepLimit(reason)
    limit.attempts, limit.paid = failure.attempts, failure.paid
    return limit


def _said(completion: Completion) -> dict[str, Any]:
    """Return the model's turn, as it is sent back."""
    calls = [{**call, "function": dict(call["function"])} for call in completion.tool_calls]
    text = completion.output if isinstance(completion.output, str) else ""
    return {"role": "assistant", "content": text or None, "tool_calls": calls}
