"""An agent of a test: a client with tools, a store of steps, and a scripted model."""

import json
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any

from mcp.client.subscriptions import ListenNotSupportedError

from streamapp.llm.client import LLMClient
from streamapp.llm.completion import Call, Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.durable.steps import Steps
from streamapp.llm.durable.stored_step import StoredStep
from streamapp.records.response import Usage
from streamapp.tools.catalogue import ToolCatalogue
from streamapp.tools.loop import ToolLoop
from streamapp.tools.offered import OfferedTool
from tests.fakes import FakeClock, FakeProvider

ASKED = [{"role": "user", "content": "Where is it?"}]


class AwayServer:
    """An MCP server that is away, and offered what it is told before."""

    is_away, is_awaited = True, False

    def __init__(self, name: str, *known: OfferedTool) -> None:
        self.name, self.known = name, known

    async def tools(self) -> Sequence[OfferedTool]:
        return self.known


class OfferingSession:
    """A session of an MCP server that offers tools, and tells of no change.

    Args:
        names: Of the tools; none of them is called.
    """

    def __init__(self, *names: str) -> None:
        self._tools = [
            SimpleNamespace(name=name, description="Get it.", input_schema={"type": "object"})
            for name in names
        ]

    async def list_tools(self, *, cursor: str | None = None, cache_mode: object = None) -> object:
        return SimpleNamespace(tools=self._tools, next_cursor=None)

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> object:
        raise AssertionError(f"{name} is not called")

    def listen(self, *, tools_list_changed: bool) -> AbstractAsyncContextManager[Any]:
        raise ListenNotSupportedError("no")


class AwaitedServer:
    """An MCP server that was never reached, and is given up when it was waited for.

    Args:
        clock: Shows the time of the wait.
        wait_s: Of it, seconds.
    """

    name, is_away = "orders", True
    known: Sequence[OfferedTool] = ()

    def __init__(self, clock: FakeClock, wait_s: float = 30.0) -> None:
        self._clock, self._wait_s = clock, wait_s
        self.is_awaited = True

    async def tools(self) -> Sequence[OfferedTool]:
        """Wait, once."""
        self._clock.advance(self._wait_s)
        self.is_awaited = False
        return self.known


def calling(*calls: tuple[str, Any]) -> Completion:
    """Return the model's wish to call tools: names, and arguments as values or as raw text."""
    return Completion(
        output="",
        model="m",
        provider="fake",
        usage=Usage(input_tokens=3, output_tokens=2),
        finish_reason="tool_calls",
        tool_calls=[
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": given if isinstance(given, str) else json.dumps(given),
                },
            }
            for number, (name, given) in enumerate(calls)
        ],
    )


class Kept(dict[str, StoredStep]):
    """Keeps steps."""

    limit_bytes = 1_000_000

    async def adopt(self, number: str, step: StoredStep) -> None: ...

    async def put(self, number: str, step: StoredStep) -> None:
        self[number] = StoredStep.decode(step.encode())


def agent(
    llm: FakeProvider,
    *tools: Any,
    store: Kept | None = None,
    deadline: Deadline | None = None,
    is_single: bool = False,
) -> LLMClient:
    """Return a record's client, with a catalogue of tools; a single one's is of a prompt."""
    deadline = deadline or Deadline(30, time.monotonic)
    return LLMClient(
        provider=llm,
        call=Call(model="default", deadline=deadline),
        steps=Steps(store, deadline=deadline, is_single=is_single),
        id="r-1",
        tools=ToolLoop(ToolCatalogue(tools)),
    )


def told(llm: FakeProvider) -> list[str]:
    """Return what the model was last told by tools."""
    return [turn["content"] for turn in llm.history[-1].messages if turn["role"] == "tool"]
