"""Record types whose steps side by side can be held, for tests: many tools, and a wrong answer."""

import asyncio
import json
from typing import Any

from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.request import Request
from streamapp.tools import Tool, tool

#: More tools of a turn than run at once.
TOOLS = 12
#: Calls side by side, of which the first one is asked again.
CALLS = 5
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


class Many(Request, type="many"):
    """An agent whose model calls all its tools at once."""


class Wrong(Request, type="wrong"):
    """Several answers that have to fit a schema; the first one does not at first."""


def asking(number: int) -> Tool:
    """Return a tool that asks the model."""

    @tool(name=f"ask.n{number}", timeout_s=600)
    async def ask(llm: LLMClient) -> str:
        """Ask the model."""
        answer: str = await llm.chat(asked(llm.id, f"held{number}"))
        return answer

    return ask


ASKING = [asking(number) for number in range(TOOLS)]


@processor(Many)
async def many(request: Many, llm: LLMClient) -> Any:
    """Let the model call all tools."""
    return await llm.chat(asked(llm.id, "agent", {"calls": TOOLS}), tools=ASKING)


@processor(Wrong)
async def wrong(request: Wrong, llm: LLMClient) -> Any:
    """Ask side by side."""
    first = asked(llm.id, "first", [{"text": "no"}, {"text": '{"a": 1}'}])
    others = [asked(llm.id, f"held{number}") for number in range(1, CALLS)]
    return await asyncio.gather(*(llm.chat(ask, schema=SCHEMA) for ask in (first, *others)))


def asked(id: str, text: str, script: object = None) -> list[dict[str, Any]]:
    """Return messages that name the record and the step first."""
    marker = "" if script is None else f" [[fake:{json.dumps(script)}]]"
    return [{"role": "user", "content": f"{id} {text}{marker}"}]
