"""A processor of a test that lets no thread of its worker run, and so ends its session."""

import asyncio
import ctypes
import time
from pathlib import Path

from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.request import Request


class Block(Request, type="block"):
    """Waits in C code that keeps the interpreter's lock, as slow extensions do."""

    seconds: int


@processor(Block)
async def block(request: Block, llm: LLMClient) -> str:
    """Answer after the whole process stood still."""
    # `PyDLL` does not let go of the lock during a call.
    ctypes.PyDLL(None).sleep(request.seconds)
    return "done"


class Nap(Request, type="nap"):
    """Holds up its worker, for less than a session; other threads run."""

    seconds: float


@processor(Nap)
async def nap(request: Nap, llm: LLMClient) -> str:
    """Answer after the loop stood still; a file in the worker's directory says since when."""
    Path("napping").touch()  # noqa: ASYNC240  # nor this
    time.sleep(request.seconds)  # noqa: ASYNC251  # what a processor must not do
    return "done"


class Spin(Request, type="spin"):
    """Never ends a step; other threads run."""


@processor(Spin)
async def spin(request: Spin, llm: LLMClient) -> str:
    """Wait for ever, in the loop's thread."""
    while True:
        time.sleep(0.1)  # noqa: ASYNC251  # what a processor must not do


class OwnLoop(Request, type="own-loop"):
    """Calls the model in a thread, from an event loop that the thread has made."""


@processor(OwnLoop)
async def own_loop(request: OwnLoop, llm: LLMClient) -> str:
    """Answer with what the model said there."""
    question = [{"role": "user", "content": "q"}]
    answer: str = await asyncio.to_thread(lambda: asyncio.run(llm.chat(question)))
    return answer
