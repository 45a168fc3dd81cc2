"""Which answers of the group's coordinator tell that this worker is a member; facts of aiokafka."""

import asyncio
import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IllegalGenerationError,
    IllegalStateError,
    InvalidCommitOffsetSizeError,
    KafkaConnectionError,
    NodeNotReadyError,
    NotCoordinatorForGroupError,
    OffsetMetadataTooLargeError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest
from aiokafka.structs import OffsetAndMetadata
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.consumer import ThreadDelegateConsumer
from faust.types import TP
from structlog.testing import capture_logs

from streamapp.streaming.consumer.group_member import (
    end_fetches_on_close,
    note_membership,
)
from streamapp.streaming.protocol.group_codes import UnknownCode
from streamapp.streaming.window.membership import Membership
from streamapp.streaming.window.partition_state import Progress

from .fake_thread import FakeThread

T0, T1, OTHER = TP("llm.requests", 0), TP("llm.requests", 1), TP("tickets", 0)


class Coordinator:
    """The heartbeat and the sync of aiokafka's coordinator, over a scripted broker."""

    _do_heartbeat = GroupCoordinator._do_heartbeat
    _heartbeat_routine = GroupCoordinator._heartbeat_routine

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.group_id, self.generation, self.member_id = "g", 4, "m"
        self.coordinator_id = 1
        self.was_reset = self.was_asked_to_rejoin = False

    async def _send_req(self, request: Any) -> Any:
        assert isinstance(request, HeartbeatRequest | SyncGroupRequest)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(error_code=answer)

    def reset_generation(self) -> None:
        self.was_reset = True

    def request_rejoin(self) -> None:
        self.was_asked_to_rejoin = True

    def coordinator_dead(self) -> None: ...


def watched(coordinator: Coordinator) -> tuple[Membership, list[float]]:
    now = [0.0]
    membership = Membership(6, clock=lambda: now[0])
    note_membership(coordinator, membership)
    now[0] = 5.0
    return membership, now


@pytest.mark.parametrize("answer", [0, 27], ids=["no error", "rebalance in progress"])
async def test_heartbeat_that_the_group_took_is_noted(answer: int) -> None:
    """A rebalance that goes on keeps the member for as long as it drains."""
    coordinator = Coordinator(answer)
    membership, _ = watched(coordinator)

    assert await coordinator._do_heartbeat()

    assert membership.age_s == 0
    assert membership.losses == 0
    assert membership.generation == coordinator.generation


@pytest.mark.parametrize("answer", [15, 16, KafkaConnectionError()], ids=str)
async def test_heartbeat_that_nobody_took_is_not_noted(answer: int | Exception) -> None:
    """A coordinator that moved or is away neither renews nor ends the membership."""
    coordinator = Coordinator(answer)
    membership, _ = watched(coordinator)

    assert not await coordinator._do_heartbeat()

    assert membership.age_s == 5
    assert membership.losses == 0


@pytest.mark.parametrize("answer", [22, 25], ids=["illegal generation", "unknown member"])
async def test_member_that_the_group_does_not_know_is_lost(answer: int) -> None:
    """Aiokafka resets its generation there, and this is heard at once."""
    coordinator = Coordinator(answer)
    membership, _ = watched(coordinator)

    await coordinator._do_heartbeat()

    assert coordinator.was_reset
    assert not membership.is_current
    assert membership.losses == 1


async def test_time_of_the_sending_counts() -> None:
    """An answer that comes late renews the membership from when it was asked for."""
    coordinator = Coordinator(0)
    gate = asyncio.Event()
    send = coordinator._send_req

    async def slow(request: Any) -> Any:
        await gate.wait()
        return await send(request)

    coordinator._send_req = slow  # type: ignore[method-assign]
    membership, now = watched(coordinator)
    beating = asyncio.ensure_future(coordinator._do_heartbeat())
    await asyncio.sleep(0)
    now[0] = 8.0
    gate.set()
    await beating

    assert membership.age_s == 3


async def test_assignment_that_is_fetched_late_renews_nothing() -> None:
    """The group counts from when it was made; the heartbeat that follows at once renews."""
    coordinator = Coordinator(0, 25)
    membership, _ = watched(coordinator)

    await coordinator._send_req(SyncGroupRequest("g", 4, "m", None, []))

    assert not coordinator.answers
    assert membership.age_s == 5


