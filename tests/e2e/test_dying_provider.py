"""A provider whose process dies at one record, and takes all the calls that it works at along."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.e2e.stage import Record, Stage
from tests.support.kafka import KafkaBroker
from tests.support.served import served

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

RATE_PER_S = 5
LATENCY_S, CRASH_S, AWAY_S = 0.2, 0.2, 1.0
#: Of those produced at most; the odd one has to be given up before.
MOST = 240
PIECES = 10
COUNTED = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


class Dying:
    """Answers chat completions; at ``odd`` it cuts all of them, and takes none for a while."""

    def __init__(self) -> None:
        self.deaths = 0
        self._open: set[asyncio.Transport] = set()
        self._away_until = 0.0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        body = await request.json()
        if time.monotonic() < self._away_until:
            transport.abort()
            return web.Response()
        self._open.add(transport)
        try:
            if body["messages"][0]["content"] == "odd":
                await asyncio.sleep(CRASH_S)
                self._die()
                return web.Response()
            return await (_stream(request) if body.get("stream") else _whole())
        finally:
            self._open.discard(transport)

    def _die(self) -> None:
        self.deaths += 1
        self._away_until = time.monotonic() + AWAY_S
        for transport in self._open:
            transport.abort()


async def _whole() -> web.StreamResponse:
    await asyncio.sleep(LATENCY_S)
    message = {"role": "assistant", "content": "fine"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return web.json_response({"id": "x", "model": "m", "choices": [choice], "usage": COUNTED})


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for number in range(PIECES):
        reason = "stop" if number == PIECES - 1 else None
        choice = {"index": 0, "delta": {"content": f"{number} "}, "finish_reason": reason}
        chunk = json.dumps({"id": "x", "model": "m", "choices": [choice]})
        await response.write(f"data: {chunk}\n\n".encode())
        await asyncio.sleep(LATENCY_S / PIECES)
    await response.write(b"data: [DONE]\n\n")
    return response


@asynccontextmanager
async def serving(provider: Dying) -> AsyncIterator[str]:
    """Serve it; gives its base URL."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", provider.answer)
    async with served(app) as host:
        yield f"http://{host}/v1"


def record(id_: str, *, is_streamed: bool) -> Record:
    messages = [{"role": "user", "content": id_}]
    value = {"id": id_, "type": "chat", "stream": is_streamed, "messages": messages}
    return Record(json.dumps(value).encode(), id_.encode())


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
async def test_record_that_its_provider_dies_at_costs_no_other(
    kafka: KafkaBroker, tmp_path: Path, is_streamed: bool
) -> None:
    """It is a dead letter; all that it took along, also paid streams, are answered."""
    provider = Dying()
    async with serving(provider) as url, Stage(kafka, tmp_path, partitions=2) as stage:
        stage.extra = {"OPENAI_BASE_URL": url}
        await stage.open()
        await stage.ready_worker()
        outcomes, ids = stage.verifier.outcomes, ["odd"]
        await stage.produce([record("odd", is_streamed=is_streamed)])
        while not outcomes.get("odd") and len(ids) < MOST:
            more = [f"fine-{len(ids) + number}" for number in range(RATE_PER_S)]
            ids += more
            await stage.produce(
                [record(id_, is_streamed=is_streamed) for id_ in more], rate_per_s=RATE_PER_S
            )
        await stage.verifier.until(lambda: all(outcomes.get(id_) for id_ in ids), 20)

        dead = {id_: [one.kind for one in outcomes[id_] if one.kind] for id_ in ids}
        assert {id_: kinds for id_, kinds in dead.items() if kinds} == {
            "odd": ["retries_exhausted"]
        }
        assert 3 <= provider.deaths <= 20
