"""A flow in Python for tests: two calls of the model in a row, then three records of each record.

`STREAMAPP_TOPIC_PREFIX` names its topics.
"""

import os
from typing import Any

from pydantic import BaseModel

from streamapp.flows.emit import Emit, Incoming
from streamapp.flows.python_flow import flow
from streamapp.llm.client import LLMClient

PREFIX = os.environ.get("STREAMAPP_TOPIC_PREFIX", "triples")


class Source(BaseModel):
    """What is read."""

    n: int


class Part(BaseModel):
    """One of three."""

    place: str
    n: int
    part: int
    text: str


@flow(f"{PREFIX}.sources", to=f"{PREFIX}.parts", start="earliest", cache=False)
async def triple(record: Incoming[Source], llm: LLMClient) -> list[Part | Emit[Part]]:
    """Ask, ask with the answer, and emit both and their sum."""
    place, n = f"{record.partition}-{record.offset}", record.value.n
    first = await llm.chat(_ask(f"{place} one"))
    second = await llm.chat(_ask(f"{place} two {first}"))
    return [
        Part(place=place, n=n, part=0, text=first),
        Emit(Part(place=place, n=n, part=1, text=second), headers={"part": "middle"}),
        Part(place=place, n=n, part=2, text=f"{first}|{second}"),
    ]


def _ask(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]
