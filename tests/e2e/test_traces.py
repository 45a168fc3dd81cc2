"""Traces of a real worker: collected, carried on in headers, found in the log; or in vain."""

import json
import secrets
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer

from tests.e2e.stage import Record, Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.otlp import Collector
from tests.support.process import free_port
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


def traced(record: Record, trace_id: str) -> Record:
    """Return the record as a producer that traces sends it."""
    parent = f"00-{trace_id}-00f067aa0ba902b7-01".encode()
    return Record(record.value, record.key, record.partition, [("traceparent", parent)])


def start_worker(
    stage: Stage, directory: Path, variables: dict[str, str], **settings: Any
) -> WorkerProcess:
    """Start a worker with variables of OpenTelemetry's."""
    worker = WorkerProcess(directory / "traced", stage.environment(**settings) | variables)
    stage.workers.append(worker)
    worker.start()
    return worker


async def headers_of(stage: Stage, topic: str, count: int) -> list[dict[str, str]]:
    """Return the headers of the topic's first records."""
    consumer = AIOKafkaConsumer(
        f"{stage.prefix}.{topic}",
        bootstrap_servers=stage.broker.bootstrap,
        auto_offset_reset="earliest",
    )
    async with consumer:
        records = [await consumer.getone() for _ in range(count)]
    return [{name: value.decode() for name, value in record.headers} for record in records]


def lines_of(log: Path, trace_id: str) -> list[dict[str, Any]]:
    """Return the lines of a JSON log that name the trace."""
    lines = log.read_text().splitlines()
    return [json.loads(line) for line in lines if trace_id in line and line.startswith("{")]


async def test_a_record_is_followed_from_producer_to_answer(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """One trace holds the record's way, the answer goes on with it, and so does the log."""
    good, bad = secrets.token_hex(16), secrets.token_hex(16)
    async with Collector() as collector, Stage(kafka, tmp_path) as stage:
        await stage.open()
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-team=canary-otlp",
            "OTEL_SERVICE_NAME": "shop",
        }
        worker = start_worker(stage, tmp_path, variables, log_level="debug", log_format="json")
        await worker.wait_ready()
        await stage.produce(
            [
                traced(ask("r-1", script=[{"status": 503}, {}], partition=1), good),
                traced(ask("r-2", script={"status": 400}, partition=2), bad),
            ]
        )
        await stage.settle(2)
        [answer] = await headers_of(stage, "responses", 1)
        [dead_letter] = await headers_of(stage, "requests-dlt", 1)
        asked = secrets.token_hex(16)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{worker.port}") as http:
            question = json.loads(ask("r-3").value or b"")
            headers = {"traceparent": f"00-{asked}-00f067aa0ba902b7-01"}
            for path in ("/v1/requests", "/v1/generate"):
                async with http.post(path, json=question, headers=headers) as response:
                    assert response.status < 300
        await stage.settle(3)
        worker.sigterm()
        assert await worker.wait(30) == 0

        process, send = f"process {stage.prefix}.requests", f"send {stage.prefix}.responses"
        found = await collector.of_trace(good, process, "chat", "chat fake-model", send)
        by_name = {span.name: span for span in found}
        root = by_name[process]
        assert (root.parent, root.kind) == ("00f067aa0ba902b7", "consumer")
        assert root.resource["service.name"] == "shop"
        assert by_name["chat"].parent == by_name[send].parent == root.span_id
        assert by_name["chat"].events == ("retry",)
        attempts = [span for span in found if span.name == "chat fake-model"]
        assert [span.is_error for span in attempts] == [True, False]
        assert {span.parent for span in attempts} == {by_name["chat"].span_id}
        assert answer["traceparent"] == f"00-{good}-{by_name[send].span_id}-01"
        assert collector.headers["x-team"] == "canary-otlp"

        failed = await collector.of_trace(bad, process, f"send {stage.prefix}.requests-dlt")
        assert {span.name for span in failed if span.is_error} == {
            process,
            "chat",
            "chat fake-model",
        }
        assert dead_letter["traceparent"].startswith(f"00-{bad}-00f067aa0ba902b7")

        over_http = await collector.of_trace(asked, process, "POST /v1/requests")
        servers = {span.name: span for span in over_http if span.kind == "server"}
        assert {span.parent for span in servers.values()} == {"00f067aa0ba902b7"}
        below = [
            span.name for span in over_http if span.parent == servers["POST /v1/requests"].span_id
        ]
        assert below == [process]
        below = [
            span.name for span in over_http if span.parent == servers["POST /v1/generate"].span_id
        ]
        assert below == ["chat"]

        ends = {
            trace: [line for line in lines_of(worker.log, trace) if line["event"] == event]
            for trace, event in ((good, "record.answered"), (bad, "record.dead_lettered"))
        }
        assert [line["id"] for line in ends[good]] == ["r-1"]
        assert [line["id"] for line in ends[bad]] == ["r-2"]
        line = ends[bad][0]
        place = (f"{stage.prefix}.requests", 2, 0)
        assert (line["topic"], line["partition"], line["offset"]) == place
        assert not worker.has_logged("canary-otlp")


@pytest.mark.parametrize("fault", ["refuses", "hangs"])
async def test_a_broken_collector_harms_nothing(
    fault: str, kafka: KafkaBroker, tmp_path: Path
) -> None:
    """All records are answered, the log stays short, and the stop waits for no collector."""
    async with Collector(status=None) as collector, Stage(kafka, tmp_path) as stage:
        endpoint = f"http://127.0.0.1:{free_port()}" if fault == "refuses" else collector.endpoint
        await stage.open()
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "100",  # longer than the stop of a busy machine's worker
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_BSP_MAX_QUEUE_SIZE": "512",
        }
        worker = start_worker(stage, tmp_path, variables, drain_s=10)
        await worker.wait_ready()
        await stage.produce([ask(f"r-{n}") for n in range(400)])
        await stage.settle(400)
        lines = worker.logged_lines
        worker.sigterm()

        assert await worker.wait(30) == 0
        assert collector.spans == []
        assert lines < 100
