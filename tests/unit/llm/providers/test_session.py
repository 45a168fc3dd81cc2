"""The connections to a provider: as many as calls run at once, and soon no more."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from streamapp.llm.providers.prepared_post import PreparedPost
from streamapp.llm.providers.session import NewestFirst, open_session
from tests.support.waiting import until
from tests.unit.llm.providers.test_prepared_post import HEADERS, body_of, served

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


async def prepared(session: aiohttp.ClientSession, url: URL, body: bytes) -> bytes:
    return await body_of(await PreparedPost(session, url).send(body))


async def in_aiohttps_way(session: aiohttp.ClientSession, url: URL, body: bytes) -> bytes:
    async with session.post(url, data=body) as response:
        return await response.read()


@pytest.mark.parametrize("post", [prepared, in_aiohttps_way])
async def test_answer_that_nobody_asked_for_is_given_to_no_call(
    post: Callable[[aiohttp.ClientSession, URL, bytes], Awaitable[bytes]],
) -> None:
    """A proxy that sends an answer twice does not have each later call get the one before."""
    transports: list[asyncio.Transport] = []

    async def echo(request: web.BaseRequest) -> web.Response:
        assert isinstance(request.transport, asyncio.Transport)
        transports.append(request.transport)
        return web.Response(body=await request.read())

    async with served(echo) as (_, url), open_session(HEADERS) as session:
        assert await post(session, url, b"0") == b"0"
        transports[0].write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0")
        assert session.connector is not None
        ((connection, _),) = next(iter(session.connector._conns.values()))
        await until(lambda: connection.should_close, 30)
        for number in "123":
            assert await post(session, url, number.encode()) == number.encode()

    assert transports[0] not in transports[1:]
    assert len(set(transports)) == 2


class _Held:
    """What a record's context holds."""


async def test_open_connection_keeps_nothing_of_the_record_that_opened_it() -> None:
    """It may live for days, and serve thousands of others."""
    subject: ContextVar[_Held] = ContextVar("subject")
    together, count = asyncio.Event(), 0

    async def answer(request: web.BaseRequest) -> web.Response:
        nonlocal count
        count += 1
        if count == BURST:
            together.set()
        await together.wait()
        return web.json_response({})

    async with served(answer) as (_, url), open_session(HEADERS) as session:

        async def call() -> weakref.ref[_Held]:
            held = _Held()
            subject.set(held)
            assert await prepared(session, url, b"{}") == b"{}"
            return weakref.ref(held)

        kept = await asyncio.gather(*(asyncio.create_task(call()) for _ in range(BURST)))
        await asyncio.sleep(0)
        gc.collect()

        # aiohttp's timer for idle connections has the context of whoever set it: one.
        assert sum(held() is not None for held in kept) <= 1


async def test_connection_that_comes_too_late_for_its_call_is_closed() -> None:
    """A call that is cut off as its connection opens leaves none behind."""

    class CutOff(NewestFirst):
        """Has its caller cut off in the turn in which the connection is there."""

        async def _wrap_create_connection(self, *args: Any, **options: Any) -> Any:
            made = await super()._wrap_create_connection(*args, **options)
            opened.append(made[0])
            caller.cancel()
            return made

    opened: list[asyncio.Transport] = []
    async with served(_empty) as (_, url), open_session(HEADERS, CutOff(limit=0)) as session:
        caller = asyncio.create_task(in_aiohttps_way(session, url, b"{}"))
        await asyncio.wait([caller])

        assert caller.cancelled()
        await until(lambda: opened and opened[0].is_closing(), 30)
        assert len(opened) == 1


async def test_connection_is_opened_no_longer_than_its_call_waits() -> None:
    """Where nobody answers, calls that are cut off leave no attempts behind."""
    begun, ended = asyncio.Event(), asyncio.Event()

    class Silent(NewestFirst):
        """Waits for a host that does not answer."""

        async def _wrap_create_connection(self, *args: Any, **options: Any) -> Any:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    async with served(_empty) as (_, url), open_session(HEADERS, Silent(limit=0)) as session:
        caller = asyncio.create_task(in_aiohttps_way(session, url, b"{}"))
        await begun.wait()
        caller.cancel()
        await asyncio.wait([caller])

        assert caller.cancelled()
        await asyncio.wait_for(ended.wait(), 30)


async def _empty(request: web.BaseRequest) -> web.Response:
    return web.json_response({})
