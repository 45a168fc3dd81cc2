"""Sources of examples that fail while records flow."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiokafka import AIOKafkaProducer

from streamapp.errors import PromptError
from streamapp.prompts.example_set import parse_examples
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import ensure_topics
from streamapp.streaming.prompts.example_topic import ExampleTopic
from tests.e2e.stage import Record, Stage
from tests.support.kafka import KafkaBroker
from tests.support.served import served
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

#: Records of a phase. Some run at once and each call takes a while, so that the rate is not
#: that of the machine, and a phase is longer than some refreshes.
COUNT, IN_FLIGHT, LATENCY_S, ATTEMPTS = 400, 8, 0.05, 3
GOOD = json.dumps([{"variables": {"x": "example"}, "output": "good"}]).encode()


def ask(id_: str, prompt: str) -> Record:
    record = {"id": id_, "type": "generate", "prompt": prompt, "variables": {"x": id_}}
    return Record(json.dumps(record).encode())


class Source:
    """Serves a set over HTTP until told to misbehave."""

    def __init__(self) -> None:
        self.mood = "good"
        self.asked: Counter[str] = Counter()
        self._turned = asyncio.Event()

    def turn(self, mood: str) -> None:
        """Change its mood; what hangs ends by the new one."""
        self.mood = mood
        self._turned.set()
        self._turned = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[self.mood] += 1
        if self.mood == "hangs":
            await self._turned.wait()
        if self.mood == "gone":
            assert request.transport
            request.transport.abort()
        if self.mood == "huge":
            response = web.StreamResponse()
            await response.prepare(request)
            with suppress(ConnectionError):
                for _ in range(100):
                    await response.write(b"x" * 1_000_000)
            return response
        return web.Response(body=b"<html>" if self.mood == "garbage" else GOOD)


@asynccontextmanager
async def serving(source: Source) -> AsyncIterator[str]:
    """Give the address of the source."""
    app = web.Application()
    app.router.add_get("/set", source.answer)
    async with served(app) as host:
        yield host


async def publish(stage: Stage, mood: str) -> None:
    """Write to the topic of examples what a mood has there."""
    topic = f"{stage.prefix}.examples"
    async with AIOKafkaProducer(
        bootstrap_servers=stage.broker.bootstrap, max_request_size=1_100_000
    ) as producer:
        if mood == "huge":
            for number in range(100):
                await producer.send(topic, b"x" * 1_000_000, key=b"other-%d" % number)
        values = {"good": GOOD, "gone": None, "huge": b"x" * 1_000_001}
        await producer.send_and_wait(topic, values.get(mood, b"<html>"), key=b"tickets")


async def degraded(worker: WorkerProcess, http: aiohttp.ClientSession) -> tuple[list[str], str]:
    """Return what a ready worker says of itself, and its metric."""
    address = f"http://127.0.0.1:{worker.port}"
    async with http.get(f"{address}/readyz") as ready, http.get(f"{address}/metrics") as metrics:
        assert ready.status == 200
        body: dict[str, Any] = await ready.json()
        [line] = [
            line
            for line in (await metrics.text()).splitlines()
            if line.startswith("streamapp_examples_degraded ")
        ]
        return body["degraded"], line.split()[1]


async def test_failing_sources_leave_records_alone(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Garbage, 100 MB, a hang and nothing at all keep the last good sets and the worker's speed."""
    source = Source()
    async with (
        serving(source) as host,
        Stage(kafka, tmp_path, partitions=1) as stage,
        aiohttp.ClientSession() as http,
    ):
        directory = tmp_path / "prompts"
        directory.mkdir()
        sources = {"url": f"'http://{host}/set'", "topic_set": "tickets"}
        for kind, place in sources.items():
            examples = f"examples: {{{kind}: {place}, refresh_s: 1}}"
            (directory / f"{kind}.md").write_text(f"---\n{examples}\n---\n{{{{ x }}}} is judged")
        await stage.open()
        stage.provider.default(latency_s=LATENCY_S)
        stage.provider.script(
            {"text": "saw the example", "latency_s": LATENCY_S}, match="example is judged"
        )
        worker = await stage.ready_worker(
            prompts_dir=directory, examples_hosts=host, max_in_flight=IN_FLIGHT
        )
        await publish(stage, "good")

        async def is_fine() -> bool:
            return await degraded(worker, http) == ([], "0.0")

        async def is_degraded() -> bool:
            problems, count = await degraded(worker, http)
            return len(problems) == 2 and count == "2.0"

        await until(is_fine, 30)
        rates: dict[str, float] = {}
        sent = 0
        for mood in ("good", "garbage", "huge", "hangs", "gone"):
            source.turn(mood)
            if mood != "good":
                await publish(stage, mood)
            # Records flow while it misbehaves: what hangs has been asked by then.
            await until(lambda: source.asked[source.mood], 30)
            # The machine itself may stand still for a while: then once more.
            for attempt in range(ATTEMPTS):
                sent += COUNT
                await stage.produce(
                    ask(f"{mood}-{attempt}-{n}", "url" if n % 2 else "topic_set")
                    for n in range(COUNT)
                )
                await stage.verifier.all_answered(sent, 60)
                rates[mood] = rate(stage, f"{mood}-{attempt}-")
                if rates[mood] > 0.6 * rates["good"]:
                    break
            if mood != "good":
                await until(is_degraded, 30)
        report = await stage.settle(sent)
        source.turn("good")
        await publish(stage, "good")
        await until(is_fine, 30)
        outputs = [
            json.loads(found[0].value or b"")["output"]
            for found in stage.verifier.outcomes.values()
        ]

    assert not report.faults, report
    assert set(outputs) == {"saw the example"}
    assert min(rates.values()) > 0.6 * rates["good"], rates


