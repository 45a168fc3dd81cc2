"""The ways back into a group that keeps this worker out, or that nobody coordinates.

A refusal is told with what to change, and the group is asked again after a while. Where it refuses
a member for a reason of its own (another program with the same group, a session that is too long
for the broker, a missing right), aiokafka waits until somebody calls it and takes the error. Faust
calls nothing of that kind: the worker would never join again, also after the reason is gone.

Where there is no coordinator, aiokafka asks for it ten times a second, with a line each, and never
says why there is none.

The embedded broker goes on naming a leader that died or stopped in the middle of the join of its
last members. Nobody assigns then, whoever joins. Kafka's coordinator names none but members.
"""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import (
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
)

from streamapp.streaming.protocol.group_codes import HINTS, code_of, name_of, require_known
from streamapp.streaming.window.membership import Membership

log = structlog.get_logger(__name__)

#: Seconds until the group is asked again.
RETRY_S = 5.0

#: Error code of Kafka's protocol.
REBALANCE_IN_PROGRESS = 27
#: Session and rebalance timeout of the first join in a lost leader's name, milliseconds.
STAND_IN_MS = 10_000, 30_000

#: A coordinator that is not found for so long is told, and looked for less often, seconds: one
#: that moves, or whose topic is made for the first group, takes a moment.
PATIENCE_S = 10.0
QUICK_S, SLOW_S = 0.1, 1.0
#: Between two questions why there is none, seconds.
CAUSE_S = 30.0


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
    send, answered = coordinator._send_req, 0

    async def send_and_note(request: Any) -> Any:
        nonlocal answered
        response = await send(request)
        if isinstance(request, JoinGroupRequest | SyncGroupRequest | HeartbeatRequest):
            answered = response.error_code
        elif isinstance(request, OffsetCommitRequest):
            require_known(response)
        return response

    def tell_and_wait(error: Exception) -> Awaitable[object]:
        # aiokafka wraps what it does not expect of an answer, and what it found wrong itself.
        is_wrapped = type(error) is KafkaError
        code = answered if is_wrapped else code_of(error)
        name = name_of(code) if code else type(error).__name__
        own = str(error.args[0])[:300] if is_wrapped and not code and error.args else ""
        hint = HINTS.get(code) or own or "see the broker's log"
        _tell(coordinator, membership, name, hint, again_s=RETRY_S)
        coordinator.request_rejoin()  # it may have stopped its heartbeats for the error
        return asyncio.wait([coordinator._closing], timeout=RETRY_S)

    def tell_end(task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            on_end(error)

    coordinator._send_req = send_and_note
    coordinator._push_error_to_user = tell_and_wait
    coordinator._coordination_task.add_done_callback(tell_end)


def await_coordinator(
    client: AIOKafkaClient,
    coordinator: GroupCoordinator,
    membership: Membership,
    *,
    cause: Callable[[], Awaitable[str]],
) -> None:
    """Have the search for the group's coordinator last until there is one, and tell why it does.

    Args:
        client: Whose search it is.
        coordinator: Of the same client; in its thread.
        membership: Keeps the reason until the group takes this worker.
        cause: Looks at the cluster for what to change.
    """
    look_up, clock = client.coordinator_lookup, asyncio.get_running_loop().time

    async def look_up_until_found(kind: int, key: str) -> int:
        began_at, asked_at = clock(), -inf
        while True:
            try:
                return await look_up(kind, key)  # type: ignore[no-any-return]  # a node's id
            except GroupCoordinatorNotAvailableError as error:
                if coordinator._closing.done():
                    raise
                name = type(error).__name__
            is_long = clock() - began_at >= PATIENCE_S
            if is_long and clock() - asked_at >= CAUSE_S:
                asked_at = clock()
                _tell(coordinator, membership, name, await cause(), again_s=SLOW_S)
            await client.force_metadata_update()  # as aiokafka: the brokers may be others now
            pause_s = SLOW_S if is_long else QUICK_S
            await asyncio.wait([coordinator._closing], timeout=pause_s)

    client.coordinator_lookup = look_up_until_found


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


def _tell(
    coordinator: GroupCoordinator, membership: Membership, name: str, hint: str, *, again_s: float
) -> None:
    """Log and keep why the group does not take this worker; the same reason is logged once."""
    reason = f"{name}: {hint}"
    if membership.refusal != reason:
        group = coordinator.group_id
        log.critical("group.refused", group=group, error=name, hint=hint, again_s=again_s)
    membership.refusal = reason
