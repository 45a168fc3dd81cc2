"""A group that refuses this worker, or that has lost its leader, is asked again."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import InconsistentGroupProtocolError, KafkaError
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.group import (
    JoinGroupRequest,
    JoinGroupRequest_v5,
    LeaveGroupRequest_v1,
    SyncGroupRequest,
)

from streamapp.errors import ConfigurationError
from streamapp.streaming.consumer.group_refusals import (
    RETRY_S,
    ask_again,
    replace_lost_leader,
)
from streamapp.streaming.window.membership import Membership
from tests.support.virtual_time import run_virtually, virtual_clock


def coordinator(coordination: "asyncio.Task[None]") -> Any:
    rejoins: list[float] = []
    return SimpleNamespace(
        group_id="g",
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
