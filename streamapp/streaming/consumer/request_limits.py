"""The time limits of requests to brokers, by which a half-open connection is noticed.

The client has one limit for all requests, and the join of a group needs a long one. Where a
connection is dead and nobody says so (a firewall that forgot it, a machine that was unplugged),
a heartbeat would wait as long, far beyond the session, and a fetch hold its partitions. A join
waits for other members, so that its time says nothing: the state of the group tells whether it
has arrived.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaError, RequestTimedOutError
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest

from streamapp.errors import StreamappError
from streamapp.settings import Settings
from streamapp.streaming.broker.group_state import WAITS, group_state
from streamapp.streaming.protocol.closed_connections import refuse_closed

log = structlog.get_logger(__name__)

#: A broker answers a fetch at once or after the fetch wait; the rest is for a slow line, seconds.
FETCH_S = 60.0

#: How often it is asked whether a join has arrived, seconds; it is lost where the group waits for
#: nobody at two looks.
JOIN_LOOK_S = 5.0
JOINS = (JoinGroupRequest, SyncGroupRequest)


def request_limits(session_s: float) -> dict[type, float]:
    """Return the longest wait of each kind of request, seconds.

    Half of the session leaves a member time to say on a new connection that it lives.
    """
    return {
        HeartbeatRequest: session_s / 2,
        OffsetCommitRequest: session_s / 2,
        OffsetFetchRequest: session_s / 2,
        # On the connection of fetches: what is before it may be large.
        FindCoordinatorRequest: session_s,
        FetchRequest: FETCH_S,
    }


async def group_waits(settings: Settings) -> bool:
    """Return whether the group waits for members or its leader; True where nobody tells."""
    try:
        async with asyncio.timeout(JOIN_LOOK_S):
            return (await group_state(settings)).state in WAITS
    except (KafkaError, StreamappError, OSError):
        return True


def limit_requests(
    client: AIOKafkaClient,
    limits: Mapping[type, float],
    *,
    is_waited_for: Callable[[], Awaitable[bool]],
) -> None:
    """Have requests end after their limit, with their connection, which is made anew.

    A node that does not answer is told once until it has answered again.

    Args:
        client: Of the group's member.
        limits: Longest wait of each kind, seconds.
        is_waited_for: Whether the group waits for anybody: a join may take its time then.
    """
    refuse_closed(client)
    send_any = client.send
    told: set[int] = set()

    async def send(node_id: int, request: Any, *, group: Any) -> Any:
        answer = await send_any(node_id, request, group=group)
        told.discard(node_id)
        return answer

    def silent(node_id: int, group: Any, kind: str, after_s: float) -> RequestTimedOutError:
        if node_id not in told:
            told.add(node_id)
            log.warning("kafka.connection_silent", node=node_id, request=kind, after_s=after_s)
        connection = client._conns.get((node_id, group))
        if connection is not None:
            connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
        return RequestTimedOutError(f"{kind} after {after_s:g} s")

    async def send_join(node_id: int, request: Any, group: Any) -> Any:
        sending = asyncio.ensure_future(send(node_id, request, group=group))
        looks, lost = 0, 0
        try:
            while lost < 2:
                await asyncio.wait([sending], timeout=JOIN_LOOK_S)
                if sending.done():
                    return sending.result()
                looks += 1
                lost = 0 if await is_waited_for() else lost + 1
        finally:
            sending.cancel()
        raise silent(node_id, group, type(request).__name__, looks * JOIN_LOOK_S)

    async def send_limited(
        node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT
    ) -> Any:
        if isinstance(request, JOINS):
            return await send_join(node_id, request, group)
        limit_s = limits.get(type(request))
        if limit_s is None:
            return await send(node_id, request, group=group)
        try:
            async with asyncio.timeout(limit_s):
                return await send(node_id, request, group=group)
        except TimeoutError:
            raise silent(node_id, group, type(request).__name__, limit_s) from None

    client.send = send_limited
