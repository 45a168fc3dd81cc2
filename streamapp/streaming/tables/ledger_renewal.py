"""The ledger's renewal: entries of unfinished records, written anew before retention deletes them.

The changelog keeps an entry for the ledger's time. A record can stay unfinished for longer, in a
long step, under a spent budget or in an outage, and its finished calls must not be paid again by
the worker that takes it over.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from streamapp.errors import DeliveryFailed, LeaseLost
from streamapp.streaming.delivery.ledger import Ledger
from streamapp.streaming.window.lease import Lease

log = structlog.get_logger(__name__)

#: Longest time between two looks, seconds, and as a part of the ledger's time: an entry is renewed
#: at a quarter of it, so that it is never older than half.
LOOK_S, LOOK_PART = 60.0, 1 / 8

#: Entries written at a time, and looked at before the loop goes on to other work.
AT_A_TIME, LOOKED_AT = 8, 500


class LedgerRenewal:
    """Renews the entries of one ledger that its records may still need.

    Args:
        ledger: Tells which they are.
        lease: Of the open generation; where it ends, the next owner renews.
        ttl_s: The ledger's time, seconds.
        sleep: Waits seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        lease: Callable[[], Lease],
        *,
        ttl_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ledger = ledger
        self._lease = lease
        self._every_s = min(LOOK_S, ttl_s * LOOK_PART)
        self._sleep = sleep

    async def watch(self) -> None:
        """Renew until cancelled."""
        while True:
            await self._sleep(self._every_s)
            await self.renew()

    async def renew(self) -> None:
        """Renew what is old enough; none where this worker has no right to write."""
        lease = self._lease()
        if lease.is_ended:
            return
        entries = size = 0
        keys = self._ledger.keys()
        try:
            for start in range(0, len(keys), LOOKED_AT):
                looked_at = keys[start : start + LOOKED_AT]
                old = [key for key in looked_at if self._ledger.is_to_renew(key)]
                for first in range(0, len(old), AT_A_TIME):
                    sizes = await self._written(old[first : first + AT_A_TIME], lease)
                    entries, size = entries + len(sizes), size + sum(sizes)
                self._ledger.evict()  # where nothing is written, nothing else lets entries go
                await self._sleep(0)
        except (LeaseLost, DeliveryFailed) as error:
            log.info("ledger.renewal_ended", error=type(error).__name__)
        if entries:
            log.info("ledger.renewed", entries=entries, bytes=size)

    async def _written(self, keys: list[bytes], lease: Lease) -> list[int]:
        """Return the bytes of each; raises the first error once all have ended."""
        # What is written meanwhile is left to its writer.
        writes = [self._ledger.renew(key, lease) for key in keys if self._ledger.is_to_renew(key)]
        ended = await asyncio.gather(*writes, return_exceptions=True)
        sizes = [each for each in ended if isinstance(each, int)]
        for each in ended:
            if isinstance(each, BaseException):
                raise each
        return sizes
