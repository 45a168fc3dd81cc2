"""The client's thread as a member of its group: it notes each heartbeat that the group took.

Faust does not tell when the group last heard of this worker, and the app's own loop cannot know:
it runs on while the line is cut. So the answers of the group's coordinator are looked at where
they arrive. Nor does it carry the metadata of commits, which tells what is finished behind the
offset.
"""

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from typing import Any, cast

from aiokafka import AIOKafkaConsumer as AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest, SyncGroupRequest
from aiokafka.structs import OffsetAndMetadata
from faust.transport.consumer import ensure_TP
from faust.transport.drivers.aiokafka import ensure_aiokafka_TP
from faust.types import TP

from streamapp.streaming.broker.bootstrap import until_brokers_are_named, until_started
from streamapp.streaming.broker.group_state import no_coordinator
from streamapp.streaming.consumer.group_refusals import (
    ask_again,
    await_coordinator,
    replace_lost_leader,
)
from streamapp.streaming.consumer.offset_commits import OffsetCommits
from streamapp.streaming.consumer.request_limits import (
    group_waits,
    limit_requests,
    request_limits,
)
from streamapp.streaming.consumer.stalled_partitions import log_end
from streamapp.streaming.consumer.thread_calls import DirectCalls
from streamapp.streaming.flows.first_commits import FirstCommits
from streamapp.streaming.protocol.fetch import fetch_quickly
from streamapp.streaming.protocol.topic_ids import changed, is_of_cluster, topic_ids
from streamapp.streaming.window.finished_offsets import decode
from streamapp.streaming.window.membership import Membership
from streamapp.streaming.window.partition_state import Progress

#: What the coordinator answers to a heartbeat of a member: no error, and "a rebalance is going
#: on". Source: Kafka protocol guide, "Error codes".
NO_ERROR, REBALANCE_IN_PROGRESS = 0, 27

#: Until a task that goes on is cancelled again, seconds.
AGAIN_S = 0.1


class GroupMemberThread(FirstCommits, DirectCalls):
    """Faust's thread of the client: what it is told by the group, and what it commits there.

    Attributes:
        committed: What the group has of each partition, as of the last seek or commit; nothing
            where that is of a topic that was deleted since.
        read_of: The id of the topic that each partition of an input is read of, where brokers
            tell one. It was asked for before the first record, so that no record is of an
            older topic.
        made_anew: The partitions that were begun anew by a seek, by their topic's id.
    """

    committed: Mapping[TP, Progress]
    read_of: dict[TP, bytes]
    made_anew: Mapping[TP, bytes]
    _once_read_of: dict[TP, bytes]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.committed, self.read_of, self.made_anew, self._once_read_of = {}, {}, {}, {}
        self._commits = OffsetCommits()

    async def on_start(self) -> None:
        """Start the client; it joins no group before it is subscribed."""
        await until_started(super().on_start, self._undo_start)
        client = self._ensure_consumer()
        await until_brokers_are_named(client._client)
        settings = cast(Any, self.app).settings
        end_fetches_on_close(client._fetcher)
        fetch_quickly(client._client)
        limit_requests(
            client._client,
            request_limits(settings.session_timeout_s),
            is_waited_for=lambda: group_waits(settings),
        )
        coordinator = client._coordinator
        if isinstance(coordinator, GroupCoordinator):
            app = cast(Any, self.app)
            note_membership(coordinator, app.membership)
            replace_lost_leader(coordinator)
            ask_again(coordinator, app.membership, on_end=self._fail)
            await_coordinator(
                client._client,
                coordinator,
                app.membership,
                cause=lambda: no_coordinator(settings),
            )

    async def _undo_start(self) -> None:
        await self._ensure_consumer().stop()

    def _fail(self, error: BaseException) -> None:
        """End the worker, whose client keeps no membership any more."""
        self.parent_loop.call_soon_threadsafe(cast(Any, self.app).fail, error)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to what is committed, and keep its metadata; one request for all partitions."""
        return await self.call_thread(self._seek_to_committed, self._ensure_consumer())  # type: ignore[no-any-return]  # as Faust's

    async def _seek_to_committed(self, client: AIOKafkaClient) -> Mapping[TP, int | None]:
        committed = await self._stored({ensure_TP(tp) for tp in client.assignment()})
        anew = await self._note_topics(client, committed)
        self.committed = {tp: each for tp, each in committed.items() if tp not in anew}
        offsets: dict[TP, int | None] = {}
        for tp in map(ensure_TP, client.assignment()):
            offsets[tp] = self.committed[tp].offset if tp in self.committed else None
            if tp in anew:
                offsets[tp] = 0
            if offsets[tp] or tp in anew:  # away from where the client begins by itself
                client.seek(ensure_aiokafka_TP(tp), offsets[tp])
        return offsets

    async def _note_topics(
        self, client: AIOKafkaClient, committed: Mapping[TP, Progress]
    ) -> Mapping[TP, bytes]:
        """Note which topic each partition is read of; return those that are of another one by now.

        A commit says it, or what was noted before; where there is none, ever before. Without either
        the topic is today's, and so it is where the commit was copied from another cluster.
        """
        self._once_read_of |= self.read_of
        read_of: dict[TP, bytes] = {}
        for tp in map(ensure_TP, client.assignment()):
            if tp.topic in cast(Any, self.app).inputs:
                each = committed.get(tp, Progress(0))
                said = decode(each.offset, each.metadata).topic_id
                noted = self.read_of if tp in committed else self._once_read_of
                read_of[tp] = said or noted.get(tp, b"")
        topics = {tp.topic for tp in read_of}
        # The coordinator has just answered; another broker may be away.
        asked = getattr(client._coordinator, "coordinator_id", None)
        ids = await topic_ids(client._client, topics, node=asked)
        if topics - ids.keys() or changed(read_of, ids):
            # The one that told it may be behind.
            ids = await topic_ids(client._client, topics, every_broker=True)
        anew = changed(read_of, ids)
        self.read_of = {
            tp: id if is_of_cluster(id, ids.get(tp.topic, id)) else ids.get(tp.topic, b"")
            for tp, id in read_of.items()
        } | anew
        # Kept through generations that were overtaken, or without the topic: it is told after them.
        known = {tp: id for tp, id in self.made_anew.items() if self.read_of.get(tp, id) == id}
        self.made_anew = known | anew
        return anew

    async def topic_ids(
        self, topics: Collection[str], *, every_broker: bool = False
    ) -> Mapping[str, bytes]:
        """Return the ids of topics, as `topic_ids` does."""
        client = self._ensure_consumer()._client
        return await self.call_thread(topic_ids, client, topics, every_broker=every_broker)  # type: ignore[no-any-return]  # as Faust's

    def log_end(self, tp: TP) -> int | None:
        """Return the end of a partition's log, as `log_end`."""
        return log_end(self._ensure_consumer(), tp)

    async def leave_group(self) -> None:
        """Give the partitions to others now; nothing can be committed after that."""
        coordinator = self._ensure_consumer()._coordinator
        if isinstance(coordinator, GroupCoordinator):
            await self.call_thread(leave_group, coordinator)

    async def commit_progress(
        self, progress: Mapping[TP, Progress], *, until_taken: bool = False
    ) -> Mapping[TP, Progress]:
        """Commit; return what the group took.

        Args:
            progress: Of assigned partitions.
            until_taken: Whether an outage is waited out, for as long as the generation lasts.
        """
        return await self.call_thread(self._commit_progress, progress, until_taken)  # type: ignore[no-any-return]  # as Faust's

    async def _commit_progress(
        self, progress: Mapping[TP, Progress], until_taken: bool
    ) -> Mapping[TP, Progress]:
        offsets = {
            ensure_aiokafka_TP(tp): OffsetAndMetadata(each.offset, each.metadata)
            for tp, each in progress.items()
        }
        found = await self._commits.commit(
            self._ensure_consumer(), offsets, until_taken=until_taken
        )
        taken = {ensure_TP(tp): Progress(each.offset, each.metadata) for tp, each in found.items()}
        self.committed = {**self.committed, **taken}
        return taken


