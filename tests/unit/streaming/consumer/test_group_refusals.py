"""A group that refuses this worker, or that has lost its leader, is asked again."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    InconsistentGroupProtocolError,
    KafkaError,
    UnknownError,
)
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import (
    HeartbeatRequest,
    JoinGroupRequest,
    JoinGroupRequest_v5,
    LeaveGroupRequest_v1,
    SyncGroupRequest,
)
from structlog.testing import capture_logs

from streamapp.errors import ConfigurationError
from streamapp.streaming.consumer.group_refusals import (
    CAUSE_S,
    PATIENCE_S,
    RETRY_S,
    SLOW_S,
    ask_again,
    await_coordinator,
    replace_lost_leader,
)
from streamapp.streaming.protocol.group_codes import HINTS, NAMES, UnknownCode
from streamapp.streaming.window.membership import Membership
from tests.support.virtual_time import run_virtually, virtual_clock


def coordinator(coordination: "asyncio.Task[None]", *answers: Any) -> Any:
    rejoins: list[float] = []
    left = list(answers)

    async def send(request: Any) -> Any:
        return left.pop(0)

    return SimpleNamespace(
        group_id="g",
        _send_req=send,
        rejoins=rejoins,
        request_rejoin=lambda: rejoins.append(virtual_clock()),
        _closing=asyncio.get_running_loop().create_future(),
        _coordination_task=coordination,
    )


def test_refusal_is_told_and_asked_again() -> None:
    """The client waits for nobody to take its error, and joins once the reason is gone."""

    async def scene() -> None:
        coordination = asyncio.ensure_future(asyncio.sleep(1_000))
        client, membership = coordinator(coordination), Membership()
        ask_again(client, membership, on_end=lambda error: None)

        await client._push_error_to_user(InconsistentGroupProtocolError())

        assert virtual_clock() == RETRY_S
        assert client.rejoins == [0.0]
        assert "another program is in the consumer group" in membership.refusal
        membership.note(membership.now())
        assert membership.refusal == ""

    run_virtually(scene())


def test_what_this_worker_found_wrong_as_the_leader_is_told() -> None:
    """The broker's log knows nothing of it."""

    async def scene() -> None:
        client = coordinator(asyncio.ensure_future(asyncio.sleep(1_000)))
        membership = Membership()
        ask_again(client, membership, on_end=lambda error: None)

        await client._push_error_to_user(KafkaError(repr(ConfigurationError("topic t is gone"))))

        assert "topic t is gone" in membership.refusal

    run_virtually(scene())


JOIN = JoinGroupRequest("g", 6_000, 30_000, "me", None, "consumer", [("faust", b"")])
BEAT = HeartbeatRequest("g", 7, "me")


@pytest.mark.parametrize("request_", [JOIN, SyncGroupRequest("g", 7, "me", None, []), BEAT])
@pytest.mark.parametrize("code", NAMES)
def test_code_that_the_client_does_not_know_is_told_by_its_number(code: int, request_: Any) -> None:
    """Aiokafka makes `KafkaError("UnknownError()")` of all of them."""

    async def scene() -> None:
        coordination = asyncio.ensure_future(asyncio.sleep(1_000))
        client = coordinator(coordination, SimpleNamespace(error_code=code))
        membership = Membership()
        ask_again(client, membership, on_end=lambda error: None)

        await client._send_req(request_)
        await client._push_error_to_user(KafkaError(repr(UnknownError())))

        assert membership.refusal == f"{NAMES[code]}: {HINTS[code]}"

    run_virtually(scene())


def test_code_of_an_earlier_answer_is_not_told() -> None:
    """What this worker finds wrong behind an answer without an error is its own."""

    async def scene() -> None:
        answers = [SimpleNamespace(error_code=code) for code in (81, 0)]
        client = coordinator(asyncio.ensure_future(asyncio.sleep(1_000)), *answers)
        membership = Membership()
        ask_again(client, membership, on_end=lambda error: None)

        await client._send_req(JOIN)
        await client._send_req(JOIN)
        await client._push_error_to_user(KafkaError("no such topic"))

        assert membership.refusal == "KafkaError: no such topic"

    run_virtually(scene())


def test_commit_that_is_refused_by_an_unknown_code_keeps_the_number() -> None:
    """It comes back to who commits, who looks it up."""

    async def scene() -> None:
        answer = SimpleNamespace(topics=[("t", [(0, 82)])])
        client = coordinator(asyncio.ensure_future(asyncio.sleep(1_000)), answer)
        ask_again(client, Membership(), on_end=lambda error: None)

        with pytest.raises(UnknownCode):
            await client._send_req(OffsetCommitRequest("g", 7, "me", -1, []))

    run_virtually(scene())


class Search:
    """A client whose search for a coordinator is scripted.

    Args:
        found_at: From when on there is a coordinator, seconds.
    """

    def __init__(self, found_at: float) -> None:
        self.found_at = found_at
        self.searches = self.updates = 0

    async def coordinator_lookup(self, kind: int, key: str) -> int:
        self.searches += 1
        if virtual_clock() < self.found_at:
            raise GroupCoordinatorNotAvailableError
        return 7

    async def force_metadata_update(self) -> bool:
        self.updates += 1
        return True


