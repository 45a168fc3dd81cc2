"""Dead letters over HTTP on Apache Kafka: listed, sent again, and never in circles."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from streamapp.streaming.dead_letters.replay import MAX_REPLAYS
from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


async def record_at(kafka: KafkaBroker, place: dict[str, Any]) -> ConsumerRecord:
    """Return what stands at a place."""
    tp = TopicPartition(place["topic"], place["partition"])
    async with AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap) as consumer:
        consumer.assign([tp])
        consumer.seek(tp, place["offset"])
        return await consumer.getone()


async def test_replay_answers_what_is_cured_and_stops_what_is_not(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A cured record is answered; one that fails each time comes back counted, and stops.

    A corrected one stands where the wrong one did, with its key and headers, once.
    """
    async with Stage(kafka, tmp_path) as stage, aiohttp.ClientSession() as http:
        await stage.open()
        worker = await stage.ready_worker()
        url = f"http://127.0.0.1:{worker.port}/v1/dead-letters"
        await stage.produce(
            [
                ask("cured", script=[{"status": 400}, {}]),
                ask("never", script={"status": 400}),
                replace(
                    ask("wrong", "its-key", script={"status": 400}),
                    headers=[("tag", b"its-header")],
                ),
            ]
        )

        async def dead_letters(id: str) -> list[dict[str, Any]]:
            async with http.get(url, params={"id": id}) as response:
                return list((await response.json())["dead_letters"])

        async def replay(dead_letter: dict[str, Any]) -> str:
            place = {"partition": dead_letter["partition"], "offset": dead_letter["offset"]}
            async with http.post(f"{url}/replay", json={"places": [place]}) as response:
                return str((await response.json())["results"][0]["result"])

        async def count(id: str, wanted: int) -> None:
            async def there() -> bool:
                return len(await dead_letters(id)) == wanted

            await until(there, 30)

        async def edit(dead_letter: dict[str, Any], record: bytes) -> dict[str, Any]:
            place = {"partition": dead_letter["partition"], "offset": dead_letter["offset"]}
            body = {"place": place, "record": record.decode()}
            async with http.post(f"{url}/edit", json=body) as response:
                return dict(await response.json())

        await count("wrong", 1)
        wrong = (await dead_letters("wrong"))[0]
        right = ask("right").value or b""
        edited = await edit(wrong, right)
        assert edited["result"] == "sent"
        sent = await record_at(kafka, edited["sent_to"])
        assert (sent.topic, sent.key) == (f"{stage.prefix}.requests", b"its-key")
        assert (sent.value, sent.headers) == (right, (("tag", b"its-header"),))
        assert (await edit(wrong, right))["result"] == "replayed"
        assert (await edit({"partition": 0, "offset": 10**9}, right))["result"] == "missing"

        await count("cured", 1)
        await count("never", 1)
        assert await replay((await dead_letters("cured"))[0]) == "sent"
        for number in range(MAX_REPLAYS):
            newest = (await dead_letters("never"))[0]
            assert (newest["replays"], newest["attempts"]) == (number, number + 1)
            assert await replay(newest) == "sent"
            await count("never", number + 2)
        assert await replay((await dead_letters("never"))[0]) == "looping"
        assert await replay((await dead_letters("never"))[1]) == "replayed"
        assert await replay({"partition": 0, "offset": 10**9}) == "missing"

        async def is_answered() -> bool:
            async with http.get(f"http://127.0.0.1:{worker.port}/v1/requests/cured") as response:
                return bool((await response.json()).get("status") == "ok")

        await until(is_answered, 30)
