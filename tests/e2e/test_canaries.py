"""Secrets and people's data go through every way that a record or a request can fail.

What a record says may stand in its own dead letter's value and nowhere else: no log, header,
metric, span or HTTP error holds it, and no secret stands anywhere.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer

from tests.e2e.stage import API_KEY, Record, Stage
from tests.support.kafka import KafkaBroker
from tests.support.otlp import Collector
from tests.support.worker import ROOT, WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

NAME, MAIL = "Ada Canary", "ada.canary@example.com"
PERSON = f"{NAME} <{MAIL}>"
WEB_KEY, CACHE_PASSWORD, OTLP_KEY = "web-canary-1", "redis-canary-2", "otlp-canary-3"
WRONG_KEY = "guess-canary-4"
SECRETS = (API_KEY, WEB_KEY, CACHE_PASSWORD, OTLP_KEY, WRONG_KEY)

#: What a careless provider says of a call.
ECHO = json.dumps({"error": {"message": f"No such parameter for {API_KEY}. You asked: {PERSON}"}})
#: A user's processor that quotes its record when it fails.
PROCESSOR = """
from streamapp.llm.client import LLMClient
from streamapp.processors.registry import processor
from streamapp.records.request import Request


class Careless(Request, type="careless"):
    text: str


@processor(Careless)
async def careless(request: Careless, llm: LLMClient) -> object:
    try:
        raise KeyError(request.text)
    except KeyError as error:
        raise ValueError(f"cannot use {request.text}") from error
