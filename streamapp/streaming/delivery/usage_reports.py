"""Usage reports: the costs of all calls, written to ``llm.usage`` every second."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from aiokafka.errors import KafkaError
from faust.exceptions import NotReady, ProducerSendError

from streamapp.llm.costs.billing import UsageMeter

#: Seconds from one report to the next.
REPORT_S = 1.0


class UsageReports:
    """Writes what a meter summed.

    Args:
        meter: Emptied by each report.
        send: Faust's ``producer.send``.
        topic: Full name.
    """

    def __init__(
        self, meter: UsageMeter, send: Callable[..., Awaitable[Any]], *, topic: str
    ) -> None:
        self._meter = meter
        self._send = send
        self._topic = topic

    async def report(self) -> None:
        """Write what was used since the last time; a record lost in an outage is not missed."""
        for record in self._meter.take():
            with suppress(KafkaError, ProducerSendError, NotReady):
                await self._send(self._topic, record.key(), record.encode(), None, None, None)

    async def watch(self) -> None:
        """Report until cancelled."""
        while True:
            await asyncio.sleep(REPORT_S)
            await self.report()
