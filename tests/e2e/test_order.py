"""Order per key on Apache Kafka: a busy key holds up nobody but itself."""

from pathlib import Path

import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

COUNT = 50


async def test_a_hot_key_does_not_hold_up_the_others(kafka: KafkaBroker, tmp_path: Path) -> None:
    """On one partition, other keys pass a key whose records wait for each other in order."""
    async with Stage(kafka, tmp_path, partitions=1) as stage:
        await stage.open()
        await stage.ready_worker()
        hot = [ask(f"hot-{number}", "hot", script={"held": True}) for number in range(COUNT)]
        others = [ask(f"other-{number}") for number in range(COUNT)]
        pairs = zip(hot, others, strict=True)
        await stage.produce(record for pair in pairs for record in pair)

        outcomes = stage.verifier.outcomes
        names = {f"other-{number}" for number in range(COUNT)}
        await stage.verifier.until(lambda: outcomes.keys() >= names, 30)
        hot_ones = len(outcomes) - COUNT
        stage.provider.let_go()
        report = await stage.settle(2 * COUNT)

    assert hot_ones == 0
    assert not report.faults, report
