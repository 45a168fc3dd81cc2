"""Flows that are renamed, taken out and put back, or whose dead letters are sent again."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.flow_stage import all_records, create_topic, merged, produce_values, watched
from tests.e2e.stage import Stage
from tests.e2e.test_dead_letters import streamapp
from tests.support.judgement import Call
from tests.support.kafka import KafkaBroker
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

Flows = Mapping[str, Mapping[str, Any]]


@pytest.mark.chaos  # `make test` has the rolling deployment, which adds, changes and removes
@pytest.mark.parametrize("names", [("tags", "next"), ("next", "labels")], ids=["new", "swapped"])
async def test_a_renamed_flow_goes_on_where_it_was(
    names: tuple[str, str], kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Of 500 records that wait none is lost, answered twice or asked twice, along a chain.

    With the other flow's name it finds the other one's ledger, and takes nothing out of it.
    """
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        await create_topic(stage, "reviews", 3)
        reply = merged(stage, "reviews", "replies", step="reply", **{"from": "latest"})
        second = merged(stage, "replies", "seconds", step="second")
        stage.provider.default(latency_s=0.1, unique=True)
        worker = await _worker(stage, tmp_path, {"labels": reply, "next": second})
        async with watched(stage, "reviews", "replies") as verifier:
            await produce_values(stage, "reviews", map(_value, range(500)))
            await verifier.until(lambda: len(verifier.outcomes) >= 40, 60)
            await _stop(worker)
            before = len(verifier.outcomes)

            stage.provider.default(unique=True)
            _write(tmp_path, dict(zip(names, (reply, second), strict=True)))
            worker.start()

            await verifier.all_answered(500, 90)
            await verifier.all_committed(30)
            report = verifier.report(_calls(stage, "reply"), stage.crashes)
        async with watched(stage, "replies", "seconds") as seconds:
            await seconds.until(lambda: len(seconds.outcomes) == 500, 60)
        paid = Counter(call.message.split(" ")[0] for call in stage.provider.calls)

    assert before < 400
    assert (report.faults, report.repeats, report.dead) == ([], 0, {})
    assert paid == {f"r-{n}": 2 for n in range(500)}


@pytest.mark.chaos  # `make test` has the rolling deployment, which adds, changes and removes
async def test_a_flow_put_back_goes_on_where_it_was_killed(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """While it is out its input is left alone and the other flow goes on; then nothing is lost."""
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        for name in ("reviews", "others"):
            await create_topic(stage, name, 3)
        reply = merged(stage, "reviews", "replies", step="reply", **{"from": "latest"})
        second = merged(stage, "others", "seconds", step="second", **{"from": "latest"})
        stage.provider.default(latency_s=0.3, unique=True)
        worker = await _worker(stage, tmp_path, {"labels": reply, "next": second})
        async with watched(stage, "reviews", "replies") as verifier:
            await produce_values(stage, "reviews", map(_value, range(300)))
            await verifier.until(lambda: len(verifier.outcomes) >= 40, 60)
            stage.kill9(worker)

            stage.provider.default(unique=True)
            _write(tmp_path, {"next": second})
            worker.start()
            await worker.wait_ready()
            before = len(verifier.outcomes)
            await produce_values(stage, "reviews", map(_value, range(300, 400)))
            await produce_values(stage, "others", map(_value, range(50)))
            async with watched(stage, "others", "seconds") as seconds:
                await seconds.all_answered(50, 60)
            without = len(verifier.outcomes)
            await _stop(worker)
            _write(tmp_path, {"labels": reply, "next": second})
            worker.start()

            await verifier.all_answered(400, 90)
            await verifier.all_committed(30)
            report = verifier.report(_calls(stage, "reply"), stage.crashes)

    assert without == before < 300
    assert (report.faults, report.dead) == ([], {})


async def test_dead_letters_along_a_chain_are_answered_once_when_cured(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """The second flow's go back to its own input, with the ids that they carry."""
    async with Stage(kafka, tmp_path, partitions=2) as stage:
        await stage.open()
        await create_topic(stage, "reviews", 3)
        flows = {
            "first": merged(stage, "reviews", "replies", step="reply"),
            "next": merged(stage, "replies", "seconds", step="second"),
        }
        del flows["next"]["id"]
        known = {"FLOWS": json.dumps(flows), "PARTITIONS": "2"}
        letters = ["--json", "--flow", "next"]
        stage.provider.script({"status": 400}, match="0 second")
        await _worker(stage, tmp_path, flows)
        async with (
            watched(stage, "reviews", "replies") as replied,
            watched(stage, "replies", "seconds") as seconds,
        ):
            await produce_values(stage, "reviews", map(_value, range(100)))
            await seconds.until(lambda: len(seconds.outcomes) == 100, 60)
            listed = await streamapp(stage, "dead-letters", "list", *letters, **known)
            stage.provider.reset()
            first = await streamapp(stage, "dead-letters", "replay", "--yes", *letters, **known)
            await seconds.until(lambda: len(seconds.inputs) == 110, 30)
            await seconds.all_committed(30)
            again = await streamapp(stage, "dead-letters", "replay", "--yes", *letters, **known)
            inputs = len(replied.inputs), len(seconds.inputs)
        answers = Counter(
            json.loads(record.value or b"")["id"] for record in await all_records(stage, "seconds")
        )
        calls = [call.message for call in stage.provider.calls]

    assert {(one["kind"], one["id"]) for one in listed.objects} == {
        ("rejected", f"r-{n}") for n in range(0, 100, 10)
    }
    assert first.objects[0]["sent"] == 10
    assert (again.objects[0]["sent"], again.objects[0]["not_sent"]) == (0, {"replayed": 10})
    assert answers == {f"r-{n}": 1 for n in range(100)}
    assert sorted(calls) == sorted(f"r-{n} second" for n in range(0, 100, 10))
    assert inputs == (100, 110)


def _value(n: int) -> dict[str, Any]:
    return {"id": f"r-{n}", "key": f"k-{n % 20}", "n": n}


def _calls(stage: Stage, step: str) -> list[Call]:
    words = [(call.message.split(" "), call.at_s) for call in stage.provider.calls]
    return [Call(word[0], at_s) for word, at_s in words if word[1] == step]


async def _worker(stage: Stage, directory: Path, flows: Flows) -> WorkerProcess:
    _write(directory, flows)
    stage.extra = {"STREAMAPP_CONFIG": str(directory / "flows.toml")}
    return await stage.ready_worker(max_in_flight=16)


def _write(directory: Path, flows: Flows) -> None:
    """Write the file that the worker reads at its next start."""
    lines = []
    for name, flow in flows.items():
        lines.append(f"[flows.{name}]")
        lines += [f"{one} = {json.dumps(of)}" for one, of in flow.items() if one != "fields"]
        for message in flow["fields"]["messages"]:
            lines.append(f"[[flows.{name}.fields.messages]]")
            lines += [f"{one} = {json.dumps(of)}" for one, of in message.items()]
    (directory / "flows.toml").write_text("\n".join(lines) + "\n")


async def _stop(worker: WorkerProcess) -> None:
    worker.sigterm()
    assert await worker.wait(60) == 0
