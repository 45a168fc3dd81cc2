"""The time limits of requests to brokers, by which a half-open connection is noticed.

The client has one limit for all requests, and the join of a group needs a long one. Where a
connection is dead and nobody says so (a firewall that forgot it, a machine that was unplugged),
a heartbeat would wait as long, far beyond the session, and a fetch hold its partitions.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.errors import RequestTimedOutError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest

log = structlog.get_logger(__name__)

#: A broker answers a fetch at once or after the fetch wait; the rest is for a slow line, seconds.
FETCH_S = 60.0


def request_limits(session_s: float) -> dict[type, float]:
    """Return the longest wait of each kind of request, seconds.

    Half of the session leaves a member time to say on a new connection that it lives.
    """
    return {HeartbeatRequest: session_s / 2, FetchRequest: FETCH_S}


def limit_requests(client: AIOKafkaClient, limits: Mapping[type, float]) -> None:
    """Have requests end after their limit, with their connection, which is made anew."""
    send = client.send

    async def send_limited(
        node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT
    ) -> Any:
        limit_s = limits.get(type(request))
        if limit_s is None:
            return await send(node_id, request, group=group)
        try:
            async with asyncio.timeout(limit_s):
                return await send(node_id, request, group=group)
        except TimeoutError:
            kind = type(request).__name__
            log.warning("kafka.connection_silent", node=node_id, request=kind, after_s=limit_s)
            connection = client._conns.get((node_id, group))
            if connection is not None:
                connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
            raise RequestTimedOutError(f"{kind} after {limit_s:g} s") from None

    client.send = send_limited
