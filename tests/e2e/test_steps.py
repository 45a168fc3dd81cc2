"""Workers die inside records of several steps; finished steps are not made again."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.stage import Record, Stage
from tests.e2e.test_costs import budgeted
from tests.support.chain import ask
from tests.support.commands import streamapp
from tests.support.held_steps import CALLS, TOOLS
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

EACH = 6
#: The steps of a chain: three calls of the model, and one of its own. Then it is at its end.
STEPS, END = (1, 2, 3, 4), 5
PRICES = """
["openai/fake-model"]
input = 1.0
output = 10.0
"""


def chain(id_: str, **fields: int) -> Record:
    value = json.dumps({"type": "chain", "id": id_, "cache": False, **fields}).encode()
    return Record(value, id_.encode())


def calls_of(stage: Stage) -> Counter[tuple[str, str]]:
    """Return how often each step of each record was asked of the provider, and not refused."""
    words = (call.message.split(" ") for call in stage.provider.calls if call.status != 401)
    return Counter((id_, step) for id_, step, *_ in words)


async def test_each_record_goes_on_where_it_was_killed(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Killed after each of its steps in turn, a record makes no finished step again.

    The tokens and the cost of its response are those of every step, once.
    """
    log = tmp_path / "noted"
    records = [
        chain(f"h{step}-{number}", hangs_at=step)
        for step in (0, *STEPS, END)
        for number in range(EACH)
    ]
    records += [chain(f"f-{number}", fan_out=8, hangs_at=1) for number in range(EACH)]
    async with Stage(kafka, tmp_path) as stage:
        (tmp_path / "prices.toml").write_text(PRICES)
        stage.extra = {
            "CHAIN_LOG": str(log),
            "STREAMAPP_PRICES_FILE": str(tmp_path / "prices.toml"),
        }
        await stage.open()
        worker = await stage.ready_worker(processors="tests.support.chain")
        await stage.produce(records)
        await stage.verifier.until(lambda: is_stuck(stage, tmp_path), 60)
        shown = await steps_shown(worker.port, "h3-0")
        told = await explained(stage, worker.port, records)

        stage.kill9(worker)
        worker.start()
        report = await stage.settle(len(records))
        outcomes = {
            id_: json.loads(found[0].value or b"") for id_, found in stage.verifier.outcomes.items()
        }
        calls, noted = calls_of(stage), Counter(log.read_text().split())

    assert shown == [
        ["1", "model", "default", "done"],
        ["2", "step", "note", "done"],
        ["3", "model", "default", "running"],
    ]
    assert told["h3-0"] == shown
    assert told["h0-0"] == []
    assert [*report.missing, *report.unequal, *report.overcommitted] == []
    for (id_, step), count in calls.items():
        assert count == (2 if hangs(id_, step) else 1), (id_, step)
    assert set(noted.values()) == {1}
    for id_, outcome in outcomes.items():
        if id_.startswith("f"):
            assert len(outcome["output"]) == 9
        else:
            read, written = tokens_of(id_, int(id_[1]))
            usage = outcome["usage"]
            assert (usage["input_tokens"], usage["output_tokens"]) == (read, written), id_
            assert Decimal(outcome["cost_usd"]) * 1_000_000 == read + 10 * written, id_
            assert outcome["attempts"] == 3, id_


@pytest.mark.parametrize("held_by", ["budget", "outage"])
async def test_sigterm_gives_back_records_that_are_held_between_their_steps(
    kafka: KafkaBroker, tmp_path: Path, held_by: str
) -> None:
    """The worker ends soon, exit 0; the next one finishes them and pays no call twice."""
    log = tmp_path / "noted"
    records = [chain(f"h0-{number}") for number in range(10)]
    records += [chain(f"f-{number}", fan_out=8) for number in range(2)]
    async with Stage(kafka, tmp_path) as stage:
        stage.provider.default(latency_s=0.1)
        stage.extra = {"CHAIN_LOG": str(log), "STREAMAPP_PROCESSORS": "tests.support.chain"}
        await stage.open()
        limit = 50 if held_by == "budget" else 10_000
        worker = await stage.ready_worker(
            **budgeted(stage, tmp_path, limit_tokens=limit, action="hold")
        )
        await stage.produce(records)
        held = "budget.spent"
        if held_by == "outage":
            await stage.verifier.until(lambda: len(stage.provider.calls) >= 20, 60)
            stage.provider.default(status=401)
            held = "llm.breaker_opened"
        await until(lambda: worker.has_logged(held), 30, state=worker.tail)
        await stage.verifier.until(lambda: not stage.provider.counts["in_flight"], 30)

        worker.sigterm()

        assert await worker.wait(20) == 0, worker.tail()
        begun = {id_ for id_, _ in calls_of(stage)}
        assert not worker.has_logged("window.drain_cut")
        answered = len(stage.verifier.outcomes)
        stage.provider.default()
        await stage.ready_worker(**budgeted(stage, tmp_path, limit_tokens=10_000, action="hold"))
        report = await stage.settle(len(records), 60)
        calls, noted = calls_of(stage), Counter(log.read_text().split())

    assert answered < len(begun) <= len(records)
    assert not [*report.missing, *report.dead, *report.unequal, *report.overcommitted], report
    assert len(calls) == 10 * 3 + 2 * 9
    assert set(calls.values()) == set(noted.values()) == {1}