@pytest.mark.parametrize("answer", [0, 27], ids=["no error", "rebalance in progress"])
async def test_assignment_is_followed_by_a_heartbeat_of_its_generation(answer: int) -> None:
    """A member may write from then on, also where the client forgot its generation meanwhile."""
    coordinator = Coordinator(0, answer)
    send, sent = coordinator._send_req, list[Any]()

    async def forgetful(request: Any) -> Any:
        sent.append(request)
        coordinator.generation, coordinator.member_id = -1, ""
        return await send(request)

    coordinator._send_req = forgetful  # type: ignore[method-assign]
    membership, _ = watched(coordinator)

    await coordinator._send_req(SyncGroupRequest("g", 4, "m", None, []))

    assert membership.age_s == 0
    assert membership.generation == 4
    assert vars(sent[1]) == vars(HeartbeatRequest("g", 4, "m"))


async def test_assignment_stands_where_the_heartbeat_fails() -> None:
    """The client sends another one; until then nothing is written."""
    coordinator = Coordinator(0, KafkaConnectionError())
    membership, _ = watched(coordinator)

    response = await coordinator._send_req(SyncGroupRequest("g", 4, "m", None, []))

    assert response.error_code == 0
    assert membership.age_s == 5


class Client:
    """The client of a member, and its coordinator: commits are refused as scripted."""

    def __init__(self, *refusals: Exception | None) -> None:
        self.refusals = list(refusals)
        self.commits: list[Any] = []
        self.sought: list[tuple[Any, int]] = []
        self._coordinator = self
        cluster = SimpleNamespace(brokers=list)
        self._client = SimpleNamespace(cluster=cluster, get_random_node=lambda: None)
        self._commit_lock = asyncio.Lock()
        self.generation = 4
        self.next_generation = 4
        self.assigned = {TopicPartition(*T0), TopicPartition(*T1), TopicPartition(*OTHER)}
        self.stored: dict[Any, OffsetAndMetadata] = {}

    async def ensure_coordinator_known(self) -> None: ...

    async def _do_commit_offsets(self, assignment: Any, offsets: Any) -> None:
        self.commits.append(offsets)
        self.generation = self.next_generation
        if self.refusals and (refusal := self.refusals.pop(0)):
            raise refusal

    def assignment(self) -> set[Any]:
        return self.assigned

    async def fetch_committed_offsets(self, partitions: list[Any]) -> Any:
        return self.stored

    def seek(self, tp: Any, offset: int) -> None:
        self.sought.append((tp, offset))


async def test_commit_carries_what_is_finished_behind_it() -> None:
    """Offset and metadata travel together, and are noted once the group took them."""
    thread = FakeThread(Client())

    assert await thread.commit({T0: Progress(7, "1r:7:AQE=")})

    assert thread.client.commits == [{T0: OffsetAndMetadata(7, "1r:7:AQE=")}]
    assert thread.committed == {T0: Progress(7, "1r:7:AQE=")}


async def test_only_first_offsets_are_committed_of_partitions_of_others() -> None:
    """Nobody has begun there; what is finished is committed by who has the partition alone."""
    thread = FakeThread(Client())
    thread.client.stored = {}
    others = TP("t", 9)

    assert not await thread.commit({T0: Progress(7), others: Progress(3)})
    assert await thread._commit_first({T0: 7, others: 3}) == {T0: 7, others: 3}  # type: ignore[misc]

    assert [{tp: each.offset for tp, each in one.items()} for one in thread.client.commits] == [
        {T0: 7, others: 3}
    ]
    assert thread.committed[T0] == Progress(7)


async def test_first_offsets_are_not_taken_from_a_member_of_an_older_generation() -> None:
    """The worker looks again, and finds those of the others."""
    thread = FakeThread(Client(NotCoordinatorForGroupError()))
    thread.client.stored = {}
    thread.client.next_generation = 5

    with pytest.raises(IllegalStateError):
        await thread._commit_first({T0: 7})  # type: ignore[misc]


async def test_first_offsets_are_not_taken_of_a_member_that_was_frozen_behind_its_look() -> None:
    """The group went on without it meanwhile, and others have begun."""
    client = Client()
    thread = FakeThread(client)

    async def frozen(partitions: list[Any]) -> Any:
        client.generation += 1
        return {}

    client.fetch_committed_offsets = frozen  # type: ignore[method-assign]

    with pytest.raises(IllegalStateError):
        await thread._commit_first({T0: 7})  # type: ignore[misc]
    assert client.commits == []


