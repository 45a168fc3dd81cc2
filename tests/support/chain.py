"""A record type of several steps, for tests: three calls and one coroutine in a row, or a fan-out.

`CHAIN_LOG` names a file to which each run of the coroutine appends a line: the outside world.
"""

import asyncio
import json
import os
from typing import Any

from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.request import Request


class Chain(Request, type="chain"):
    """`hangs_at` is the step whose first run never ends; 0 for none, 5 for behind the last one."""

    hangs_at: int = 0
    fan_out: int = 0


async def note(id: str, hangs: bool) -> dict[str, str]:
    """Write down that this ran, where the test can count it."""
    if hangs:
        await hang_once(id)
    log = os.open(os.environ["CHAIN_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, f"{id}\n".encode())
    os.close(log)
    return {"noted": id}


async def hang_once(id: str) -> None:
    """Never return, but for a record that hung before."""
    try:
        os.close(os.open(f"{os.environ['CHAIN_LOG']}.{id}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    await asyncio.Event().wait()


@processor(Chain)
async def chain(request: Chain, llm: LLMClient) -> object:
    """Ask, note, ask with the answer, ask again."""
    id = str(request.id)
    if request.fan_out:
        answers = await asyncio.gather(
            *(llm.chat(ask(id, f"part{n}", hangs=False)) for n in range(request.fan_out))
        )
        return [*answers, await llm.chat(ask(id, "sum", hangs=request.hangs_at > 0))]
    first = await llm.chat(ask(id, "one", hangs=request.hangs_at == 1))
    noted = await llm.step("note", note, id, request.hangs_at == 2)
    second = await llm.chat(ask(id, f"two {len(first)}", hangs=request.hangs_at == 3))
    third = await llm.chat(ask(id, f"three {len(second)}", hangs=request.hangs_at == 4))
    if request.hangs_at == 5:
        await hang_once(id)
    return {"noted": noted, "key": llm.idempotency_key("refund"), "text": third}


def ask(id: str, text: str, *, hangs: bool) -> list[dict[str, Any]]:
    """Return messages that name the record and the step first."""
    script = json.dumps([{"hang": "headers"}, {}])
    marker = f" [[fake:{script}]]" if hangs else ""
    return [{"role": "user", "content": f"{id} {text}{marker}"}]
