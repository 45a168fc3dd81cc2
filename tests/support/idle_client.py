"""`python -m tests.support.idle_client SECONDS worker`: streamapp that follows no tables.

Its client fetches nothing while its inputs are paused, and may be idle for so many seconds.
"""

import asyncio
import sys
from typing import Any

from streamapp.cli import main
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.consumer.consumer import Consumer

#: Between two looks whether an input may be fetched, seconds.
PAUSE_S = 0.2

_init, _new_thread = StreamApp.__init__, Consumer._new_consumer_thread


def limited(self: StreamApp, *args: Any, **options: Any) -> None:
    """Take the place of `StreamApp.__init__`."""
    _init(self, *args, **(options | {"broker_max_poll_interval": IDLE_S}))


def new_thread(self: Consumer) -> Any:
    """Take the place of `Consumer._new_consumer_thread`."""
    thread: Any = _new_thread(self)
    fetch = thread._fetch_records

    async def fetch_inputs(consumer: Any, active_partitions: set[Any], **how: Any) -> Any:
        window = thread.app.window
        if window.is_open and not active_partitions & window.partitions.keys():
            await asyncio.sleep(PAUSE_S)
            return {}
        return await fetch(consumer, active_partitions, **how)

    thread._fetch_records = fetch_inputs
    return thread


if __name__ == "__main__":
    IDLE_S = float(sys.argv.pop(1))
    StreamApp.__init__ = limited  # type: ignore[method-assign]
    Consumer._new_consumer_thread = new_thread  # type: ignore[method-assign]
    main()
