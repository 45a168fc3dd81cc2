"""The quotas of brokers, to which aiokafka's producer pays no heed.

A broker whose quota is exceeded answers at once, says for how long it will read nothing more of
the connection, and then reads on. What is sent meanwhile times out here, is sent again, and is
written there twice. So nothing is sent to that broker until its time is over; what has waited for
too long is tried again by the emitter, which asks for the lease.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import RequestTimedOutError
from aiokafka.protocol.produce import ProduceRequest

log = structlog.get_logger(__name__)

#: How long a request waits for its broker before the sender looks at its batches again, seconds:
#: a write must end within the session that it began in.
WAIT_S = 0.2


def heed_throttles(
    client: AIOKafkaClient,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Have no record sent to a broker that reads none.

    Args:
        client: Of the producer.
        clock: Monotonic seconds.
        sleep: Waits seconds.
    """
    send_any = client.send
    until: dict[Any, float] = {}

    async def send(node_id: Any, request: Any, **fields: Any) -> Any:
        if not isinstance(request, ProduceRequest):
            return await send_any(node_id, request, **fields)
        left_s = until.get(node_id, 0.0) - clock()
        if left_s > 0:
            await sleep(min(left_s, WAIT_S))
            if left_s > WAIT_S:
                raise RequestTimedOutError("a quota of the broker is exceeded")
        response = await send_any(node_id, request, **fields)
        throttle_s = getattr(response, "throttle_time_ms", 0) / 1000
        if throttle_s > 0:
            until[node_id] = clock() + throttle_s
            log.warning("producer.throttled", node=node_id, throttle_s=throttle_s)
        return response

    client.send = send
