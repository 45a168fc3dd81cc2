"""Records of one HTTP request, answered side by side."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from streamapp.llm.chunks import ChunkSink
from streamapp.processors.request_handler import RequestHandler
from streamapp.records.request import Request
from streamapp.records.response import Response
from streamapp.web.events import EventStream
from streamapp.web.responses import json_response

#: Calls of one HTTP request at once: it has one place, whatever its ``n``.
AT_ONCE = 8

#: Says that nobody was asked: the answer was given to an equal call before.
CACHE_HEADER = "X-Streamapp-Cache"


class Answers:
    """Answers the records that the bodies become."""

    def __init__(self, handler: RequestHandler) -> None:
        self._handler = handler

    async def of(
        self,
        records: Sequence[Request],
        *,
        id: str,
        chunks: Callable[[int], ChunkSink] | None = None,
    ) -> list[Response]:
        """Return the responses, in the order of the records.

        Args:
            records: One or more; one that fails ends the others.
            id: Of the first; the others have their place behind it.
            chunks: Returns what takes the text of the record at a place.

        Raises:
            Failure: Why there is no response to one of them.
        """
        if len(records) == 1:
            return [await self._one(records[0], id, chunks(0) if chunks else None)]
        places = asyncio.Semaphore(AT_ONCE)

        async def one(place: int, record: Request) -> Response:
            async with places:
                own = f"{id}-{place}" if place else id
                return await self._one(record, own, chunks(place) if chunks else None)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(*item)) for item in enumerate(records)]
        except BaseExceptionGroup as errors:
            first: BaseException = errors
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            raise first from None
        return [task.result() for task in tasks]

    async def _one(self, record: Request, id: str, chunks: ChunkSink | None) -> Response:
        return (await self._handler.answer(record, id=id, key=None, chunks=chunks)).response


def hit_header(stream: EventStream, records: Sequence[Request]) -> Callable[[], None]:
    """Return what says in the head of a stream that its answer was cached.

    Several records are one stream, whose head is sent before all of them are known.
    """

    def on_hit() -> None:
        if len(records) == 1:
            stream.add_header(CACHE_HEADER, "hit")

    return on_hit


def answered(body: Any, responses: Sequence[Response]) -> web.Response:
    """Return ``body`` as the HTTP response; a header tells where all of it was cached."""
    is_hit = all(response.cached for response in responses)
    return json_response(body, headers={CACHE_HEADER: "hit"} if is_hit else None)