"""


def chat(**outcome: Any) -> dict[str, Any]:
    """Return a chat record about a person; the fake provider does with it what is said."""
    content = f"Who is {PERSON}? [[fake:{json.dumps(outcome)}]]"
    return {"type": "chat", "messages": [{"role": "user", "content": content}]}


def about(type: str, **fields: Any) -> dict[str, Any]:
    return {"type": type, "metadata": {"customer": PERSON}, **fields}


def refused(status: int, **fields: Any) -> dict[str, Any]:
    return chat(status=status, body=ECHO, **fields)


def said(text: str) -> str:
    """Return what has the fake provider answer with ``text``."""
    return f"[[fake:{json.dumps({'text': text})}]]"


NUMBERED = {"type": "object", "properties": {"number": {"type": "integer"}}}
#: Kind of the dead letter, and ways to it: bytes, or the record.
WAYS: Mapping[str, list[Any]] = {
    "undecodable": [
        f'{{"type": "chat", "text": "{PERSON}'.encode(),
        f'{{"type": "chat", "text": "{PERSON} \\ud800"}}'.encode(),
        PERSON.encode() + b"\xff",
    ],
    "invalid": [
        [PERSON],
        about("summarize", text=[PERSON]),
        about("summarize", text="x", max_words=PERSON),
        about("summarize", text="x", deadline=PERSON),
        about("summarize", text="x", model=PERSON),
        about("summarize", text="x", nobody=PERSON),
        about("classify", text=PERSON, labels=[PERSON]),
        about("extract", text="x", schema={"type": PERSON}),
        {"type": "chat", "messages": [{"role": PERSON, "content": PERSON}]},
    ],
    "unknown_type": [about(PERSON, text=PERSON)],
    "prompt_error": [
        about("summarize", text=PERSON, prompt=f"summarize@{NAME}"),
        about("generate", prompt=PERSON, variables={"name": PERSON}),
        about("generate", prompt="translate", variables={NAME: PERSON}),
    ],
    "rejected": [refused(400), refused(422)],
    "content_filtered": [
        chat(shape="content_filter", text=PERSON),
        chat(status=400, code="content_filter"),
    ],
    "context_length": [chat(shape="context_length")],
    "output_invalid": [
        about("classify", labels=["good", "bad"], text=said(PERSON)),
        about("extract", schema=NUMBERED, text=said(json.dumps({"number": PERSON}))),
    ],
    "too_large": [chat(size=1_100_000)],
    "expired": [about("summarize", text=PERSON, deadline="2020-01-01T00:00:00Z")],
    "retries_exhausted": [chat(shape="garbage")],
    "internal": [about("careless", text=PERSON)],
}
RECORDS = [(kind, way) for kind, ways in WAYS.items() for way in ways]


def encoded(way: Any) -> bytes:
    return way if isinstance(way, bytes) else json.dumps(way).encode()


@dataclass
class Sinks:
    """Everything that leaves a worker, by name; ``answers`` may say what was asked."""

    kinds: dict[int, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def leaks(self, *canaries: str) -> list[str]:
        """Return which sinks hold which canary."""
        return [
            f"{canary!r} in {name}: ...{text[max(0, text.index(canary) - 150) :][:300]}"
            for name, text in self.texts.items()
            for canary in canaries
            if canary in text
        ]


async def written(stage: Stage, topic: str, count: int) -> list[Any]:
    """Return the first records of a topic."""
    consumer = AIOKafkaConsumer(
        f"{stage.prefix}.{topic}",
        bootstrap_servers=stage.broker.bootstrap,
        auto_offset_reset="earliest",
    )
    async with consumer:
        return [await consumer.getone() for _ in range(count)]


def start_worker(stage: Stage, directory: Path, collector: Collector) -> WorkerProcess:
    directory.mkdir()
    (directory / "careless.py").write_text(PROCESSOR)
    variables = stage.environment(
        processors="careless",
        api_keys=WEB_KEY,
        cache_url=f"redis://:{CACHE_PASSWORD}@127.0.0.1:1/0",
        log_level="debug",
        log_format="json",
    )
    variables |= {
        "PYTHONPATH": f"{ROOT}:{directory}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={OTLP_KEY}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    worker = WorkerProcess(directory, variables, command=("tests.support.talkative", "worker"))
    stage.workers.append(worker)
    worker.start()
    return worker


async def ask_over_http(worker: WorkerProcess) -> str:
    """Fail every record over HTTP as well, knock without a key; return all that is answered."""
    said: list[str] = []
    async with aiohttp.ClientSession(f"http://127.0.0.1:{worker.port}") as http:

        async def post(path: str, body: bytes, key: str = WEB_KEY) -> None:
            headers = {"Authorization": f"Bearer {key}"}
            async with http.post(path, data=body, headers=headers) as response:
                text = f"{dict(response.headers)} {await response.text()}"
                assert response.status >= 400, f"{path} {body[:200]!r} {text}"
                said.append(text)

        for kind, way in RECORDS:
            if kind != "too_large":  # for a topic, not for HTTP
                await post("/v1/generate", encoded(way))
        for kind in ("undecodable", "invalid", "unknown_type"):
            await post("/v1/requests", encoded(WAYS[kind][0]))
        for way in [*WAYS["rejected"], *WAYS["context_length"], *WAYS["retries_exhausted"]]:
            await post("/v1/chat/completions", json.dumps({"model": "default", **way}).encode())
        await post("/v1/chat/completions", json.dumps({"model": PERSON, "messages": []}).encode())
        await post("/v1/embeddings", json.dumps({"input": {"x": PERSON}}).encode())
        await post("/v1/prompts/x/versions", json.dumps({"body": [PERSON]}).encode())
        for path in ("/v1/generate", "/v1/requests", "/v1/prompts/x/versions"):
            await post(path, encoded(WAYS["internal"][0]), WRONG_KEY)
        await post("/v1/generate", encoded(chat(shape="html")))  # at last: it opens the breaker
    return "\n".join(said)


async def test_no_failure_tells_what_it_saw(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Every kind of dead letter and HTTP error, with a provider that quotes key and question."""
    sinks = Sinks()
    async with Collector() as collector, Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        worker = start_worker(stage, tmp_path / "careful", collector)
        await worker.wait_ready()
        await stage.produce([Record(encoded(way), PERSON.encode()) for _, way in RECORDS])
        await stage.verifier.all_answered(len(RECORDS), 60)
        await stage.verifier.all_committed(60)
        sinks.texts["http"] = await ask_over_http(worker)
        for dead_letter in await written(stage, "requests-dlt", len(RECORDS)):
            headers = {name: value.decode() for name, value in dead_letter.headers}
            sinks.kinds[int(headers["__streams.errors.offset"])] = headers["streamapp.error.kind"]
            sinks.texts[f"dead letter {headers}"] = str(headers)
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {WEB_KEY}"}) as http,
            http.get(f"http://127.0.0.1:{worker.port}/metrics") as response,
        ):
            sinks.texts["metrics"] = await response.text()
        worker.sigterm()
        assert await worker.wait(30) == 0
        sinks.texts["spans"] = "\n".join(map(str, collector.spans))
        sinks.texts["log"] = worker.log.read_text(errors="replace")

    found = [sinks.kinds.get(offset) for offset in range(len(RECORDS))]
    assert found == [kind for kind, _ in RECORDS]
    assert "streamapp_dead_letters_total" in sinks.texts["metrics"]
    assert "chat fake-model" in sinks.texts["spans"]
    assert sinks.texts["log"].count("record.dead_lettered") == len(RECORDS)
    assert sinks.leaks(NAME, MAIL, *SECRETS) == []
