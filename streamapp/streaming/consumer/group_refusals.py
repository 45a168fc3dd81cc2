"""The ways back into a group that keeps this worker out: by a refusal, or for a lost leader.

A refusal is told with what to change, and the group is asked again after a while. Where it refuses
a member for a reason of its own (another program with the same group, a session that is too long
for the broker, a missing right), aiokafka waits until somebody calls it and takes the error. Faust
calls nothing of that kind: the worker would never join again, also after the reason is gone.

The embedded broker goes on naming a leader that died or stopped in the middle of the join of its
last members. Nobody assigns then, whoever joins. Kafka's coordinator names none but members.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

from streamapp.streaming.window.membership import Membership

log = structlog.get_logger(__name__)

#: Seconds until the group is asked again.
RETRY_S = 5.0

#: Error code of Kafka's protocol.
REBALANCE_IN_PROGRESS = 27
#: Session and rebalance timeout of the first join in a lost leader's name, milliseconds.
STAND_IN_MS = 10_000, 30_000

#: What to change, by the error.
HINTS: Mapping[type[Exception], str] = {
    GroupAuthorizationFailedError: "grant the right Read on the group",
    InconsistentGroupProtocolError: "another program is in the consumer group: end it or give it"
    " a group of its own, or set another STREAMAPP_APP_ID here",
    InvalidGroupIdError: "the broker does not accept the name: set another STREAMAPP_APP_ID",
    InvalidSessionTimeoutError: "set STREAMAPP_SESSION_TIMEOUT_S within the broker's"
    " group.min.session.timeout.ms and group.max.session.timeout.ms",
    TopicAuthorizationFailedError: "grant the rights Describe and Read on the topic",
}


def ask_again(
    coordinator: GroupCoordinator,
    membership: Membership,
    *,
    on_end: Callable[[BaseException], None],
) -> None:
    """Have the coordinator's errors told and waited out.

    Args:
        coordinator: Of the running client; in its thread.
        membership: Keeps the reason until the group takes this worker.
        on_end: Called with the error where the client itself has ended: nothing brings it back.
    """

    def tell_and_wait(error: Exception) -> Awaitable[object]:
        hint = HINTS.get(type(error)) or _own_text(error) or "see the broker's log"
        reason = f"{type(error).__name__}: {hint}"
        if membership.refusal != reason:
            log.critical(
                "group.refused",
                group=coordinator.group_id,
                error=type(error).__name__,
                hint=hint,
                again_s=RETRY_S,
            )
        membership.refusal = reason
        coordinator.request_rejoin()  # it may have stopped its heartbeats for the error
        return asyncio.wait([coordinator._closing], timeout=RETRY_S)

    def tell_end(task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            on_end(error)

    coordinator._push_error_to_user = tell_and_wait
    coordinator._coordination_task.add_done_callback(tell_end)


def replace_lost_leader(coordinator: GroupCoordinator) -> None:
    """Take the place of a leader that the group names and that is no member.

    A join in its name makes it a member again; then this worker goes on under that name. Of those
    that wait only the first by name does so: two would both be the leader.

    Args:
        coordinator: Of the running client; in its thread.
    """
    send = coordinator._send_req
    joined: Any = None

    async def send_and_look(request: Any) -> Any:
        nonlocal joined
        response = await send(request)
        if isinstance(request, JoinGroupRequest) and response.error_code == 0:
            joined = response
        elif (
            isinstance(request, SyncGroupRequest)
            and response.error_code == REBALANCE_IN_PROGRESS
            and joined is not None
        ):
            await take_place(joined.leader_id, joined.group_protocol, joined.member_id)
        return response

    async def take_place(leader: str, protocol: str, own: str) -> None:
        group = coordinator.group_id
        [found] = (await send(DescribeGroupsRequest([group]))).groups
        code, members = found[0], [member[0] for member in found[5]]
        if code or leader in members or own != min(members, default=""):
            return
        log.warning(
            "group.leader_lost",
            group=group,
            meaning="the embedded broker names one that has left: this worker takes its place",
        )
        join = JoinGroupRequest(group, *STAND_IN_MS, leader, None, "consumer", [(protocol, b"")])
        if (await send(join)).error_code == 0:
            coordinator.member_id = leader  # under which it joins again now
            await send(LeaveGroupRequest(group, own))

    coordinator._send_req = send_and_look


def _own_text(error: Exception) -> str:
    """Return what the client's own part found wrong, as where this worker is to assign."""
    return str(error.args[0])[:300] if type(error) is KafkaError and error.args else ""