async def test_sigterm_gives_back_records_that_have_more_than_waits(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Tools that wait for a place, and an answer that was asked for again, hold up no worker.

    The next one finishes the records and pays no call twice; a limit of records that they have
    reached themselves stops none of their calls side by side.
    """
    each = 3
    records = [
        Record(json.dumps({"type": type_, "id": id_, "cache": False}).encode(), id_.encode())
        for type_ in ("many", "wrong")
        for id_ in (f"{type_}-{number}" for number in range(each))
    ]
    async with Stage(kafka, tmp_path) as stage:
        # What the records begin with is answered, by scripts of its own, before all is held.
        stage.provider.default(status=401, held=True)
        stage.extra = {"STREAMAPP_PROCESSORS": "tests.support.held_steps"}
        await stage.open()
        settings = budgeted(stage, tmp_path, limit_records=len(records), action="dead_letter")
        settings["max_in_flight"] = 30
        worker = await stage.ready_worker(**settings, drain_s=40)
        await stage.produce(records)
        await stage.verifier.until(lambda: paid_by(stage) == each * (1 + 2), 60)
        stage.provider.let_go()
        await until(lambda: worker.has_logged("llm.breaker_opened"), 30, state=worker.tail)
        await stage.verifier.until(lambda: not stage.provider.counts["in_flight"], 30)
        begun = paid_by(stage)

        worker.sigterm()

        assert await worker.wait(20) == 0, worker.tail()
        assert not worker.has_logged("window.drain_cut")
        stage.provider.default(text='{"a": 1}')
        worker = await stage.ready_worker(**settings)
        report = await stage.settle(len(records), 60)

    assert worker.has_logged("budget.spent")
    assert begun == each * (1 + 2)
    assert not [*report.missing, *report.dead, *report.unequal, *report.overcommitted], report
    assert paid_by(stage) == each * (2 + TOOLS + 1 + CALLS)


def paid_by(stage: Stage) -> int:
    """Return how many calls were answered."""
    return sum(call.status == 200 for call in stage.provider.calls)


def tokens_of(id_: str, hangs_at: int) -> tuple[int, int]:
    """Return the tokens of the three calls, once each: the fake provider counts words."""
    read = written = said = 0
    for step, words in ((1, "one"), (3, "two"), (4, "three")):
        text = words if step == 1 else f"{words} {said}"
        question = ask(id_, text, hangs=hangs_at == step)[0]["content"]
        answer = f"answer to: {question[:40]}"
        read, written, said = (
            read + len(question.split()),
            written + len(answer.split()),
            len(answer),
        )
    return read, written


async def steps_shown(port: int, id_: str) -> list[list[str]]:
    """Return what the worker says of the steps of a record in progress; of any other nothing."""
    url = f"http://127.0.0.1:{port}/v1/requests/{id_}"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return short((await response.json()).get("steps", ()))


async def explained(
    stage: Stage, port: int, records: Sequence[Record]
) -> dict[str, list[list[str]]]:
    """Return what `streamapp explain` says of the steps of each record, by id."""
    words = ["explain", "-", "--json", "--url", f"http://127.0.0.1:{port}"]
    said = await streamapp(
        *words,
        env={
            "STREAMAPP_PROCESSORS": "tests.support.chain",
            "CHAIN_LOG": os.devnull,
            "STREAMAPP_BROKER": "kafka://127.0.0.1:1",
            "STREAMAPP_APP_ID": stage.prefix,
        },
        stdin=b"\n".join(record.value or b"" for record in records),
    )
    return {line["id"]: short(line["steps"]) for line in said.objects}


def short(steps: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return number, kind, name and outcome of steps."""
    return [[one["number"], one["kind"], one["name"], one["outcome"]] for one in steps]


def is_stuck(stage: Stage, directory: Path) -> bool:
    """Whether every record is answered or stands in the step that hangs."""
    stuck = sum(hangs(id_, step) for id_, step in calls_of(stage))
    waiting = len(list(directory.glob("noted.h*")))
    is_answered = len(stage.verifier.outcomes) == EACH
    return stuck == 4 * EACH and waiting == 2 * EACH and is_answered


def hangs(id_: str, step: str) -> bool:
    """Whether that call of that record was cut off by the kill."""
    return {"h1": "one", "h3": "two", "h4": "three"}.get(id_[:2]) == step or (
        id_[0] == "f" and step == "sum"
    )
