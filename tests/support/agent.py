"""A record type that is an agent, for tests: the model, one tool or eight, the model, an answer.

`AGENT_LOG` names a file to which each end of a tool's run appends a line, with the moments of its
beginning and its end: the outside world.
"""

import asyncio
import json
import os
import time
from typing import Any

from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.request import Request
from streamapp.tools import Tool, tool

#: How long a call of the model, and of a tool, takes; seconds.
LATENCY_S = 0.2


class Agent(Request, type="agent"):
    """`fan_out` is how many tools the model calls at once."""

    fan_out: int = 1


def noting(number: int) -> Tool:
    """Return a tool that leaves a trace outside."""

    @tool(name=f"part.n{number}")
    async def note(llm: LLMClient) -> str:
        """Write down that this ran."""
        begun_s = time.monotonic()
        await asyncio.sleep(LATENCY_S)
        line = f"{llm.id} {number} {begun_s} {time.monotonic()}\n".encode()
        log = os.open(os.environ["AGENT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, line)
        os.close(log)
        return f"part {number}"

    return note


TOOLS = [noting(number) for number in range(8)]


@processor(Agent)
async def agent(request: Agent, llm: LLMClient) -> Any:
    """Let the model look, then ask for the answer."""
    found = await llm.chat(asked(llm.id, request.fan_out), tools=TOOLS[: request.fan_out])
    return await llm.chat(asked(f"{llm.id} {len(found)}", 0))


def asked(text: str, calls: int) -> list[dict[str, Any]]:
    """Return messages that name the record first, and how many tools the model is to call."""
    script = json.dumps({"latency_s": LATENCY_S, "calls": calls})
    return [{"role": "user", "content": f"{text} [[fake:{script}]]"}]
