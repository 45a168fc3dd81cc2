"""Usage reports: the costs of all calls, written to ``llm.usage`` every second."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from faust.exceptions import NotReady, ProducerSendError

from streamapp.llm.costs.billing import UsageMeter
from streamapp.records.usage import UsageRecord

log = structlog.get_logger(__name__)

#: Seconds from one report to the next.
REPORT_S = 1.0

#: A broker that has not answered for longer is away, seconds; it is asked every second.
AWAY_S = 3.0

#: Longest wait for the last report, seconds.
CLOSE_S = 2.0

_UNDELIVERED = (KafkaError, ProducerSendError, NotReady)


class UsageReports:
    """Writes what a meter summed; while the broker is away, the meter keeps it.

    Args:
        meter: Emptied by each report.
        send: See `Send`.
        topic: Full name.
        silence_s: Seconds since the broker last answered.
    """

    def __init__(
        self,
        meter: UsageMeter,
        send: Callable[..., Awaitable[Awaitable[Any]]],
        *,
        topic: str,
        silence_s: Callable[[], float],
    ) -> None:
        self._meter = meter
        self._send = send
        self._topic = topic
        self._silence_s = silence_s

    async def report(self) -> None:
        """Write what was used since the last time, and wait until it is there.

        What was on its way when the broker went away may be there or not: it is not written
        again, since sums that stand there twice are worse than some that are told as missing.
        """
        if self._silence_s() > AWAY_S:
            return
        records = self._meter.take()
        taken = await asyncio.gather(*map(self._deliver, records))
        _tell([record for record, is_taken in zip(records, taken, strict=True) if not is_taken])

    async def watch(self) -> None:
        """Report until cancelled."""
        while True:
            await asyncio.sleep(REPORT_S)
            await self.report()

    async def aclose(self) -> None:
        """Write the rest, and wait for it a little: the producer ends after this."""
        records = self._meter.take()
        if not records:
            return
        deliveries = [asyncio.ensure_future(self._deliver(record)) for record in records]
        done, waiting = await asyncio.wait(deliveries, timeout=CLOSE_S)
        for delivery in waiting:  # what is buffered is with the producer
            delivery.cancel()
        taken = [delivery in done and delivery.result() for delivery in deliveries]
        _tell([record for record, is_taken in zip(records, taken, strict=True) if not is_taken])

    async def _deliver(self, record: UsageRecord) -> bool:
        try:
            await asyncio.shield(await self._buffer(record))
        except _UNDELIVERED:
            return False
        return True

    def _buffer(self, record: UsageRecord) -> Awaitable[Awaitable[Any]]:
        return self._send(self._topic, record.key(), record.encode(), None, None, None)


def _tell(missing: Sequence[UsageRecord]) -> None:
    """Say what the topic may lack."""
    if missing:
        costs = [record.cost_usd for record in missing if record.cost_usd is not None]
        log.warning(
            "usage.not_delivered",
            calls=sum(record.calls for record in missing),
            cost_usd=str(sum(costs)),
            hint="the topic of usage may lack them; budgets and metrics have them",
        )
