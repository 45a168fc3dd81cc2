"""A worker's consumer without its worker."""

import asyncio
from typing import Any

from streamapp.streaming.consumer.consumer import Consumer


def consumer_of(app: Any) -> Consumer:
    """Return the consumer of a Faust app, not started; it tells nobody of what it is assigned."""

    async def ignore(*args: Any) -> None: ...

    return Consumer(
        app.transport,
        callback=ignore,
        on_partitions_revoked=ignore,
        on_partitions_assigned=ignore,
        loop=asyncio.get_running_loop(),
        beacon=app.beacon,
    )
