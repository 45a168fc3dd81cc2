"""A worker is cut off from Kafka, and not from its provider, for longer than its session."""

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import ProxiedKafka
from tests.e2e.stage import Stage, ask
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

RECORDS = 100


def answers(stage: Stage) -> dict[str, set[str]]:
    """Return the texts that each id was answered with."""
    return {
        id_: {json.loads(outcome.value or b"{}").get("output") for outcome in outcomes}
        for id_, outcomes in stage.verifier.outcomes.items()
    }


def _opened(worker: WorkerProcess) -> int:
    return worker.log.read_text(errors="replace").count("window.opened")


@pytest.mark.parametrize("fault", ["stall", "cut"])
async def test_worker_without_its_session_writes_nothing(
    proxied_kafka: ProxiedKafka, tmp_path: Path, fault: str
) -> None:
    """Its partitions' next owner answers once; neither topic nor ledger holds a second answer."""
    broker, proxy = proxied_kafka.broker, proxied_kafka.proxy
    async with proxy, Stage(broker, tmp_path) as stage:
        stage.provider.default(held=True, latency_s=4, unique=True)
        await stage.open()
        await stage.ready_worker()
        lonely = await stage.ready_worker(broker=proxy.url)
        await stage.produce(ask(f"r-{number}") for number in range(RECORDS))
        await stage.in_flight(RECORDS)

        opened = _opened(lonely)
        with stage.cut_off():
            getattr(proxy, fault)()
            stage.provider.let_go()
            # The other worker gets its partitions, and everything is answered.
            await stage.verifier.all_answered(RECORDS, 60)
        proxy.heal()
        await until(lambda: _opened(lonely) > opened, 60, state=lonely.tail)
        lines = lonely.log.read_text(errors="replace").splitlines()
        [fenced] = [line for line in lines if "window.fenced" in line]
        assert not fenced.endswith(" in_flight=0"), "its part of the calls was on its way"
        report = await stage.settle(RECORDS)
        assert not report.faults, report
        assert report.repeats == 0
        first = answers(stage)
        assert all(len(texts) == 1 for texts in first.values())

        # A fresh worker knows the ledger from the topic alone: the same answers come again.
        for worker in stage.workers:
            stage.kill9(worker)
        await stage.ready_worker()
        calls = len(stage.provider.calls)
        await stage.produce(ask(f"r-{number}") for number in range(RECORDS))
        await stage.settle(2 * RECORDS)
        assert answers(stage) == first
        assert len(stage.provider.calls) == calls
