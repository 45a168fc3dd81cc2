"""The worker in the worst case of a rebalance: its fetch waits all through a slow recovery.

python -m tests.support.slow_recovery worker
"""

import asyncio
from typing import Any

from faust.tables.recovery import Recovery
from faust.transport.consumer import ThreadDelegateConsumer

from streamapp.cli import main

#: Long enough for what the seek makes the client fetch to arrive, seconds.
BUSY_S = 0.5
#: Longest wait of one fetch, seconds; Faust's is 1, and which part of a rebalance it meets is
#: chance.
FETCH_S = 10.0

_seek_offsets = Recovery._seek_offsets
_getmany = ThreadDelegateConsumer._getmany


async def _seek_slowly(self: Recovery, *args: Any) -> None:
    await _seek_offsets(self, *args)
    await asyncio.sleep(BUSY_S)


async def _fetch_long(self: ThreadDelegateConsumer, active_partitions: Any, timeout: float) -> Any:
    return await _getmany(self, active_partitions, FETCH_S)


if __name__ == "__main__":
    Recovery._seek_offsets = _seek_slowly  # type: ignore[assignment,method-assign]  # a chance made certain
    ThreadDelegateConsumer._getmany = _fetch_long  # type: ignore[method-assign]  # as above
    main()