def rate(stage: Stage, mood: str) -> float:
    """Return the provider calls a second of the mood's records, but for the first and last few."""
    times = sorted(call.at_s for call in stage.provider.calls if call.message.startswith(mood))
    inner = times[IN_FLIGHT:-IN_FLIGHT]
    return (len(inner) - 1) / (inner[-1] - inner[0])


async def test_examples_are_those_most_like_the_question(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """By vectors: one call for the set, one a record; while that model fails, the first ones."""
    words = [f"word-{number}" for number in range(20)]
    directory = tmp_path / "prompts"
    directory.mkdir()
    (directory / "set.json").write_text(
        json.dumps([{"variables": {"x": word}, "output": "good"} for word in words])
    )
    (directory / "judge.md").write_text(
        "---\nexamples: {file: set.json, count: 1, select: similar}\n---\n{{ x }} is judged"
    )

    def asked(id_: str, word: str) -> Record:
        variables = {"x": word}
        record = {"id": id_, "type": "generate", "prompt": "judge", "variables": variables}
        return Record(json.dumps(record).encode())

    async with Stage(kafka, tmp_path) as stage, aiohttp.ClientSession() as http:
        await stage.open()
        for word in words:
            stage.provider.script({"text": f"like {word}"}, match=f"{word} is judged")
        worker = await stage.ready_worker(prompts_dir=directory, embed_model="fake-vectors")
        await stage.produce(asked(f"a-{word}", word) for word in words)
        await stage.settle(len(words))
        vectors = [call for call in stage.provider.calls if call.path.endswith("/embeddings")]
        before = await degraded(worker, http)

        stage.provider.script({"status": 404}, path="/embeddings")
        await stage.produce(asked(f"b-{n}", f"new {n}") for n in range(20))
        report = await stage.settle(len(words) + 20)
        after = await degraded(worker, http)
        found = {
            id_: json.loads(outcomes[0].value or b"")
            for id_, outcomes in stage.verifier.outcomes.items()
        }

    assert not report.missing, report
    assert {found[f"a-{word}"]["output"] for word in words} == {f"like {word}" for word in words}
    assert before == ([], "0.0")
    assert {call.model for call in vectors} == {"fake-vectors"}
    assert sorted(len(call.inputs) for call in vectors) == [1] * 20 + [20]
    assert found["a-word-1"]["attempts"] == 2
    assert {found[f"b-{n}"]["output"] for n in range(20)} == {"like word-0"}
    assert "no vector of a question (ProviderRejected)" in after[0][0]
    assert after[1] == "1.0"


async def test_only_sets_that_are_asked_for_are_kept(kafka: KafkaBroker, tmp_path: Path) -> None:
    """What others write to the topic takes no memory, and is there once it is asked for."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        settings = Settings(
            _env_file=None, broker=kafka.url, app_id=stage.prefix, topic_prefix=stage.prefix
        )
        await ensure_topics(settings)
        await stage.open(made_by_worker=True)
        await publish(stage, "good")
        topic = ExampleTopic(settings)
        try:
            with pytest.raises(PromptError, match="no such set"):
                await topic.fetch("missing")
            kept = dict(topic.sets)
            found = await topic.fetch("tickets")
            await publish(stage, "huge")
            with pytest.raises(PromptError, match="longer than"):
                parse_examples(await topic.fetch("tickets"))
            await publish(stage, "gone")
            with pytest.raises(PromptError, match="no such set"):
                await topic.fetch("tickets")
        finally:
            await topic.aclose()

    assert (kept, found, topic.sets) == ({}, GOOD, {})
