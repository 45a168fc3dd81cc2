"""docs/frameworks.md is true: its processors run in workers that die, with the real packages."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import DOCS, ROOT, blocks
from tests.e2e.stage import Record, Stage
from tests.support.clients import packages_for_workers
from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

EACH = 3
#: The page's own client, and the outside world: a line for each time that it was asked.
NOTING = """

async def look_up(number: str) -> str:
    import os

    log = os.open(os.environ["LOOKED_UP"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, f"{number}\\n".encode())
    os.close(log)
    return f"order {number} is on its way"
"""
#: What the model says in the two calls of each record.
TEXTS = {
    "agent": ("Looking", '{"text": "It is on its way.", "is_urgent": false}'),
    "invoice": ('{"number": "4711", "total": -1}', '{"number": "4711", "total": 250}'),
}
HANGS: dict[str, Any] = {"hang": "headers"}
CALLS: dict[str, Any] = {"calls": 1, "text": TEXTS["agent"][0]}
SAYS: dict[str, Any] = {"text": TEXTS["agent"][1]}
WRONG, RIGHT = ({"text": text} for text in TEXTS["invoice"])
#: What the provider does with the calls of a record, by the first word of its id.
SCRIPTS = {
    "agent": [CALLS, SAYS],
    "agent1": [HANGS, CALLS, SAYS],
    "agent2": [CALLS, HANGS, SAYS],
    "invoice": [WRONG, RIGHT],
    "invoice1": [HANGS, WRONG, RIGHT],
    "invoice2": [WRONG, HANGS, RIGHT],
}


def records() -> list[Record]:
    """Return records of both types: undisturbed ones, and those killed in each of their calls."""
    found = []
    for name, script in SCRIPTS.items():
        for number in range(EACH):
            id_ = f"{name}-{number}"
            text = f"{id_} [[fake:{json.dumps(script)}]]"
            is_agent = name.startswith("agent")
            fields = {"type": "support", "question": text}
            if not is_agent:
                fields = {"type": "read-invoice", "text": text}
            value = json.dumps({"id": id_, "cache": False, **fields}).encode()
            found.append(Record(value, id_.encode()))
    return found


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A folder with the page's modules."""
    folder = tmp_path / "modules"
    folder.mkdir()
    for block in blocks(DOCS / "frameworks.md", "python"):
        (folder / block.title).write_text(block.text)
    with (folder / "support.py").open("a") as module:
        module.write(NOTING)
    return folder


async def test_frameworks_go_on_where_a_worker_died(
    kafka: KafkaBroker, tmp_path: Path, pages: Path
) -> None:
    """Killed in each call of an agent and of a re-ask, no finished call or step is made again."""
    log = tmp_path / "looked-up"
    async with Stage(kafka, tmp_path) as stage:
        stage.extra = {
            "PYTHONPATH": f"{ROOT}:{pages}:{packages_for_workers()}",
            "LOOKED_UP": str(log),
        }
        await stage.open()
        worker = await stage.ready_worker(processors="support,invoices")
        await stage.produce(records())
        await stage.verifier.until(lambda: is_stuck(stage), 90)

        stage.kill9(worker)
        worker.start()
        report = await stage.settle(len(SCRIPTS) * EACH)
        outcomes = {
            id_: json.loads(found[0].value or b"") for id_, found in stage.verifier.outcomes.items()
        }
        asked = Counter(call.body_hash for call in stage.provider.calls)
        hung = {call.body_hash for call in stage.provider.calls if call.status == 0}
        looked_up = log.read_text().splitlines()

    assert [*report.missing, *report.unequal, *report.overcommitted, *report.dead] == []
    assert {body: count for body, count in asked.items() if count > 1} == dict.fromkeys(hung, 2)
    assert len(asked) == 2 * len(SCRIPTS) * EACH
    assert len(looked_up) == 3 * EACH
    for framework, texts in TEXTS.items():
        ended = [one for id_, one in outcomes.items() if id_.startswith(framework)]
        # The fake provider counts words; of a turn that calls tools those of its script.
        written = sum(len(text.split()) for text in texts)
        assert {(one["attempts"], one["usage"]["output_tokens"]) for one in ended} == {(2, written)}
        assert all(one["output"] == json.loads(texts[1]) for one in ended)


def is_stuck(stage: Stage) -> bool:
    """Whether every record is answered or stands in the call that hangs."""
    hung = sum(call.status == 0 for call in stage.provider.calls)
    return hung == 4 * EACH and len(stage.verifier.outcomes) == 2 * EACH
