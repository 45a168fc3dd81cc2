"""The interface of the router and of the wrappers around it."""

from typing import Protocol

from streamapp.llm.chunks import ChunkSink
from streamapp.llm.deadline import Deadline
from streamapp.llm.durable.stored_step import StepStore
from streamapp.processors.router import Answer
from streamapp.records.request import Request


class RequestHandler(Protocol):
    """The router, or what stands around it: traces, counts, the drain of a stop."""

    def decode(self, value: bytes | None) -> Request:
        """Return the request; raises a ``RecordError`` where the bytes are none."""
        ...

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
        """Return the answer; raises the ``Failure`` that a dead letter would carry."""
        ...