async def test_first_offsets_are_committed_again_only_behind_another_look() -> None:
    """Others may have begun while the broker did not answer: theirs stay."""
    client = Client(RequestTimedOutError())
    thread, looks = FakeThread(client), iter([{}, {T1: OffsetAndMetadata(5, "")}])

    async def look(partitions: list[Any]) -> Any:
        return next(looks)

    client.fetch_committed_offsets = look  # type: ignore[method-assign]

    assert await thread._commit_first({T0: 7, T1: 8}) == {T0: 7, T1: 5}  # type: ignore[misc]
    assert [{tp: each.offset for tp, each in one.items()} for one in client.commits] == [
        {T0: 7, T1: 8},
        {T0: 7},
    ]


async def test_partitions_without_an_offset_are_left_out() -> None:
    """The group answers -1 for them."""
    client = Client()
    client.stored = {T0: OffsetAndMetadata(0, ""), T1: OffsetAndMetadata(-1, "")}

    assert await FakeThread(client)._stored({T0, T1}) == {T0: Progress(0)}  # type: ignore[misc]


async def test_broker_that_takes_no_metadata_still_gets_the_offsets() -> None:
    """A lower bound of the broker costs repeats after a crash, and no commit."""
    thread = FakeThread(Client(OffsetMetadataTooLargeError()))

    assert await thread.commit({T0: Progress(7, "1r:7:AQE=")})
    assert await thread.commit({T0: Progress(8, "1r:8:AQE=")})

    offsets = [commit[T0] for commit in thread.client.commits]
    assert offsets[1:] == [OffsetAndMetadata(7, ""), OffsetAndMetadata(8, "")]


async def test_metadata_that_the_broker_did_not_take_is_not_noted() -> None:
    """The ledger lets go of what the group says is finished: it does not say so of these."""
    thread = FakeThread(Client(OffsetMetadataTooLargeError()))

    taken = await thread.commit({T0: Progress(7, "1r:7:AQE=")})

    assert taken == thread.committed == {T0: Progress(7)}


async def test_commit_that_is_too_large_without_metadata_is_told() -> None:
    """It is tried topic by topic, each of which is smaller."""
    refusals = [OffsetMetadataTooLargeError(), *(InvalidCommitOffsetSizeError() for _ in range(3))]
    thread = FakeThread(Client(*refusals))

    with capture_logs() as lines:
        assert not await thread.commit({T0: Progress(7), OTHER: Progress(3)})

    refused = {line["topic"] for line in lines if line["event"] == "commit.refused"}
    assert refused == {T0.topic, OTHER.topic}


