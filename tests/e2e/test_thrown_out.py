"""A worker loses its place in the group while it works: it is removed, or its call is too long."""

from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.group import LeaveGroupRequest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


async def test_member_that_is_removed_writes_nothing_and_joins_again(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Its commits are refused; what it had in flight is fenced, and answered once by its next self.

    An operator removes members so, and a coordinator forgets them after a failover.
    """
    count = 60
    async with Stage(kafka, tmp_path) as stage:
        stage.provider.default(latency_s=3, unique=True)
        await stage.open()
        worker = await stage.ready_worker()
        await stage.produce(ask(f"r-{number}") for number in range(count))
        await stage.in_flight(count)

        with stage.cut_off():
            await _remove_members(stage)
            await until(lambda: worker.has_logged("window.fenced"), 60, state=worker.tail)
        report = await stage.settle(count, 120)

        assert worker.alive
        assert not report.faults, report
        assert report.repeats == 0


async def test_call_longer_than_a_rebalance_may_last_holds_nobody_up(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """A newcomer waits for the drain alone; the call is cut off, and made once elsewhere."""
    call_s = 90
    async with Stage(kafka, tmp_path) as stage:
        await stage.open()
        first = await stage.ready_worker(revoke_drain_s=2)
        await stage.produce([ask("long", script=[{"latency_s": call_s}, {}])])
        await stage.in_flight(1)

        with stage.cut_off():
            second = await stage.ready_worker(revoke_drain_s=2)
            await stage.produce(ask(f"r-{number}") for number in range(40))
            await stage.settle(41, call_s - 10)
        report = stage.report()

        assert (first.alive, second.alive) == (True, True)
        assert first.has_logged("window.drain_cut")
        assert not report.faults, report
        assert report.repeats == 0
        assert report.calls == 42


async def _remove_members(stage: Stage) -> None:
    """Have every member leave the group without a word to it."""
    group = stage.prefix
    admin = AIOKafkaAdminClient(bootstrap_servers=stage.broker.bootstrap)
    await admin.start()
    try:
        coordinator = await admin.find_coordinator(group)
        [described] = await admin.describe_consumer_groups([group], coordinator)
        members = [member[0] for member in described.groups[0][5]]
        assert members
        for member in members:
            await admin._send_request(LeaveGroupRequest(group, member), coordinator)
    finally:
        await admin.close()
