"""A worker loses its place in the group: it is removed, frozen, or its call is too long."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.group import LeaveGroupRequest, SyncGroupRequest

from streamapp.streaming.consumer.group_member import note_membership
from streamapp.streaming.window.membership import Membership
from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.topics import administered, create_topics
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
        stage.provider.default(held=True, latency_s=3, unique=True)
        await stage.open()
        worker = await stage.ready_worker()
        await stage.produce(ask(f"r-{number}") for number in range(count))
        await stage.in_flight(count)

        with stage.cut_off():
            await _remove_members(stage)
            stage.provider.let_go()
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


async def test_assignment_that_is_fetched_late_gives_no_longer_right_than_the_group(
    kafka: KafkaBroker,
) -> None:
    """A worker that is frozen in its join wakes as a member of a group that soon forgets it.

    The group counts the session from when the generation began, not from when a member asks
    for its part: so two workers answered, until the first one's next heartbeat.
    """
    topic = group = f"t{uuid.uuid4().hex[:8]}"
    session_s, frozen_s = 6, 4.5
    await create_topics(kafka.bootstrap, topic, partitions=2)
    client: Any = partial(
        AIOKafkaConsumer,
        bootstrap_servers=kafka.bootstrap,
        group_id=group,
        session_timeout_ms=session_s * 1000,
        heartbeat_interval_ms=1000,
        enable_auto_commit=False,
    )
    async with client(topic), client() as late:
        coordinator, membership = late._coordinator, Membership(session_s)
        note_membership(coordinator, membership)
        send, thawed = coordinator._send_req, asyncio.Event()
        thawed.set()

        async def freeze_in_join(request: Any) -> Any:
            if isinstance(request, SyncGroupRequest):
                await asyncio.sleep(frozen_s)
            await thawed.wait()
            return await send(request)

        coordinator._send_req = freeze_in_join
        late.subscribe([topic])
        await until(lambda: late.assignment(), 20)
        assert membership.is_current
        thawed.clear()
        try:
            await until(lambda: _has_one_member(kafka, group), 60)
            assert not membership.is_current
        finally:
            thawed.set()


async def _remove_members(stage: Stage) -> None:
    """Have every member leave the group without a word to it."""
    async with _members(stage.broker, stage.prefix) as (admin, coordinator, members):
        assert members
        for member in members:
            await admin._send_request(LeaveGroupRequest(stage.prefix, member), coordinator)


async def _has_one_member(broker: KafkaBroker, group: str) -> bool:
    async with _members(broker, group) as (_, _, members):
        return len(members) == 1


@contextlib.asynccontextmanager
async def _members(
    broker: KafkaBroker, group: str
) -> AsyncIterator[tuple[AIOKafkaAdminClient, int, list[str]]]:
    """A client, the group's coordinator and the ids of its members."""
    async with administered(broker.bootstrap) as admin:
        coordinator = await admin.find_coordinator(group)
        [described] = await admin.describe_consumer_groups([group], coordinator)
        yield admin, coordinator, [member[0] for member in described.groups[0][5]]
