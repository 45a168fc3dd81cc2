"""Three chained flows under workers that come and go: one result for each source record."""

import asyncio
import json
import random
import re
import secrets
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.flow_stage import create_topic, produce_values, report_of_next, watched
from tests.e2e.stage import Stage
from tests.e2e.test_chaos import Fleet
from tests.support.judgement import Call, Report
from tests.support.kafka import KafkaBroker
from tests.support.otlp import Collector
from tests.support.verifier import Verifier

pytestmark = pytest.mark.kafka

KEYS = 50
#: Each step by the beginning of its question, and the topics that it stands between.
STEPS = {
    "translate": ("Translate the text", "reviews", "english"),
    "classify": ("Choose the label", "english", "labelled"),
    "draft": ("Draft a reply", "labelled", "replies"),
}
_ID = re.compile(r"\br-\d+\b")


def _flows(stage: Stage) -> dict[str, Any]:
    """Return the chain; only its first flow is told where the records' ids are."""
    ask = {"role": "user", "content": "Draft a reply to {{ value.id }}: {{ value.label }}"}
    fields: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "translate": (
            "translate",
            {"text": "{{ value.id }}", "target_language": "English"},
            {"merge_into": "english"},
        ),
        "classify": (
            "classify",
            {"text": "{{ value.id }} {{ value.english }}", "labels": ["praise", "complaint"]},
            {},
        ),
        "draft": ("chat", {"messages": [ask]}, {"merge_into": "reply"}),
    }
    return {
        name: {
            "input": f"{stage.prefix}.{STEPS[name][1]}",
            "output": f"{stage.prefix}.{STEPS[name][2]}",
            "from": "earliest",
            "type": type,
            "shape": "merge",
            "fields": given,
            **more,
        }
        for name, (type, given, more) in fields.items()
    }


def _calls(stage: Stage, step: str) -> list[Call]:
    begins = STEPS[step][0]
    found = []
    for call in stage.provider.calls:
        if call.message.startswith(begins):
            [id_, *_] = _ID.findall(call.message)
            found.append(Call(id_, call.at_s))
    return found


async def _run(
    stage: Stage, collector: Collector, seed: int, *, records: int, rate_per_s: float
) -> tuple[dict[str, Report], Mapping[str, str], Mapping[str, Verifier]]:
    """Run one seed to its end; return the judgement of each flow and the traces by record."""
    dice = random.Random(seed)
    await stage.open()
    await create_topic(stage, "reviews", 3)
    for name in ("english", "labelled", "replies"):
        await create_topic(stage, name, 3)
    for name in ("reviews-dlt", "english-dlt", "labelled-dlt"):
        await create_topic(stage, name, 3)
    stage.provider.default(latency_s=0.05, unique=True)
    stage.extra = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "500",
    }
    settings: dict[str, Any] = {"flows": json.dumps(_flows(stage)), "max_in_flight": 64}
    fleet, done = Fleet(stage, random.Random(seed), **settings), asyncio.Event()
    values = [{"id": f"r-{n}", "key": f"k-{dice.randrange(KEYS)}"} for n in range(records)]
    traces = {value["id"]: secrets.token_hex(16) for value in values}
    headers = {
        id_: {"traceparent": f"00-{trace}-00f067aa0ba902b7-01".encode()}
        for id_, trace in traces.items()
    }
    async with AsyncExitStack() as stack:
        found = {
            name: await stack.enter_async_context(watched(stage, input, output))
            for name, (_, input, output) in STEPS.items()
        }
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.churn(done))
            await produce_values(stage, "reviews", values, headers=headers, rate_per_s=rate_per_s)
            done.set()
        for verifier in found.values():
            await verifier.all_answered(records, 240)
            await verifier.all_committed(120)
        await fleet.left_cleanly()
        reports = {
            name: report_of_next(verifier, _calls(stage, name), stage.crashes)
            for name, verifier in found.items()
        }
        return reports, traces, found


def _judge(
    reports: Mapping[str, Report],
    traces: Mapping[str, str],
    verifiers: Mapping[str, Verifier],
    collector: Collector,
) -> None:
    for name, report in reports.items():
        assert not report.faults, (name, report)
        assert not report.dead, (name, report)
    for verifier in verifiers.values():
        for id_, outcomes in verifier.outcomes.items():
            found = {dict(outcome.headers)["traceparent"][3:35].decode() for outcome in outcomes}
            assert found == {traces[id_]}
    # Each span of a record belongs to its producer's trace.
    of_records = [span for span in collector.spans if span.name.startswith("process ")]
    assert of_records
    assert {span.trace_id for span in of_records} <= set(traces.values())


@pytest.mark.timeout(480)
async def test_a_chain_of_three_survives_workers_that_come_and_go(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """One short seed: one result in content for each record, no finished call is paid twice."""
    async with Collector() as collector, Stage(kafka, tmp_path, partitions=2) as stage:
        reports, traces, found = await _run(stage, collector, 1, records=600, rate_per_s=20)

    _judge(reports, traces, found, collector)


@pytest.mark.chaos
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2))
async def test_a_chain_of_three_survives_long_chaos(
    kafka: KafkaBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    """5,000 records each, to the same judgement."""
    async with Collector() as collector, Stage(kafka, tmp_path, partitions=2) as stage:
        reports, traces, found = await _run(stage, collector, seed, records=5_000, rate_per_s=50)

    with capsys.disabled():
        for name, report in reports.items():
            sys.stdout.write(f"\nseed {seed}, {len(stage.crashes)} kills, {name}: {report}\n")
    _judge(reports, traces, found, collector)