@pytest.mark.parametrize(
    "error",
    [
        IllegalGenerationError(),
        UnknownMemberIdError(),
        GroupAuthorizationFailedError(),
        TopicAuthorizationFailedError(),
        NotCoordinatorForGroupError(),
        UnknownTopicOrPartitionError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_refused_commit_is_not_noted(error: Exception) -> None:
    """Whatever the reason: no worker ends by it, and the next commit is tried with what is then."""
    thread = FakeThread(Client(error))

    assert not await thread.commit({T0: Progress(7)})

    assert thread.committed == {}
    assert len(thread.client.commits) == 1


async def test_commit_that_is_refused_by_a_code_that_aiokafka_does_not_know_is_named() -> None:
    """Its own error for all of them names neither the reason nor what to change."""
    with capture_logs() as lines:
        assert not await FakeThread(Client(UnknownCode(113))).commit({T0: Progress(7)})

    [line] = [each for each in lines if each["event"] == "commit.refused"]
    assert line["error"] == "StaleMemberEpoch"
    assert "another program is in the consumer group" in line["hint"]


async def test_partition_that_is_another_ones_is_not_committed() -> None:
    """Its offset would replace the one of its owner."""
    thread = FakeThread(Client())
    thread.client.assigned = {TopicPartition(*T1)}

    assert not await thread.commit({T0: Progress(7)})

    assert thread.client.commits == []


async def test_last_commit_of_a_generation_waits_out_an_outage() -> None:
    """Nobody commits it later."""
    thread = FakeThread(Client(NotCoordinatorForGroupError(), NotCoordinatorForGroupError()))

    assert await thread.commit({T0: Progress(7)}, until_taken=True)

    assert len(thread.client.commits) == 3


async def test_commit_does_not_outlive_its_generation() -> None:
    """Repeated after the rebalance, it would replace what the partition's next owner committed."""
    thread = FakeThread(Client(NotCoordinatorForGroupError()))
    thread.client.next_generation = 5

    assert not await thread.commit({T0: Progress(7)}, until_taken=True)

    assert len(thread.client.commits) == 1


@pytest.mark.parametrize(
    "error",
    [UnknownTopicOrPartitionError(), TopicAuthorizationFailedError()],
    ids=["deleted", "no right"],
)
async def test_topic_that_is_refused_keeps_no_other_from_its_commit(error: Exception) -> None:
    """What the group took of the others is noted; the refused one is told once."""
    progress = {T0: Progress(7), OTHER: Progress(3)}
    client = Client()

    async def commit_by_name(assignment: Any, offsets: Any) -> None:
        client.commits.append(offsets)
        if any(tp.topic == T0.topic for tp in offsets):
            raise error

    client._do_commit_offsets = commit_by_name  # type: ignore[method-assign]
    thread = FakeThread(client)

    with capture_logs() as lines:
        assert await thread.commit(progress) == {OTHER: Progress(3)}
        assert await thread.commit(progress) == {OTHER: Progress(3)}

    assert thread.committed == {OTHER: Progress(3)}
    assert [line["topic"] for line in lines if line["event"] == "commit.refused"] == [T0.topic]


async def test_commit_topic_by_topic_does_not_outlive_its_generation() -> None:
    """The second topic's turn may come when the group has gone on."""
    client = Client()

    async def commit_one(assignment: Any, offsets: Any) -> None:
        client.commits.append(offsets)
        if len(offsets) > 1:
            raise TopicAuthorizationFailedError
        client.generation = 5

    client._do_commit_offsets = commit_one  # type: ignore[method-assign]
    thread = FakeThread(client)

    taken = await thread.commit({T0: Progress(7), OTHER: Progress(3)})

    assert len(taken) == 1
    assert len(client.commits) == 2


async def test_member_that_the_group_forgot_commits_nothing() -> None:
    """An empty group takes commits of anyone: a reset generation must not even try."""
    thread = FakeThread(Client())
    thread.client.generation = -1

    assert not await thread.commit({T0: Progress(7)})

    assert thread.client.commits == []


async def test_metadata_comes_with_the_offset_of_the_same_answer() -> None:
    """A partition without a commit has none of either."""
    thread = FakeThread(Client())
    thread.client.stored = {
        TopicPartition(*T0): OffsetAndMetadata(7, "1r:7:AQE="),
        TopicPartition(*T1): OffsetAndMetadata(-1, ""),
    }

    offsets = await thread._seek_to_committed(thread.client)  # type: ignore[misc]

    assert offsets == {T0: 7, T1: None, OTHER: None}
    assert thread.committed == {T0: Progress(7, "1r:7:AQE=")}
    assert thread.client.sought == [(T0, 7)]


def test_faust_asks_the_thread_for_what_we_replace() -> None:
    """Faust seeks to the committed offsets by the thread, and commits by `force_commit` alone."""
    assert "seek_to_committed" in inspect.getsource(ThreadDelegateConsumer.seek_to_committed)
    assert "force_commit" in inspect.getsource(FaustConsumer.commit)
    assert "commit_offsets" in inspect.getsource(AIOKafkaConsumer.commit)
    # What is done here in its place, without its loop.
    source = inspect.getsource(GroupCoordinator.commit_offsets)
    for name in ("ensure_coordinator_known", "_commit_lock", "_do_commit_offsets"):
        assert name in source


async def test_fetcher_closes_while_a_refused_fetch_waits_for_its_next_try() -> None:
    """A cancelled close left the client's thread without an end, and the worker waited for it."""
    asked = asyncio.Event()

    async def refuse(node_id: int, request: Any) -> Any:
        asked.set()
        raise NodeNotReadyError

    client = SimpleNamespace(
        _loop=asyncio.get_running_loop(), _metadata_max_age_ms=300_000, send=refuse
    )
    fetcher = Fetcher(client, SubscriptionState(), retry_backoff_ms=60_000)
    end_fetches_on_close(fetcher)
    await asyncio.sleep(0)  # its own task waits for an assignment now
    request = SimpleNamespace(topics=[])
    fetch = asyncio.create_task(fetcher._proc_fetch_request(None, 1, request))
    fetcher._pending_tasks.add(fetch)
    await asked.wait()
    await asyncio.sleep(0)

    await asyncio.create_task(fetcher.close())

    assert fetch.cancelled()
    assert fetcher._fetch_task.done()
