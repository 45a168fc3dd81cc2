"""Records cut off between their ledger entry and their answer: paid once, answered once."""

from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.conftest import ProxiedKafka
from tests.e2e.stage import Stage, ask
from tests.support.topics import alter_topic
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

EACH = 5


@pytest.mark.parametrize("cut", ["rebalance", "SIGTERM"])
async def test_answer_of_a_record_cut_off_behind_its_ledger_entry_is_emitted(
    proxied_kafka: ProxiedKafka, tmp_path: Path, cut: str
) -> None:
    """The next generation emits what the ledger has; each call of the provider answers otherwise.

    The topic of the answers refuses them for a while, so that every record stands between its
    two writes when its task is cancelled.
    """
    broker, proxy = proxied_kafka.broker, proxied_kafka.proxy
    async with proxy, Stage(broker, tmp_path, partitions=2) as stage:
        # An answer that arrives within the millisecond of its time would be let in.
        proxy.delay(0.02, "up")
        stage.provider.default(unique=True)
        await stage.open()
        first = await stage.ready_worker(broker=proxy.url, revoke_drain_s=1, drain_s=1)
        await _refuse(stage)
        await stage.produce(ask(f"r-{n}", partition=n % 2) for n in range(2 * EACH))
        ids = {f"r-{n}" for n in range(2 * EACH)}
        await until(lambda: {call.id for call in stage.calls()} == ids, 60, state=first.tail)
        await until(lambda: first.has_logged("emitter.refused"), 60, state=first.tail)

        if cut == "SIGTERM":
            first.sigterm()
            assert await first.wait(30) == 1  # what was cut off is said
        second = stage.start_worker(broker=proxy.url)
        await until(lambda: second.has_logged("emitter.refused"), 120, state=second.tail)
        if cut == "rebalance":
            await until(lambda: first.has_logged("window.drain_cut"), 30, state=first.tail)
        assert not stage.verifier.outcomes
        await _refuse(stage, older_than_ms=2**63 - 1)
        report = await stage.settle(2 * EACH, 120)

        assert not report.faults, report
        assert report.repeats == 0
        assert Counter(call.id for call in stage.calls()) == Counter(ids)

        await stage.produce(ask(f"later-{n}", partition=n % 2) for n in range(2 * EACH))
        report = await stage.settle(4 * EACH, 60)
        assert not report.faults, report


async def _refuse(stage: Stage, *, older_than_ms: int = 0) -> None:
    """Have the answers' topic refuse records of a time so long ago: at 0, every one."""
    topic = f"{stage.prefix}.responses"
    config = {"message.timestamp.before.max.ms": str(older_than_ms)}
    await alter_topic(stage.broker.bootstrap, topic, config)
