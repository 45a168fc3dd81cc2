"""A ledger entry on its way while its worker is cut off: it comes behind the next owner's."""

import json
import os
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.e2e.conftest import ProxiedKafka
from tests.e2e.stage import Stage, ask
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PRODUCE = 0
#: Seconds by which the cut-off worker's clock is ahead: ten sessions.
AHEAD_S = 60


@pytest.mark.parametrize("differs", ["nothing", "ledger_ttl_s", "clock"])
async def test_late_entry_of_a_cut_off_worker_replaces_no_answer(
    proxied_kafka: ProxiedKafka, tmp_path: Path, differs: str
) -> None:
    """An equal record gets the answer that was emitted, whatever the cut-off worker's clock says.

    Its own answer was not emitted: it had lost its right by the time its entry was there.
    """
    broker, proxy = proxied_kafka.broker, proxied_kafka.proxy
    async with proxy, Stage(broker, tmp_path, partitions=1, forked=differs != "clock") as stage:
        stage.provider.default(unique=True)
        await stage.open()
        stage.extra = _clock_ahead(tmp_path) if differs == "clock" else {}
        settings = {"ledger_ttl_s": 1_200} if differs == "ledger_ttl_s" else {}
        lonely = await stage.ready_worker(broker=proxy.url, **settings)
        stage.extra = {}
        await stage.produce([ask("warm")])
        await stage.settle(1)
        # It reports what it used, and more, by itself: not that is to be late.
        held = proxy.stall_at(PRODUCE, "up", of=f"{stage.prefix}-answers-changelog")
        with stage.cut_off():
            await stage.produce([ask("x")])
            await until(lambda: held.is_set() and _calls(stage) == 1, 30, state=lonely.tail)
        other = await stage.ready_worker()
        await stage.verifier.until(lambda: _answers(stage), 60)
        proxy.heal()
        await until(lambda: _entries(stage, 2), 60, state=lonely.tail)
        for worker in (lonely, other):
            worker.sigterm()
            assert await worker.wait(60) == 0, worker.tail()

        await stage.ready_worker()
        await stage.produce([ask("x")])
        await stage.verifier.until(lambda: len(_answers(stage)) == 2, 60)

        assert len(set(_answers(stage))) == 1
        assert _calls(stage) == 2, "both workers', and none for the equal record"


def _clock_ahead(directory: Path) -> dict[str, str]:
    """Return the variables of a worker whose wall clock is ahead."""
    (directory / "sitecustomize.py").write_text(
        f"import time\nnow = time.time\ntime.time = lambda: now() + {AHEAD_S}\n"
    )
    return {"PYTHONPATH": f"{directory}:{os.getcwd()}"}


def _calls(stage: Stage) -> int:
    return sum(call.id == "x" for call in stage.calls())


def _answers(stage: Stage) -> list[str]:
    return [json.loads(found.value or b"")["output"] for found in stage.verifier.outcomes["x"]]


async def _entries(stage: Stage, count: int) -> bool:
    """Whether the ledger's changelog has so many entries of the record."""
    place = TopicPartition(f"{stage.prefix}-answers-changelog", 0)
    async with AIOKafkaConsumer(bootstrap_servers=stage.broker.bootstrap) as consumer:
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        found = []
        for end in (await consumer.end_offsets([place])).values():
            while await consumer.position(place) < end:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [record for record in records if record.key == b"x"]
    return len(found) >= count
