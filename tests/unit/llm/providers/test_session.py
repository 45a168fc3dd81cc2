"""The connections to a provider: as many as calls run at once, and soon no more."""

import asyncio

from aiohttp import web

from streamapp.llm.providers.session import NewestFirst, open_session
from tests.support.waiting import until
from tests.unit.llm.providers.test_prepared_post import HEADERS, served

BURST, KEEPALIVE_S = 10, 0.5


async def test_connections_of_a_burst_time_out_beside_a_few_calls() -> None:
    """Calls one after the other keep one connection open, not each of the burst's."""
    together, seen = asyncio.Event(), set()

    async def answer(request: web.BaseRequest) -> web.Response:
        seen.add(request.transport)
        if len(seen) == BURST:
            together.set()
        await together.wait()
        return web.json_response({})

    def still_open() -> int:
        return sum(transport is not None and not transport.is_closing() for transport in seen)

    connector = NewestFirst(limit=0, keepalive_timeout=KEEPALIVE_S)
    async with served(answer) as (_, url), open_session(HEADERS, connector) as session:

        async def call() -> None:
            async with session.post(url, data=b"{}") as response:
                await response.read()

        await asyncio.gather(*(call() for _ in range(BURST)))
        assert still_open() == BURST

        async def only_one() -> bool:
            await call()
            return still_open() == 1

        await until(only_one, 30)