def test_coordinator_that_is_not_found_is_told_once_with_the_cause() -> None:
    """The search goes on until there is one, ever less often; the client logs none of it."""

    async def scene() -> None:
        client, membership, asked = Search(found_at=PATIENCE_S + 2.5 * CAUSE_S), Membership(), 0

        async def cause() -> str:
            nonlocal asked
            asked += 1
            return "lower it"

        group = coordinator(asyncio.ensure_future(asyncio.sleep(1_000)))
        await_coordinator(client, group, membership, cause=cause)
        with capture_logs() as lines:
            assert await client.coordinator_lookup(0, "g") == 7

        assert [(line["event"], line["hint"]) for line in lines] == [("group.refused", "lower it")]
        assert membership.refusal == "GroupCoordinatorNotAvailableError: lower it"
        assert asked == 3
        assert client.updates == client.searches - 1
        assert client.searches < PATIENCE_S / 0.1 + 2.5 * CAUSE_S / SLOW_S + 5

    run_virtually(scene())


def test_coordinator_that_moves_is_nothing_to_tell() -> None:
    """It is found within seconds, and looked for ten times a second until then."""

    async def scene() -> None:
        client, membership = Search(found_at=PATIENCE_S / 2), Membership()
        group = coordinator(asyncio.ensure_future(asyncio.sleep(1_000)))

        async def cause() -> str:
            raise AssertionError("nobody asks")

        await_coordinator(client, group, membership, cause=cause)
        assert await client.coordinator_lookup(0, "g") == 7

        assert membership.refusal == ""
        assert virtual_clock() - PATIENCE_S / 2 < 0.2

    run_virtually(scene())


def test_stop_waits_for_no_coordinator() -> None:
    """A worker whose group nobody coordinates still ends at once."""

    async def scene() -> None:
        client = Search(found_at=1_000)
        group = coordinator(asyncio.ensure_future(asyncio.sleep(1_000)))
        cause = asyncio.sleep
        await_coordinator(client, group, Membership(), cause=lambda: cause(0, "x"))
        asyncio.get_running_loop().call_later(PATIENCE_S + 2.5, group._closing.set_result, None)

        with pytest.raises(GroupCoordinatorNotAvailableError):
            await client.coordinator_lookup(0, "g")

        assert virtual_clock() == pytest.approx(PATIENCE_S + 2.5)

    run_virtually(scene())


def test_stop_waits_for_no_other_answer() -> None:
    """A worker that the group refuses still ends at once."""

    async def scene() -> None:
        client = coordinator(asyncio.ensure_future(asyncio.sleep(1_000)))
        ask_again(client, Membership(), on_end=lambda error: None)
        client._closing.set_result(None)

        await client._push_error_to_user(KafkaError())

        assert virtual_clock() == 0

    run_virtually(scene())


def test_client_that_has_ended_ends_the_worker() -> None:
    """Nothing else would ever join the group again."""

    async def fail() -> None:
        raise KafkaError("Unexpected error during coordination")

    async def scene() -> None:
        ended: list[BaseException] = []
        for coordination in (fail(), asyncio.sleep(0)):
            task = asyncio.ensure_future(coordination)
            ask_again(coordinator(task), Membership(), on_end=ended.append)
            await asyncio.wait([task])
            await asyncio.sleep(0)
        leaving = asyncio.ensure_future(asyncio.sleep(9))
        ask_again(coordinator(leaving), Membership(), on_end=ended.append)
        leaving.cancel()
        await asyncio.wait([leaving])

        assert [type(error) for error in ended] == [KafkaError]

    run_virtually(scene())


@pytest.mark.parametrize(
    ("members", "told"),
    [
        (["you", "me"], ["JoinGroup", "LeaveGroup"]),
        (["a", "me"], []),
        (["me", "first"], []),
        (None, []),
    ],
    ids=["lost", "another one's turn", "alive", "unknown"],
)
async def test_only_a_leader_that_is_no_member_is_replaced(
    members: list[str] | None, told: list[str]
) -> None:
    """A refusal in the middle of a rebalance is ordinary, and Kafka names members only.

    One of those that wait goes on under the leader's name, and no longer under its own.
    """
    sent: list[Any] = []

    async def send(request: Any) -> Any:
        sent.append(request)
        if isinstance(request, JoinGroupRequest):
            return SimpleNamespace(
                error_code=0, leader_id="first", group_protocol="faust", member_id="me"
            )
        if isinstance(request, DescribeGroupsRequest):
            found = [(member, "", "", b"", b"") for member in members or []]
            code = 15 if members is None else 0
            return SimpleNamespace(groups=[(code, "g", "Unknown", "consumer", "", found)])
        return SimpleNamespace(error_code=27)

    client: Any = SimpleNamespace(group_id="g", member_id="me", _send_req=send)
    replace_lost_leader(client)
    join = JoinGroupRequest("g", 6_000, 30_000, "me", None, "consumer", [("faust", b"")])

    await client._send_req(join)
    assert len(sent) == 1
    await client._send_req(SyncGroupRequest("g", 7, "me", None, []))

    assert isinstance(sent[2], DescribeGroupsRequest)
    assert [type(one).__name__.removesuffix("Request") for one in sent[3:]] == told
    assert client.member_id == ("first" if told else "me")
    if told:
        assert sent[3].build(JoinGroupRequest_v5).to_object()["member_id"] == "first"
        assert sent[4].build(LeaveGroupRequest_v1).to_object()["member_id"] == "me"
