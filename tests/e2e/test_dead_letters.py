"""`streamapp dead-letters` on Apache Kafka: failures looked at, cured and sent again."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.stage import Record, Stage, ask
from tests.support import commands
from tests.support.commands import Ended
from tests.support.dead_letters import FOREIGN, Pairs, headers_of
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

#: Of each kind.
COUNT = 200
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FAILURES: dict[str, dict[str, Any]] = {
    "rejected": {"status": 400},
    "content_filtered": {"shape": "content_filter"},
    "context_length": {"shape": "context_length"},
    "output_invalid": {"text": "no object"},
}


async def streamapp(stage: Stage, *arguments: str, **settings: str) -> Ended:
    """Run a command on the stage's topics."""
    environment = {"BROKER": stage.broker.url, "APP_ID": stage.prefix, "PARTITIONS": "4"}
    environment |= {"TOPIC_PREFIX": stage.prefix} | settings
    return await commands.streamapp(
        *arguments, env={f"STREAMAPP_{name}": value for name, value in environment.items()}
    )


def failing(kind: str, number: int) -> Record:
    """Return a record that ends as that kind until its cause is gone."""
    id = f"{kind}-{number}"
    if kind == "prompt_error":
        fields = {"type": "generate", "prompt": "late", "variables": {"text": id}}
    elif kind == "output_invalid":
        fields = {"type": "extract", "text": id, "schema": SCHEMA}
    else:
        return ask(id)
    return Record(json.dumps({"id": id, **fields}).encode(), id.encode())


async def knows(worker: WorkerProcess, prompt: str) -> bool:
    """Whether the worker has the prompt by now."""
    url = f"http://127.0.0.1:{worker.port}/v1/prompts/{prompt}"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status == 200


def answered(stage: Stage) -> set[str]:
    """Return the ids with a response."""
    outcomes = stage.verifier.outcomes
    return {id for id, found in outcomes.items() if any(one.kind is None for one in found)}


async def test_thousand_dead_letters_of_five_kinds_are_answered_once_cured(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """They are listed, filtered, tried dry, sent again, all answered, and not sent twice."""
    kinds = [*FAILURES, "prompt_error"]
    total = COUNT * len(kinds)
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        for kind, outcome in FAILURES.items():
            stage.provider.script(outcome, match=f"{kind}-")
        worker = await stage.ready_worker()
        await stage.produce(failing(kind, n) for n in range(COUNT) for kind in kinds)
        await stage.verifier.all_answered(total, 60)

        every = await streamapp(stage, "dead-letters", "list", "--json")
        some = await streamapp(
            stage, "dead-letters", "list", "--json", "--kind", "rejected", "--type", "chat",
            "--since", "1h", "--text", "rejected-1",
        )  # fmt: skip
        dry = await streamapp(stage, "dead-letters", "replay", "--dry-run", "--json")
        assert [one.code for one in (every, some, dry)] == [0, 0, 0], every.err + some.err
        assert Counter(dead_letter["kind"] for dead_letter in every.objects) == dict.fromkeys(
            kinds, COUNT
        )
        assert {dead_letter["id"] for dead_letter in some.objects} == {
            f"rejected-{n}" for n in range(COUNT) if str(n).startswith("1")
        }
        assert dry.objects[0]["would_send"] == total
        assert len(stage.verifier.inputs) == total

        stage.provider.reset()
        (tmp_path / "late.md").write_text("---\nname: late\n---\n{{ text }}\n")
        published = await streamapp(stage, "prompts", "publish", str(tmp_path / "late.md"))
        assert published.code == 0, published.err
        await until(lambda: knows(worker, "late"), 60, state=worker.tail)
        first = await streamapp(
            stage, "dead-letters", "replay", "--kind", "rejected", "--rate", "1000", "--json"
        )
        rest = await streamapp(stage, "dead-letters", "replay", "--all", "--rate", "1000", "--json")
        await stage.verifier.until(lambda: len(answered(stage)) == total, 60)
        again = await streamapp(stage, "dead-letters", "replay", "--all", "--json")

        assert (first.code, rest.code, again.code) == (0, 0, 0), first.err + rest.err
        assert first.objects[0]["sent"] == COUNT
        assert (rest.objects[0]["sent"], rest.objects[0]["not_sent"]) == (
            total - COUNT,
            {"replayed": COUNT},
        )
        assert (again.objects[0]["sent"], again.objects[0]["not_sent"]) == (0, {"replayed": total})
        assert len(stage.verifier.inputs) == 2 * total


async def test_what_can_never_work_comes_back_and_harms_nobody(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A type that is no more, an event of prompts, records of others, a record of nothing."""
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        worker = await stage.ready_worker()
        requests, prompts = f"{stage.prefix}.requests", f"{stage.prefix}.prompts"
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:

            async def dead_letter(value: bytes | None, headers: Pairs) -> None:
                topic = f"{stage.prefix}.requests-dlt"
                await producer.send_and_wait(topic, value, b"k", headers=headers, partition=0)

            for value, headers in FOREIGN.values():
                await dead_letter(value, headers)
            await dead_letter(
                b'{"id": "g", "type": "gone"}', headers_of("g", topic=requests, offset=999)
            )
            await dead_letter(b"no event", [("tag", b"a"), *headers_of("e", topic=prompts)])
            await dead_letter(b"{}", headers_of("x", topic="__consumer_offsets"))

        sent = await streamapp(stage, "dead-letters", "replay", "--all", "--json")

        assert sent.code == 1, sent.err
        assert sent.objects[0]["not_sent"] == {"foreign": 1}
        assert (sent.objects[0]["sent"], sent.objects[0]["foreign_records"]) == (2, len(FOREIGN))
        assert "is not sent: of a topic that is not of this app" in sent.err

        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
            nothing = producer.create_batch()
            nothing.append(key=None, value=None, timestamp=None)
            await (await producer.send_batch(nothing, requests, partition=0))

        async def come_back() -> dict[str, dict[str, Any]]:
            listed = await streamapp(stage, "dead-letters", "list", "--json")
            assert listed.code == 0, listed.err
            return {one["kind"]: one for one in listed.objects}

        async def are_back() -> bool:
            return {"unknown_type", "prompt_error", "undecodable"} <= (await come_back()).keys()

        await until(are_back, 60)
        dead_letters = await come_back()
        assert {
            kind: dead_letters[kind]["replays"] for kind in ("unknown_type", "prompt_error")
        } == {
            "unknown_type": 1,
            "prompt_error": 1,
        }
        shown = await streamapp(
            stage, "dead-letters", "show", "--json", dead_letters["prompt_error"]["id"]
        )
        assert shown.objects[0]["headers"] == {"tag": "a"}
        assert dead_letters["undecodable"]["record"] == ""
        await stage.produce([ask("after")])
        await stage.verifier.until(lambda: "after" in answered(stage), 30)
        await worker.wait_ready()
