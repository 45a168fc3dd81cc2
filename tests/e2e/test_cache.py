"""Equal calls are paid once, also over a restart; a streamed answer is read while it is written."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer

from tests.e2e.stage import Record, Stage
from tests.support.kafka import KafkaBroker

pytestmark = pytest.mark.kafka


def chat(id: str, text: str, **fields: Any) -> Record:
    """Return a record whose call depends on ``text`` alone."""
    messages = [{"role": "user", "content": text}]
    value = {"id": id, "type": "chat", "messages": messages, **fields}
    return Record(json.dumps(value).encode(), id.encode())


def answer(stage: Stage, id: str) -> dict[str, Any]:
    """Return the one response of a record."""
    [response] = stage.verifier.outcomes[id]
    body: dict[str, Any] = json.loads(response.value or b"")
    return body


@pytest.mark.timeout(180)
async def test_cached_answers_survive_a_restart(kafka: KafkaBroker, tmp_path: Path) -> None:
    """The ledger's table is a tier of the cache: a new process answers from it."""
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        first = await stage.ready_worker()
        await stage.produce([chat(f"a-{number}", f"question {number}") for number in range(20)])
        await stage.settle(20)
        first.sigterm()
        assert await first.wait(30) == 0, first.tail()

        second = await stage.ready_worker()
        await stage.produce([chat(f"b-{number}", f"question {number}") for number in range(20)])
        await stage.produce([chat("own", "question 0", cache=False)])
        await stage.settle(41)

        assert len(stage.provider.calls) == 21
        for number in range(20):
            paid, free = answer(stage, f"a-{number}"), answer(stage, f"b-{number}")
            assert (paid["cached"], free["cached"], free["attempts"]) == (False, True, 0)
            assert free["output"] == paid["output"]
        assert not answer(stage, "own")["cached"]
        url = f"http://127.0.0.1:{second.port}/metrics"
        async with aiohttp.ClientSession() as http, http.get(url) as page:
            assert 'cache_lookups_total{result="hit",tier="table"} 20.0' in await page.text()


@pytest.mark.timeout(180)
async def test_streamed_records_can_be_read_along(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Chunks come in order before the answer and are its text; one equal to it comes whole."""
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        await stage.ready_worker()
        slow = '[[fake:{"drip_s": 0.3, "text": "one two three four five six seven eight"}]]'
        await stage.produce([chat("r-1", slow, stream=True)])
        await stage.settle(1)
        await stage.produce([chat("r-2", slow, stream=True), chat("r-3", slow)])
        await stage.settle(3)

        streams = await chunks(stage, ends=2)

        for id in ("r-1", "r-2"):
            texts = streams[id]
            assert [index for index, _, _ in texts] == list(range(len(texts)))
            assert [is_last for _, is_last, _ in texts].index(True) == len(texts) - 1
            assert "".join(text for _, _, text in texts) == answer(stage, id)["output"]
        assert len(streams["r-1"]) > 2
        assert answer(stage, "r-2")["cached"]
        assert set(streams) == {"r-1", "r-2"}


async def chunks(stage: Stage, *, ends: int) -> dict[str, list[tuple[int, bool, str]]]:
    """Return (index, is last, text) of each stream's chunks, once so many streams have ended."""
    found: dict[str, list[tuple[int, bool, str]]] = {}
    consumer = AIOKafkaConsumer(
        f"{stage.prefix}.chunks",
        bootstrap_servers=stage.broker.bootstrap,
        auto_offset_reset="earliest",
        group_id=None,
    )
    async with consumer, asyncio.timeout(20):
        async for record in consumer:
            headers = dict(record.headers)
            is_last = headers["stream-last-message"] == b"true"
            text = (int(headers["stream-index"]), is_last, record.value.decode())
            found.setdefault(headers["stream-id"].decode(), []).append(text)
            ends -= is_last
            if not ends:
                break
    return found