async def leave_group(coordinator: GroupCoordinator) -> None:
    """Leave the group at once, also out of the middle of a rebalance, and do not come back.

    The client's own way would first join once more where it waits for a revoke to end. It would
    leave no group in its first join or in a generation 0, and in any join ask by the connection on
    which the broker reads no further before that ends: the group would wait for a session.
    """
    if coordinator._closing.done():
        return
    coordinator._closing.set_result(None)
    coordination = coordinator._coordination_task
    coordination.cancel()
    await asyncio.wait([coordination])
    await coordinator._stop_heartbeat_task()
    await coordinator._stop_commit_offsets_refresh_task()
    node, member_id = coordinator.coordinator_id, coordinator.member_id
    coordinator.reset_generation()
    if member_id and node is not None:
        request = LeaveGroupRequest(coordinator.group_id, member_id)
        await coordinator._client.send(node, request)  # by the connection of fetches


def end_fetches_on_close(fetcher: Fetcher) -> None:
    """Have the fetcher's close end what it has begun, and return.

    aiokafka 0.14 cancels a fetch that waits for its next try, as there is one at nearly any time
    while the broker is away, and is cancelled by awaiting it: the client stays half open, and the
    worker waits a minute for its thread.
    """
    close = fetcher.close

    async def close_all() -> None:
        fetcher._closed = True
        while running := {
            t for t in (fetcher._fetch_task, *fetcher._pending_tasks) if not t.done()
        }:
            for task in running:
                task.cancel()
            # One that was at its own end takes no notice of the first.
            await asyncio.wait(running, timeout=AGAIN_S)
        fetcher._pending_tasks.clear()
        await close()

    fetcher.close = close_all


def note_membership(coordinator: GroupCoordinator, membership: Membership) -> None:
    """Have every heartbeat noted that the group took, by the time its request was sent.

    An assignment that is fetched late, by a member that was frozen in the join, renews nothing:
    the group counts from when it was made, and its next heartbeat may come too late. So it is
    followed by a heartbeat at once. Source: ``GroupMetadataManager.classicGroupSync`` of Kafka
    answers a group that is stable without setting the member's time anew.
    """
    send, reset = coordinator._send_req, coordinator.reset_generation

    async def beat(request: HeartbeatRequest, generation: int) -> Any:
        sent_at = membership.now()
        response = await send(request)
        if response.error_code in (NO_ERROR, REBALANCE_IN_PROGRESS):
            membership.note(sent_at, generation)
        return response

    async def send_and_note(request: Any) -> Any:
        member = coordinator.group_id, coordinator.generation, coordinator.member_id
        if isinstance(request, HeartbeatRequest):
            return await beat(request, member[1])
        response = await send(request)
        if isinstance(request, SyncGroupRequest) and response.error_code == NO_ERROR:
            with contextlib.suppress(KafkaError):  # the client sends the next one in time
                await beat(HeartbeatRequest(*member), member[1])
        return response

    def reset_and_lose() -> None:
        membership.lose()
        reset()

    coordinator._send_req = send_and_note
    coordinator.reset_generation = reset_and_lose
