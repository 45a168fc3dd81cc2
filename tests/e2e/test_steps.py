"""Workers die inside records of several steps; finished steps are not made again."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.stage import Record, Stage
from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

EACH = 6


def chain(id_: str, **fields: int) -> Record:
    value = json.dumps({"type": "chain", "id": id_, "cache": False, **fields}).encode()
    return Record(value, id_.encode())


def calls_of(stage: Stage) -> Counter[tuple[str, str]]:
    """Return how often each step of each record was asked of the provider."""
    words = (call.message.split(" ") for call in stage.provider.calls)
    return Counter((id_, step) for id_, step, *_ in words)


async def test_each_record_goes_on_where_it_was_killed(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Killed after each of its steps in turn, a record makes no finished step again."""
    log = tmp_path / "noted"
    records = [
        chain(f"h{step}-{number}", hangs_at=step) for step in (0, 1, 3, 4) for number in range(EACH)
    ]
    records += [chain(f"f-{number}", fan_out=8, hangs_at=1) for number in range(EACH)]
    async with Stage(kafka, tmp_path) as stage:
        stage.extra = {"CHAIN_LOG": str(log)}
        await stage.open()
        worker = await stage.ready_worker(processors="tests.support.chain")
        await stage.produce(records)
        await stage.verifier.until(lambda: is_stuck(stage), 60)

        stage.kill9(worker)
        worker.start()
        report = await stage.settle(len(records))
        outcomes = {
            id_: json.loads(found[0].value or b"") for id_, found in stage.verifier.outcomes.items()
        }
        calls, noted = calls_of(stage), Counter(log.read_text().split())

    assert [*report.missing, *report.unequal, *report.overcommitted] == []
    for (id_, step), count in calls.items():
        assert count == (2 if hangs(id_, step) else 1), (id_, step)
    assert set(noted.values()) == {1}
    assert_counted_once(outcomes, "h")
    for id_, outcome in outcomes.items():
        if id_.startswith("f"):
            assert len(outcome["output"]) == 9


def is_stuck(stage: Stage) -> bool:
    """Whether every record is answered or stands in the call that hangs."""
    stuck = sum(hangs(id_, step) for id_, step in calls_of(stage))
    return stuck == 4 * EACH and len(stage.verifier.outcomes) == EACH


def hangs(id_: str, step: str) -> bool:
    """Whether that step of that record was cut off by the kill."""
    return {"h1": "one", "h3": "two", "h4": "three"}.get(id_[:2]) == step or (
        id_[0] == "f" and step == "sum"
    )


def assert_counted_once(outcomes: dict[str, dict[str, object]], prefix: str) -> None:
    """Output tokens are those of a record that was not disturbed; hung calls carry their script."""
    found: dict[str, Sequence[object]] = {}
    for id_, outcome in outcomes.items():
        if id_.startswith(prefix):
            usage = outcome["usage"]
            assert isinstance(usage, dict)
            found[id_] = (outcome["attempts"], usage["output_tokens"] > 0)
    assert set(found.values()) == {(3, True)}, found
