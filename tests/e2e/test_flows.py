"""Flows over users' topics on a real broker: guarantees as those of request records."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer

from tests.e2e.flow_stage import (
    create_topic,
    merged,
    places_of,
    produce_values,
    report_of_next,
    watched,
)
from tests.e2e.stage import Stage, ask
from tests.e2e.test_dead_letters import streamapp
from tests.support.judgement import Call
from tests.support.kafka import KafkaBroker
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

RECORDS, KEYS = 300, 20


def _calls(stage: Stage, step: str) -> list[Call]:
    words = [(call.message.split(" "), call.at_s) for call in stage.provider.calls]
    return [Call(word[0], at_s) for word, at_s in words if word[1:2] == [step]]


async def test_a_chain_of_flows_beside_the_requests_survives_a_kill(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """One result per source record, in order per key, and no finished call is paid twice."""
    async with Stage(kafka, tmp_path, partitions=8) as stage:
        await stage.open()
        await create_topic(stage, "reviews", 3)
        flows = {
            "translate": merged(stage, "reviews", "translated", step="english"),
            "reply": merged(stage, "translated", "replies", step="reply"),
        }
        settings = {"flows": json.dumps(flows), "max_in_flight": 32}
        stage.provider.default(latency_s=0.02)
        first = await stage.ready_worker(**settings)
        await stage.ready_worker(**settings)
        async with (
            watched(stage, "reviews", "translated") as translated,
            watched(stage, "translated", "replies") as replied,
        ):
            await produce_values(
                stage,
                "reviews",
                [
                    {"id": f"r-{n}", "key": f"k-{n % KEYS}", "price": 1.10, "n": n}
                    for n in range(RECORDS)
                ],
            )
            await stage.produce([ask(f"q-{n}") for n in range(50)])
            await replied.until(lambda: len(replied.outcomes) > RECORDS // 5, 120)

            stage.kill9(first)

            await translated.all_answered(RECORDS, 120)
            await replied.all_answered(RECORDS, 120)
            await stage.verifier.all_answered(50, 60)
            await translated.all_committed(60)
            await replied.all_committed(60)
            reports = {
                "translate": translated.report(_calls(stage, "english"), stage.crashes),
                "reply": report_of_next(replied, _calls(stage, "reply"), stage.crashes),
            }
            outcome = replied.outcomes["r-7"]
        partitions = await _partitions(stage, "translated", "replies", "reviews-dlt")

    for name, report in reports.items():
        assert not report.faults, (name, report)
    assert partitions == [3, 3, 3]
    [*_, last] = outcome if isinstance(outcome, list) else [outcome]
    value = json.loads(last.value or b"")
    assert list(value) == ["id", "key", "price", "n", "english", "reply"]
    assert b'"price":1.1,' in (last.value or b"")
    headers = dict(last.headers)
    assert headers["origin"] == b"shop"
    assert headers["streamapp-id"] == b"r-7"
    assert headers["streamapp-model"] == b"fake-model"


async def test_a_new_flow_begins_at_the_end_and_a_crash_does_not_move_it(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """What is there already is passed over; what comes while no worker runs is answered."""
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        await create_topic(stage, "reviews", 3)
        old = [{"id": f"old-{n}", "key": f"k-{n}"} for n in range(6)]
        await produce_values(stage, "reviews", old)
        flow = merged(stage, "reviews", "replies", step="reply", **{"from": "latest"})
        flow["when"] = "{{ value.n != 1 }}"
        worker = await stage.ready_worker(flows=json.dumps({"reply": flow}))

        stage.kill9(worker)
        new = [{"id": f"new-{n}", "key": f"k-{n}", "n": n} for n in range(6)]
        await produce_values(stage, "reviews", new)
        await produce_values(stage, "reviews", [{"key": "k", "n": 0}])
        worker.start()

        async with watched(stage, "reviews", "replies") as verifier:
            wanted = {f"new-{n}" for n in range(6) if n != 1}
            await verifier.until(lambda: len(verifier.outcomes) >= 6, 90)
            await verifier.all_committed(30)
            answered = {id for id in verifier.outcomes if id.startswith(("new", "old"))}
            dead = await _read(stage, "reviews-dlt")
            known = {"FLOWS": json.dumps({"reply": flow}), "PARTITIONS": "2"}
            told = await streamapp(stage, "flows", "--json", "--seconds", "0", **known)
            remembered = (await _told(worker, "/v1/workers"))["workers"][0]["now"]["ledger"]
            letters = ["dead-letters", "list", "--json", "--flow", "reply"]
            listed = await streamapp(stage, *letters, **known)
            again = ["dead-letters", "replay", "--all", "--json", "--flow", "reply"]
            replayed = await streamapp(stage, *again, **known)
            failed_again = await _read(stage, "reviews-dlt", count=2)
            unknown = await streamapp(stage, "dead-letters", "list", "--flow", "no", **known)

    requests, reply = told.objects
    assert (requests["name"], requests["lag"]) == ("requests", 0)
    assert reply == {
        "name": "reply",
        "input": f"{stage.prefix}.reviews",
        "outputs": [f"{stage.prefix}.replies"],
        "reply_topics": [],
        "dead_letter_topic": f"{stage.prefix}.reviews-dlt",
        "partitions": 3,
        "lag": 0,
        "rate_per_s": None,
        "dead_letters": 1,
        "cost_usd_day": None,
        "unpriced_day": None,
        "cost_counted_s": None,
    }
    assert remembered["ids"] == len(wanted)  # by all flows
    assert remembered["bytes"] > 100 * len(wanted)
    assert listed.objects[0]["kind"] == "invalid"
    assert replayed.objects[0]["sent"] == 1
    assert len(failed_again) == 2
    assert unknown.code == 2
    assert "there is no flow 'no'; there are requests, reply" in unknown.err
    assert answered == wanted
    assert {call.message.split(" ")[0] for call in stage.provider.calls} == wanted
    [dead_letter] = dead
    assert dead_letter["streamapp.error.kind"] == "invalid"
    missing = "[flows.reply] fields.messages[0].content: value.id is missing"
    assert dead_letter["__streams.errors.message"] == missing
    assert dead_letter["__streams.errors.topic"] == f"{stage.prefix}.reviews"


async def test_a_flow_without_its_topic_does_not_start(kafka: KafkaBroker, tmp_path: Path) -> None:
    """An input that does not exist ends the start with its name and its place in the file."""
    config = tmp_path / "streamapp.toml"
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        config.write_text(
            f'[flows.reply]\ninput = "{stage.prefix}.nowhere"\noutput = "{stage.prefix}.replies"\n'
            'type = "summarize"\nfields = { text = "{{ value.text }}" }\n'
        )
        worker = stage.start_worker(config=config)

        code = await worker.wait(60)

        assert code == 2
        line = f"{config}:2: [flows.reply] input: there is no topic {stage.prefix}.nowhere"
        assert line in worker.tail()


async def _told(worker: WorkerProcess, path: str) -> Any:
    url = f"http://127.0.0.1:{worker.port}{path}"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return await response.json()


async def _partitions(stage: Stage, *names: str) -> list[int]:
    return [len(await places_of(stage, name)) for name in names]


async def _read(stage: Stage, name: str, count: int = 0) -> list[dict[str, str]]:
    """Return the headers of all records of a topic, once there are so many."""
    places = await places_of(stage, name)
    async with AIOKafkaConsumer(
        bootstrap_servers=stage.broker.bootstrap, auto_offset_reset="earliest"
    ) as reader:
        reader.assign(places)
        ends = await reader.end_offsets(places)
        found: list[dict[str, str]] = []
        while len(found) < max(count, sum(ends.values())):
            record = await reader.getone()
            found.append({key: value.decode() for key, value in record.headers})
        return found
